"""The tests: `pytest` runs them on a private database server."""
