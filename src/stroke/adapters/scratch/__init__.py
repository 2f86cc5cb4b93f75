"""Temporary files for work that is larger than memory."""
