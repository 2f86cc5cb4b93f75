"""Traces by OpenTelemetry. Nothing here is imported while no collector is named."""
