"""Simulated patients, drawn from published marginals, for tests and load."""
