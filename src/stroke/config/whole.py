"""All settings of the service, and all of the pipeline."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from stroke.config.access import AccessSettings, AuditSettings, ErasureSettings
from stroke.config.clinical import ClinicalSettings
from stroke.config.copies import LakeSettings, SqlSinkSettings
from stroke.config.database import DatabaseSettings, IdempotencySettings, QueueSettings
from stroke.config.deployment import CanarySettings, ShadowSettings
from stroke.config.files import FilesSettings
from stroke.config.http import HttpSettings, RateSettings
from stroke.config.kafka import CdcSettings, ConnectSettings, KafkaSettings
from stroke.config.model import ModelSettings
from stroke.config.oidc import OidcSettings
from stroke.config.operations import DoctorSettings, LogSettings, TracesSettings
from stroke.config.quality import DriftSettings, PerformanceSettings, UpdateSettings
from stroke.config.reading import loaded
from stroke.config.session import SessionSettings
from stroke.config.spark import SparkSettings
from stroke.config.ui import UiSettings


class PipelineSettings(BaseModel):
    """Everything about the change-data pipeline. ``http`` is where its metrics are served."""

    model_config = ConfigDict(frozen=True)

    http: HttpSettings
    kafka: KafkaSettings
    connect: ConnectSettings
    cdc: CdcSettings
    sink: SqlSinkSettings
    lake: LakeSettings
    database: DatabaseSettings
    spark: SparkSettings
    doctor: DoctorSettings
    erasure: ErasureSettings
    log: LogSettings
    traces: TracesSettings

    @property
    def topic(self) -> str:
        """The topic of change events."""
        return f"{self.cdc.server_name}.{self.database.mysql_database}.predictions"

    @classmethod
    def load(cls) -> PipelineSettings:
        """Read the environment and ``.env``. Raises ``InvalidSetting`` naming what is wrong."""
        return cls(**loaded(cls))


class Settings(BaseModel):
    """All settings of the service, read once, at start."""

    model_config = ConfigDict(frozen=True)

    http: HttpSettings
    rate: RateSettings
    database: DatabaseSettings
    model: ModelSettings
    canary: CanarySettings
    shadow: ShadowSettings
    queue: QueueSettings
    idempotency: IdempotencySettings
    performance: PerformanceSettings
    update: UpdateSettings
    traces: TracesSettings
    log: LogSettings
    drift: DriftSettings
    files: FilesSettings
    access: AccessSettings
    session: SessionSettings
    oidc: OidcSettings
    audit: AuditSettings
    erasure: ErasureSettings
    connect: ConnectSettings
    clinical: ClinicalSettings
    ui: UiSettings

    @classmethod
    def load(cls) -> Settings:
        """Read the environment and ``.env``. Raises ``InvalidSetting`` naming what is wrong."""
        return cls(**loaded(cls))
