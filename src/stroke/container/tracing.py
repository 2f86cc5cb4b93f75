"""Tracing, where a collector is named: only then is OpenTelemetry's SDK imported."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stroke.application.predictions.group_commit import Around
from stroke.config import TracesSettings

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from stroke.adapters.opentelemetry.tracing import Tracing


def tracing_of(settings: TracesSettings) -> Tracing | None:
    """Return what sends spans, or None where there is nowhere to send them."""
    if settings.endpoint is None:
        return None
    from stroke.adapters.opentelemetry.tracing import Tracing  # noqa: PLC0415

    return Tracing(settings.endpoint, service_name=settings.service_name)


def traced(engine: AsyncEngine, tracing: Tracing | None) -> AsyncEngine:
    """Return ``engine``, whose statements have spans where there is tracing."""
    if tracing is not None:
        tracing.trace_statements(engine)
    return engine


def around_commits(tracing: Tracing | None) -> Around | None:
    """Return what commits run within."""
    return None if tracing is None else tracing.commit
