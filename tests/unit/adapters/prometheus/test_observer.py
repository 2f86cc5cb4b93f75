from __future__ import annotations

from builders.predictions import prediction
from stroke.adapters.prometheus.observer import PrometheusObserver, create_registry


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


def test_each_registry_is_of_one_application() -> None:
    first, second = create_registry(), create_registry()
    PrometheusObserver(first).committed([prediction()], 0.01)
    PrometheusObserver(second)
    assert second.get_sample_value("stroke_commit_size_count") == 0


def test_a_registry_knows_the_process() -> None:
    assert create_registry().get_sample_value("process_cpu_seconds_total") is not None
