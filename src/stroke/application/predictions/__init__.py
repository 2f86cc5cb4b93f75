"""Predictions and outcomes: assessed, committed in groups, recorded, imported."""
