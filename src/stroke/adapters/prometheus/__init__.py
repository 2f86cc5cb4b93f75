"""Metrics of predictions, drift, model quality and the pipeline, for Prometheus."""
