"""What judges the served model: its drift, and its performance by the known outcomes."""

from __future__ import annotations

from stroke.adapters.prometheus.performance import PerformanceMetrics
from stroke.application.quality.drift import DriftService
from stroke.application.quality.insights import InsightsService
from stroke.application.quality.performance import PerformanceService, Watch
from stroke.container.clock import utc_now
from stroke.container.service import Container


def drift_service(parts: Container) -> DriftService:
    """Return what compares the stored predictions with the served model's training data.

    Raises ``ModelError`` where the model cannot be loaded.
    """
    return DriftService(repository=parts.repository(), served=parts.served())


def insights_service(parts: Container) -> InsightsService:
    """Return what counts the stored predictions. Raises ``ModelError`` as above."""
    parts.served()  # what cannot be loaded is said now
    return InsightsService(
        repository=parts.repository(),
        served=parts.served,
        most=parts.settings().ui.insights_rows,
    )


def performance_service(parts: Container) -> PerformanceService:
    """Return what measures the model by the outcomes. Raises ``ModelError`` as above."""
    parts.served()  # as above
    settings = parts.settings().performance
    return PerformanceService(
        outcomes=parts.outcome_repository(),
        served=parts.served,
        watch=Watch(settings.watched, settings.drop),
        now=utc_now,
    )


def performance_metrics(parts: Container) -> PerformanceMetrics:
    """Return the metrics of performance, added to the service's registry: call it once."""
    return PerformanceMetrics(parts.metrics_registry())
