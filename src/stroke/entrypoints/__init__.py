"""Where requests come in: the HTTP API and the command line."""
