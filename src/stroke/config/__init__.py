"""Settings: the only reader of the environment.

Every setting has a name with the prefix ``STROKE_``; the names of an existing ``.env`` stay valid
next to them. ``NAME_FILE`` names a file that holds the value of NAME, which then counts. So does a
file NAME in the folder STROKE_SECRET_FILES. Secrets have no defaults and show as ``**********``.
docs/settings.md lists all.
"""

from __future__ import annotations

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
from stroke.config.session import SessionSettings
from stroke.config.spark import SparkSettings
from stroke.config.ui import UiSettings
from stroke.config.urls import database_url, results_url
from stroke.config.whole import PipelineSettings, Settings

__all__ = [
    "AccessSettings",
    "AuditSettings",
    "CanarySettings",
    "CdcSettings",
    "ClinicalSettings",
    "ConnectSettings",
    "DatabaseSettings",
    "DoctorSettings",
    "DriftSettings",
    "ErasureSettings",
    "FilesSettings",
    "HttpSettings",
    "IdempotencySettings",
    "KafkaSettings",
    "LakeSettings",
    "LogSettings",
    "ModelSettings",
    "OidcSettings",
    "PerformanceSettings",
    "PipelineSettings",
    "QueueSettings",
    "RateSettings",
    "SessionSettings",
    "Settings",
    "ShadowSettings",
    "SparkSettings",
    "SqlSinkSettings",
    "TracesSettings",
    "UiSettings",
    "UpdateSettings",
    "database_url",
    "results_url",
]
