"""General tests of the data layer: they read the models and adapt to them."""
