"""The model that is served, and what importing one may take."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, AliasChoices, Field, SecretStr

from stroke.config.reading import SettingsGroup, prefixed

_PLAIN: Final = re.compile(r"[!-~]+")  # ASCII without spaces: it goes into a head of HTTP


def _webhook(address: SecretStr) -> SecretStr:
    text = address.get_secret_value()
    try:
        parts = urlsplit(text)
        sound = parts.scheme == "https" and bool(parts.hostname) and parts.port != 0
    except ValueError:
        sound = False
    if not sound or parts.username is not None or parts.fragment or not _PLAIN.fullmatch(text):
        raise ValueError("write one address such as https://alerts.hospital.example/models")
    return address


class ModelSettings(SettingsGroup):
    """Which model is served."""

    model_config = prefixed("MODEL")

    saved_model: str | None = Field(
        None, validation_alias=AliasChoices("STROKE_MODEL_SAVED_MODEL", "SAVED_MODEL")
    )
    store: str | Path = Field(
        "models", description="the folder, or s3:// prefix, that holds models by name"
    )
    cache: Path = Field(
        Path("models/.cache"), description="where models of a store in S3 are kept on this machine"
    )
    s3_endpoint: str | None = Field(None, description="of an S3 other than AWS's")
    s3_path_style: bool = False
    s3_region: str = Field(
        "us-east-1",
        validation_alias=AliasChoices("STROKE_MODEL_S3_REGION", "AWS_DEFAULT_REGION", "AWS_REGION"),
    )
    s3_access_key_id: str | None = Field(
        None, validation_alias=AliasChoices("STROKE_MODEL_S3_ACCESS_KEY_ID", "AWS_ACCESS_KEY_ID")
    )
    s3_secret_access_key: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("STROKE_MODEL_S3_SECRET_ACCESS_KEY", "AWS_SECRET_ACCESS_KEY"),
    )
    poll_seconds: float = Field(
        2, gt=0, le=5, description="how often a worker looks which models are served"
    )
    public_keys: Path | None = Field(
        None, description="a PEM file of Ed25519 keys, one of which must have signed a model"
    )
    max_file_bytes: int = Field(
        256 * 1024 * 1024, ge=1024, description="of a graph, and of a pickle that is imported"
    )
    memory_bytes: int = Field(
        2 * 1024**3, ge=64 * 1024**2, description="what a graph may allocate while it scores"
    )
    run_seconds: float = Field(60, gt=0, description="how long a graph may score one batch")
    change_all_sites: bool = Field(
        False, description="whether who changes the served model needs the scope all-sites, too"
    )
    refuse_outside: bool = Field(
        False, description="whether the API refuses patients outside of the training data"
    )
    import_seconds: float = Field(
        120, gt=0, description="how long each process of an import may take"
    )
    import_memory_bytes: int = Field(
        4 * 1024**3, ge=512 * 1024**2, description="address space of each process of an import"
    )
    webhook_url: Annotated[SecretStr, AfterValidator(_webhook)] | None = Field(
        None, description="an address of HTTPS that gets a POST when a canary is taken back"
    )
    webhook_seconds: float = Field(5, gt=0, le=60, description="how long one POST may take")
    webhook_attempts: int = Field(4, ge=1, le=10, description="how often it is tried")
