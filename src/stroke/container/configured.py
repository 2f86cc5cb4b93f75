"""Which parts of the pipeline the settings name. A default alone names none."""

from __future__ import annotations

from stroke.config import PipelineSettings, Settings


def has_kafka(settings: PipelineSettings) -> bool:
    """Return whether a Kafka is named."""
    return "bootstrap_servers" in settings.kafka.model_fields_set


def has_registry(settings: PipelineSettings) -> bool:
    """Return whether a schema registry is named."""
    return "registry_url" in settings.kafka.model_fields_set


def has_connect(settings: PipelineSettings) -> bool:
    """Return whether a Kafka Connect is named."""
    return "url" in settings.connect.model_fields_set


def has_sql_sink(settings: PipelineSettings) -> bool:
    """Return whether the database of an SQL copy is named."""
    return settings.sink.url is not None or settings.sink.mssql_host is not None


def has_lake(settings: PipelineSettings) -> bool:
    """Return whether the catalog of a lake is named."""
    return settings.lake.catalog_uri is not None or settings.lake.catalog == "glue"


def has_pipeline(settings: PipelineSettings) -> bool:
    """Return whether any part of a pipeline is named."""
    looks = (has_kafka, has_registry, has_connect, has_sql_sink, has_lake)
    return any(look(settings) for look in looks)


def names_pipeline(settings: Settings) -> bool:
    """Return whether the settings of a service say that a pipeline copies its rows.

    They name a Kafka Connect, or leave erasures to the pipeline.
    """
    return "url" in settings.connect.model_fields_set or settings.erasure.worker == "pipeline"
