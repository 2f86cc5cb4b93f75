"""The analyses in one process, on DuckDB, and the checkpoint that a later run continues from."""
