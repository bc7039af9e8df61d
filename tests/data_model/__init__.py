"""The data model: its language, names, validator and schema."""
