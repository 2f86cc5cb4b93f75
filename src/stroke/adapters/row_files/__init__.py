"""Rows read from files: CSV and the INSERT statements of a mysqldump."""
