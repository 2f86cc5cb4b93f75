from __future__ import annotations

import urllib.request

import pytest
from prometheus_client import CollectorRegistry

from contracts.observers import PipelineObserverContract, SeenPipeline
from stroke.adapters.prometheus.observer import create_registry
from stroke.adapters.prometheus.pipeline import PrometheusPipelineObserver, serve_metrics
from stroke.application.pipeline.consistency import Comparison
from stroke.domain.errors import InvalidSetting


class SeenByPrometheus(SeenPipeline):
    def __init__(self) -> None:
        self._registry = create_registry()
        self.observer = PrometheusPipelineObserver(self._registry, now=lambda: 1700.5)

    def running(self, name: str) -> bool | None:
        found = self._value("stroke_connector_running", connector=name)
        return None if found is None else bool(found)

    def restarts(self, name: str) -> int:
        return self._value("stroke_connector_restarts_total", connector=name) or 0

    def unhealed(self, name: str) -> int | None:
        return self._value("stroke_connector_unhealed_restarts", connector=name)

    def failed(self, name: str) -> list[str]:
        return [
            sample.labels["cause"]
            for family in self._registry.collect()
            for sample in family.samples
            if sample.name == "stroke_sink_failed_timestamp_seconds"
            and sample.labels["connector"] == name
        ]

    def sink(self, name: str) -> tuple[int, bool] | None:
        lag = self._value("stroke_sink_lag_records", connector=name)
        stalled = self._value("stroke_pipeline_stalled", connector=name)
        return None if lag is None or stalled is None else (lag, bool(stalled))

    def gap(self) -> int | None:
        return self._value("stroke_lake_gap_records")

    def compared(self, replica: str) -> dict[str, int] | None:
        names = ("rows", "duplicates", "missing", "extra", "different")
        values = {
            name: self._value(f"stroke_pipeline_verify_{name}", replica=replica) for name in names
        }
        found = {name: value for name, value in values.items() if value is not None}
        return found or None

    def _value(self, name: str, **labels: str) -> int | None:
        found = self._registry.get_sample_value(name, labels)
        return None if found is None else int(found)


class TestPrometheusPipelineObserver(PipelineObserverContract):
    @pytest.fixture
    def seen(self) -> SeenPipeline:
        return SeenByPrometheus()


@pytest.fixture
def registry() -> CollectorRegistry:
    return create_registry()


@pytest.fixture
def observer(registry: CollectorRegistry) -> PrometheusPipelineObserver:
    return PrometheusPipelineObserver(registry, now=lambda: 1700.5)


def test_what_the_watch_sees_becomes_gauges(
    registry: CollectorRegistry, observer: PrometheusPipelineObserver
) -> None:
    observer.connector("a", running=True)
    observer.connector("b", running=False)
    observer.restarted("b")
    observer.restarted("b")
    observer.sink_failed("b", "S3 fails")
    observer.sink("b", lag=7, stalled=True)
    observer.lake_gap(40)

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(name, labels)

    assert value("stroke_connector_running", connector="a") == 1
    assert value("stroke_connector_running", connector="b") == 0
    assert value("stroke_connector_restarts_total", connector="a") == 0
    assert value("stroke_connector_restarts_total", connector="b") == 2
    assert value("stroke_sink_failed_timestamp_seconds", connector="b", cause="S3 fails") == 1700.5
    assert value("stroke_sink_lag_records", connector="b") == 7
    assert value("stroke_pipeline_stalled", connector="b") == 1
    assert value("stroke_lake_gap_records") == 40


def test_what_was_compared_becomes_gauges(
    registry: CollectorRegistry, observer: PrometheusPipelineObserver
) -> None:
    observer.verified(
        [
            Comparison("sql", rows=10, missing=[1, 2], extra=[30], different=[4, 5, 6]),
            Comparison("lake", rows=10, duplicates=9),
        ]
    )

    def values(replica: str) -> dict[str, float | None]:
        return {
            what: registry.get_sample_value(f"stroke_pipeline_verify_{what}", {"replica": replica})
            for what in ("rows", "missing", "extra", "different", "duplicates", "timestamp_seconds")
        }

    assert values("sql") == {
        "rows": 10,
        "missing": 2,
        "extra": 1,
        "different": 3,
        "duplicates": 0,
        "timestamp_seconds": 1700.5,
    }
    assert values("lake")["duplicates"] == 9


def test_metrics_are_served_and_a_port_that_is_taken_is_reported(
    registry: CollectorRegistry, observer: PrometheusPipelineObserver
) -> None:
    observer.connector("a", running=True)

    with serve_metrics(registry, host="127.0.0.1", port=0) as port:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            assert b'stroke_connector_running{connector="a"} 1.0' in answer.read()
        with (
            pytest.raises(InvalidSetting, match=str(port)),
            serve_metrics(registry, host="127.0.0.1", port=port),
        ):
            pass
