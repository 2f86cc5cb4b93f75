"""Kafka Connect over its REST API, and the connectors that are kept as files."""
