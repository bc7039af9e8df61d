"""The checklist: what is verified of the data layer, on a private database."""
