"""The HTTP service: where it listens, what it accepts, and how much of it."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, AliasChoices, BeforeValidator, Field
from pydantic_settings import NoDecode

from stroke.config.reading import Networks, Origins, SettingsGroup, parted, prefixed


class HttpSettings(SettingsGroup):
    """Where the service listens and what it accepts."""

    model_config = prefixed("HTTP")

    host: str = "127.0.0.1"
    port: int = Field(8000, ge=0, le=65535)
    workers: int = Field(1, ge=1, le=64)
    worker_seconds: int = Field(
        20, ge=1, le=3600, description="after which a worker that says nothing is replaced"
    )
    max_body_bytes: int = Field(8 * 1024 * 1024, ge=1024)
    max_url_bytes: int = Field(8192, ge=64)
    max_headers: int = Field(100, ge=8)
    max_header_bytes: int = Field(32_768, ge=1024)
    max_header_value_bytes: int = Field(16_384, ge=256)
    max_connections: int = Field(5000, ge=1)
    max_patient_bytes: int = Field(65_536, ge=1024)
    max_bytes_in_flight: int = Field(32 * 1024 * 1024, ge=64 * 1024)
    max_rows_in_flight: int = Field(20_000, ge=1)
    admission_seconds: float = Field(5, gt=0)
    idle_seconds: float = Field(15, gt=0)
    head_seconds: float = Field(10, gt=0)
    body_seconds: float = Field(10, gt=0)
    min_bytes_per_second: int = Field(1024, ge=1)
    refusal_pause_seconds: float = Field(1, ge=0)
    log_seconds: float = Field(60, ge=0, description="how often at most one cause is logged")
    request_seconds: float = Field(120, gt=0, description="from its head to the end of its answer")
    shutdown_seconds: int = Field(20, ge=1)
    root_path: str = Field("", pattern=r"^((/[A-Za-z0-9._~-]+)+)?$")
    trusted_proxies: Networks = ()
    cors_origins: Origins = ()
    allowed_hosts: Annotated[
        tuple[Annotated[str, Field(pattern=r"^(\*\.)?[A-Za-z0-9._-]+$|^\[[0-9A-Fa-f:.]+\]$")], ...],
        NoDecode,
        BeforeValidator(parted),
    ] = ()
    metrics_folder: Path | None = Field(
        None,
        validation_alias=AliasChoices("STROKE_HTTP_METRICS_FOLDER", "PROMETHEUS_MULTIPROC_DIR"),
        description="where several workers keep what they count; `stroke serve` sets it",
    )

    @property
    def trusted_networks(self) -> list[IPv4Network | IPv6Network]:
        """The proxies whose X-Forwarded- headers are believed."""
        return [ip_network(each) for each in self.trusted_proxies]


def rate(text: str) -> str:
    from limits import parse_many  # noqa: PLC0415 -- slow to import, and seldom wanted

    try:
        parse_many(text)
    except ValueError:
        raise ValueError("write a rate such as 600/minute, or several with ;") from None
    return text


class RateSettings(SettingsGroup):
    """How many requests one caller may send."""

    model_config = prefixed("RATE")

    per_address: Annotated[str, AfterValidator(rate)] | None = Field(
        None, description="of one client, as `limits` writes it: 600/minute;50/second"
    )
    per_key: Annotated[str, AfterValidator(rate)] | None = None
    per_site: Annotated[str, AfterValidator(rate)] | None = None
