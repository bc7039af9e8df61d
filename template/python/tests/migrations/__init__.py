"""Tests of single migrations that change data."""
