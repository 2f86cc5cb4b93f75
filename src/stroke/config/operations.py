"""What operators look at: traces, logs and the doctor."""

from __future__ import annotations

from typing import Literal

from pydantic import AliasChoices, Field, SecretStr

from stroke.config.reading import SettingsGroup, loaded_group, prefixed


class TracesSettings(SettingsGroup):
    """Where spans go; nowhere, and none are made, without an endpoint."""

    model_config = prefixed("TRACES")

    endpoint: str | None = Field(
        None,
        validation_alias=AliasChoices("STROKE_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"),
        description="the collector's base address for OTLP over HTTP, such as http://host:4318",
        pattern=r"^https?://[^/\s]+",
    )
    service_name: str = Field(
        "stroke", validation_alias=AliasChoices("STROKE_TRACES_SERVICE_NAME", "OTEL_SERVICE_NAME")
    )


class LogSettings(SettingsGroup):
    """How log lines look: the service writes JSON, and commands write text, if nothing is set."""

    model_config = prefixed("LOG")

    format: Literal["json", "text"] | None = None

    @classmethod
    def load(cls) -> LogSettings:
        """Read the environment and ``.env``. Raises ``InvalidSetting`` naming what is wrong."""
        return loaded_group(cls)


class DoctorSettings(SettingsGroup):
    """Where `stroke doctor` finds what answers over HTTP, besides the pipeline's own addresses."""

    model_config = prefixed("DOCTOR")

    api_url: str = "http://127.0.0.1:8000"
    broker_metrics_url: str = "http://127.0.0.1:9991/metrics"
    connect_metrics_url: str = "http://127.0.0.1:9400/metrics"
    watch_metrics_url: str = "http://127.0.0.1:9401/metrics"
    verify_metrics_url: str = "http://127.0.0.1:9402/metrics"
    api_key: SecretStr | None = Field(
        None, description="of the service, with the scopes predict, read, erase and metrics"
    )
