"""Predictions and outcomes: scores patients, commits in groups, records and imports outcomes."""
