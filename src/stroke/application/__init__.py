"""Use cases and the ports they call. Knows the domain, and nothing of HTTP, SQL or ONNX."""
