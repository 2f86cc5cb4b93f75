"""The Iceberg table of change events, through pyiceberg."""
