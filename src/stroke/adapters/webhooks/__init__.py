"""An address that gets word of changes."""
