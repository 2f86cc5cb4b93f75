"""Charts and cards as metrics."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from prometheus_client import CollectorRegistry

from contracts.clinical import ClinicalObserverContract
from stroke.adapters.prometheus.clinical import PrometheusClinicalObserver


class TestPrometheusClinicalObserver(ClinicalObserverContract):
    @pytest.fixture
    def registry(self) -> CollectorRegistry:
        return CollectorRegistry()

    @pytest.fixture
    def observer(self, registry: CollectorRegistry) -> PrometheusClinicalObserver:
        return PrometheusClinicalObserver(registry)

    @pytest.fixture
    def seen(self, registry: CollectorRegistry) -> Callable[[], dict[str, float]]:
        def samples() -> dict[str, float]:
            return {
                " ".join(filter(None, sample.labels.values())): sample.value
                for metric in registry.collect()
                for sample in metric.samples
                if sample.name.endswith("_total")
            }

        return samples
