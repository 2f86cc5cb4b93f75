"""The command line `stroke`."""
