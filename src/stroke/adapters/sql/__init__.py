"""Predictions in MySQL (production) or SQLite (embedded), through SQLAlchemy Core."""
