from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from builders.predictions import NOON
from stroke.adapters.prometheus.observer import create_registry
from stroke.adapters.prometheus.performance import PerformanceMetrics
from stroke.domain.performance import Estimate, GroupPerformance, PerformanceReport
from stroke.domain.prediction import PredictionFilter

REPORT = PerformanceReport(
    "m-1",
    NOON,
    PredictionFilter(),
    [
        GroupPerformance("all", "all", 500, 40, {"auc": Estimate(0.8, 0.75, 0.85)}),
        GroupPerformance("gender", "Other", 7, None),
    ],
    {"auc": 0.83, "oe_ratio": 1.0},
    {"auc": False},
    0,
)


@pytest.fixture
def registry() -> CollectorRegistry:
    return create_registry()


def test_a_report_becomes_gauges(registry: CollectorRegistry) -> None:
    metrics = PerformanceMetrics(registry)
    metrics.show([REPORT])

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(
            f"stroke_performance_{name}", labels | {"model_version": "m-1"}
        )

    everybody = {"group": "all", "level": "all"}
    assert value("value", measure="auc", **everybody) == 0.8
    assert value("low", measure="auc", **everybody) == 0.75
    assert value("high", measure="auc", **everybody) == 0.85
    assert value("samples", **everybody) == 500
    assert value("events", **everybody) == 40
    assert value("reference", measure="auc") == 0.83
    assert value("reference", measure="oe_ratio") == 1.0
    assert value("dropped", measure="auc") == 0
    assert value("timestamp_seconds") == NOON.timestamp()


def test_of_a_small_group_only_the_size_is_exposed(registry: CollectorRegistry) -> None:
    PerformanceMetrics(registry).show([REPORT])
    exposed = [line for line in generate_latest(registry).decode().splitlines() if "Other" in line]
    assert [line.partition("{")[0] for line in exposed] == ["stroke_performance_samples"]


def test_what_the_last_report_no_longer_has_is_gone(registry: CollectorRegistry) -> None:
    metrics = PerformanceMetrics(registry)
    metrics.show([REPORT])
    metrics.show([])
    assert b"stroke_performance_value{" not in generate_latest(registry)
    assert b"# TYPE stroke_performance_value gauge" in generate_latest(registry)
