"""An address that is told of changes."""
