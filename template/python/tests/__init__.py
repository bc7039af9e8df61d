"""The tests: `pytest` runs them, on a database server of their own."""
