"""The audit wing: writes down who did what, and proves that the record is whole."""
