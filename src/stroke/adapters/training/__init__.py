"""Fits, evaluates, converts and writes models. Imported by the CLI only: needs the train extra."""
