"""The HTTP API: a route parses, calls a use case and renders."""
