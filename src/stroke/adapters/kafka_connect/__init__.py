"""Kafka Connect over its REST API, and the files that define connectors."""
