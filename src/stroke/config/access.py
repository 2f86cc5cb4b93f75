"""Who may call, what is written of it, and how predictions are erased."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AliasChoices, BeforeValidator, Field, SecretStr
from pydantic_settings import NoDecode

from stroke.config.reading import SettingsGroup, parted, prefixed


class AccessSettings(SettingsGroup):
    """Who may call: keys that the service takes over, and how soon a change of keys holds."""

    model_config = prefixed("ACCESS")

    cache_seconds: float = Field(
        2, gt=0, le=4, description="after these the keys are read again: a revoked one ends"
    )
    pause_seconds: float = Field(
        0.2, ge=0, le=2, description="between two readings that unknown keys ask for"
    )
    admin_key: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("STROKE_ACCESS_ADMIN_KEY", "STROKE_ADMIN_KEY"),
        description="a key made elsewhere; `stroke serve` stores it with admin and all-sites",
    )
    metrics_key: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("STROKE_ACCESS_METRICS_KEY", "STROKE_METRICS_KEY"),
        description="a key made elsewhere; `stroke serve` stores it with the scope metrics",
    )
    site: str = Field("platform", description="the site of these two keys")
    insecure: bool = Field(
        False,
        validation_alias=AliasChoices("STROKE_ACCESS_INSECURE", "STROKE_INSECURE"),
        description="let other machines call while there is no key, and start where they reach it",
    )


class AuditSettings(SettingsGroup):
    """What is written into the audit trail."""

    model_config = prefixed("AUDIT")

    refusals_per_minute: int = Field(
        60, ge=0, description="refused attempts with an entry each; the rest of a minute is counted"
    )


class ErasureSettings(SettingsGroup):
    """How predictions are erased from every place."""

    model_config = prefixed("ERASURE")

    batch_rows: int = Field(
        500, ge=1, le=10_000, description="removed from the database in one transaction"
    )
    wait_seconds: float = Field(
        120, ge=0, description="within which the copies must have heard of an erasure"
    )
    backups: str | None = Field(
        None,
        validation_alias=AliasChoices("STROKE_ERASURE_BACKUPS", "STROKE_BACKUP_TARGET"),
        description="the folder, or s3:// prefix, of MySQL's backups",
    )
    backup_days: float = Field(
        30,
        gt=0,
        validation_alias=AliasChoices("STROKE_ERASURE_BACKUP_DAYS", "STROKE_BACKUP_KEEP_DAYS"),
        description="after which a backup is removed",
    )
    analyses: Annotated[tuple[str, ...], NoDecode, BeforeValidator(parted)] = Field(
        (),
        description="where analyses write results, or keep checkpoints and states, with commas",
    )
    worker: Literal["service", "pipeline"] = Field(
        "service",
        description="who carries out what POST /api/v1/erasures asks for: the service in its own "
        "database, or `stroke connectors watch` and `stroke erase work` in every place",
    )
    poll_seconds: float = Field(
        5, gt=0, le=3600, description="after which a worker looks for erasures that were asked for"
    )
    lease_seconds: float = Field(
        60, ge=1, le=3600, description="after which another worker takes up what one left that died"
    )
    purge_rows: int = Field(
        10_000, ge=1, le=100_000, description="erased from every place at once by a purge"
    )
    job_days: float = Field(
        30, gt=0, le=3650, description="after which the record of a finished erasure is removed"
    )
