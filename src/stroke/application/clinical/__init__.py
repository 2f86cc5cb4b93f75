"""Charts of a hospital's record system, assessed."""
