"""The edge of the service: HTTP/1.1 as bytes, with limits and deadlines, before any route."""
