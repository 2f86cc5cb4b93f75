"""The SQL database that predictions are replicated to: PostgreSQL or SQL Server."""
