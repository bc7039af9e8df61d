"""Tests of the data model: its language, names, validator and schema."""
