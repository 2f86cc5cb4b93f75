"""The stack's own addresses, as clients of HTTP meet them; with the standard library alone."""
