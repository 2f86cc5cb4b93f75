"""Bulk scoring of files: CSV and Parquet read, checked, scored and written in columns."""
