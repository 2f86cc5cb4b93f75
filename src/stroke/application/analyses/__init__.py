"""Analyses of the change log: one definition in SQL, run by any engine."""
