"""Searches tables, files of many kinds and logs for values of a patient; it writes nothing."""
