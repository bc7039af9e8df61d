"""The data layer over HTTP."""
