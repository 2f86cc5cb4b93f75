"""Tables in files: delimited text in whatever dialect, encoding and packing, and SQL dumps."""
