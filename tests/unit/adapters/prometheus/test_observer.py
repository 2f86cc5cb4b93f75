from __future__ import annotations

import pytest

from builders.predictions import prediction
from contracts.observers import PredictionObserverContract, SeenPredictions
from stroke.adapters.prometheus.drift import DriftWindow
from stroke.adapters.prometheus.observer import PrometheusObserver, create_registry
from stroke.domain.drift import ReferenceHistogram


class SeenByPrometheus(SeenPredictions):
    def __init__(self, window: DriftWindow | None = None) -> None:
        self._registry = create_registry()
        self.observer = PrometheusObserver(self._registry, window)

    def commits(self) -> int:
        counts = (self._sum(f"stroke_{of}_count") for of in ("commit_size", "store_seconds"))
        [commits] = set(counts)
        return commits

    def predictions(self) -> int:
        [predictions] = {
            self._sum("stroke_predictions_total"),
            self._sum("stroke_prediction_probability_count"),
            self._sum("stroke_commit_size_sum"),
        }
        return predictions

    def _sum(self, name: str) -> int:
        samples = (s for family in self._registry.collect() for s in family.samples)
        return int(sum(sample.value for sample in samples if sample.name == name))


class TestPrometheusObserver(PredictionObserverContract):
    @pytest.fixture
    def seen(self) -> SeenPredictions:
        return SeenByPrometheus()


class TestPrometheusObserverWithAWindow(PredictionObserverContract):
    @pytest.fixture
    def seen(self) -> SeenPredictions:
        references = {
            "age": ReferenceHistogram((0.5, 0.5), cuts=(50.0,)),
            "gender": ReferenceHistogram((0.5, 0.5, 0.0), labels=("Female", "Male")),
            "smoking_status": ReferenceHistogram((1.0, 0.0), labels=("smokes",)),
            "probability": ReferenceHistogram((0.9, 0.1), cuts=(0.2,)),
        }
        return SeenByPrometheus(DriftWindow(references, hours=24, now=lambda: 1.8e9))


def test_a_commit_is_counted_by_category_version_and_size() -> None:
    registry = create_registry()
    observer = PrometheusObserver(registry)
    observer.committed([prediction(0.01), prediction(0.5), prediction(0.6)], 0.004)
    observer.committed([prediction(0.01, model_version="test-2")], 0.03)

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(name, labels)

    counted = "stroke_predictions_total"
    assert value(counted, risk_category="High", model_version="test-1") == 2
    assert value(counted, risk_category="Low", model_version="test-1") == 1
    assert value(counted, risk_category="Low", model_version="test-2") == 1
    assert value("stroke_commit_size_sum") == 4
    assert value("stroke_commit_size_bucket", le="1.0") == 1
    assert value("stroke_store_seconds_bucket", le="0.005") == 1
    probabilities = "stroke_prediction_probability_bucket"
    assert value(probabilities, le="0.01", model_version="test-1") == 1
    assert value(probabilities, le="0.5", model_version="test-1") == 2


def test_each_probability_counts_for_its_own_model() -> None:
    registry = create_registry()
    both = [prediction(0.01), prediction(0.5, model_version="test-2"), prediction(0.6)]

    PrometheusObserver(registry).committed(both, 0.004)

    counted = "stroke_prediction_probability_count"
    assert registry.get_sample_value(counted, {"model_version": "test-1"}) == 2
    assert registry.get_sample_value(counted, {"model_version": "test-2"}) == 1


def test_each_registry_is_of_one_application() -> None:
    first, second = create_registry(), create_registry()
    PrometheusObserver(first).committed([prediction()], 0.01)
    PrometheusObserver(second)
    assert second.get_sample_value("stroke_commit_size_count") == 0


def test_a_registry_knows_the_process() -> None:
    assert create_registry().get_sample_value("process_cpu_seconds_total") is not None
