"""The tests of the template, and of what comes out of it."""
