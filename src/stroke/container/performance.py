"""Composition root of the judgement of models."""

from __future__ import annotations

from dependency_injector import providers

from stroke.adapters.prometheus.performance import PerformanceMetrics
from stroke.application.quality.performance import PerformanceService, Watch
from stroke.config import PerformanceSettings
from stroke.container.service import Container, utc_now


def _watch(settings: PerformanceSettings) -> Watch:
    return Watch(settings.watched, settings.drop)


class PerformanceContainer(Container):
    """The service's parts, and what judges its model by the outcomes."""

    performance = providers.Singleton(
        PerformanceService,
        outcomes=Container.outcome_repository,
        served=Container.served,
        watch=providers.Singleton(_watch, Container.settings.provided.performance),
        now=providers.Object(utc_now),
    )
    performance_metrics = providers.Singleton(PerformanceMetrics, Container.metrics_registry)
