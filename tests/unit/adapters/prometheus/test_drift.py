from __future__ import annotations

from pathlib import Path

import pytest

from builders.predictions import prediction
from stroke.adapters.prometheus.drift import SLOTS, DriftMetrics, DriftWindow
from stroke.adapters.prometheus.observer import PrometheusObserver, create_registry
from stroke.domain.drift import Drift, ReferenceHistogram

REFERENCES = {
    "age": ReferenceHistogram((0.5, 0.5), cuts=(50.0,)),
    "gender": ReferenceHistogram((0.5, 0.5, 0.0), labels=("Female", "Male")),
    "hypertension": ReferenceHistogram((0.9, 0.1, 0.0), labels=("0", "1")),
    "probability": ReferenceHistogram((0.9, 0.1), cuts=(0.2,)),
}
HOUR = 3600.0


class Clock:
    seconds = 1_800_000_000.0

    def __call__(self) -> float:
        return self.seconds


def window(clock: Clock, *, folder: Path | None = None, worker: int = 1) -> DriftWindow:
    return DriftWindow(REFERENCES, hours=24, now=clock, folder=folder, worker=worker)


def counts(found: list[Drift]) -> dict[str, list[int]]:
    return {each.feature: each.observed.counts for each in found}


def test_each_value_is_counted_in_its_bin() -> None:
    counted = window(Clock())
    counted.count([prediction(0.1, age=30.0), prediction(0.5, age=70.0, gender="Other")])
    counted.count([prediction(0.3, age=50.0, hypertension=1)])

    assert counts(counted.drifts()) == {
        "age": [1, 2],
        "gender": [0, 2, 1],
        "hypertension": [2, 1, 0],
        "probability": [1, 2],
    }


def test_a_missing_measurement_is_counted_apart_by_each_worker(tmp_path: Path) -> None:
    references = {"bmi": ReferenceHistogram((0.5, 0.5), cuts=(25.0,), missing=0.04)}
    one, two = (
        DriftWindow(references, hours=24, now=Clock(), folder=tmp_path, worker=worker)
        for worker in (1, 2)
    )
    one.count([prediction(bmi=None), prediction(bmi=20.0), prediction(bmi=None)])
    two.count([prediction(bmi=30.0), prediction(bmi=None)])
    [found] = two.drifts()
    assert (found.observed.counts, found.observed.unknown, found.samples) == ([1, 1], 3, 5)


@pytest.mark.parametrize(("hours", "left"), [(0, 3), (23, 3), (24, 2), (26, 0), (24 * 30, 0)])
def test_what_is_older_than_the_window_drops_out_without_traffic(hours: int, left: int) -> None:
    clock = Clock()
    counted = window(clock)
    counted.count([prediction()])
    clock.seconds += HOUR
    counted.count([prediction(), prediction()])
    clock.seconds += hours * HOUR

    assert sum(counts(counted.drifts())["age"]) == left


def test_a_slot_that_comes_round_again_begins_at_zero() -> None:
    clock = Clock()
    counted = window(clock)
    for _ in range(3 * (SLOTS + 1)):
        counted.count([prediction(age=30.0)])
        clock.seconds += HOUR

    assert counts(counted.drifts())["age"] == [SLOTS, 0]


def test_workers_add_up_and_one_that_ended_keeps_what_it_counted(tmp_path: Path) -> None:
    clock = Clock()
    first, second = (window(clock, folder=tmp_path, worker=number) for number in (1, 2))
    first.count([prediction(age=30.0)])
    second.count([prediction(age=70.0), prediction(age=71.0)])
    del first

    assert counts(second.drifts())["age"] == [1, 2]
    assert counts(window(clock, folder=tmp_path, worker=3).drifts())["age"] == [1, 2]


def test_a_worker_with_the_number_of_one_that_ended_goes_on_with_its_counts(tmp_path: Path) -> None:
    clock = Clock()
    window(clock, folder=tmp_path).count([prediction(age=30.0)])
    again = window(clock, folder=tmp_path)
    again.count([prediction(age=70.0)])

    assert counts(again.drifts())["age"] == [1, 1]


def test_what_was_counted_in_other_bins_or_another_window_is_left_alone(tmp_path: Path) -> None:
    clock = Clock()
    window(clock, folder=tmp_path).count([prediction(age=30.0)])
    other_bins = REFERENCES | {"age": ReferenceHistogram((0.5, 0.5), cuts=(20.0,))}
    now = {
        "bins": DriftWindow(other_bins, hours=24, now=clock, folder=tmp_path, worker=1),
        "hours": DriftWindow(REFERENCES, hours=12, now=clock, folder=tmp_path, worker=1),
    }

    for which, fresh in now.items():
        assert counts(fresh.drifts())["age"] == [0, 0], which
    assert counts(window(clock, folder=tmp_path).drifts())["age"] == [1, 0]


def test_a_scrape_computes_the_index_of_what_the_observer_counted() -> None:
    registry = create_registry()
    metrics = DriftMetrics(registry)
    counted = window(Clock())
    metrics.watch(counted, "model-1")

    def value(name: str, feature: str) -> float | None:
        return registry.get_sample_value(name, {"feature": feature, "model_version": "model-1"})

    assert value("stroke_drift_samples", "age") == 0
    assert value("stroke_drift_psi", "age") is None
    PrometheusObserver(registry, counted).committed([prediction(age=30.0), prediction(age=60.0)], 1)
    assert value("stroke_drift_samples", "age") == 2
    assert value("stroke_drift_psi", "age") == pytest.approx(0)
    assert value("stroke_drift_psi", "gender") == pytest.approx(4.6047, abs=1e-3)


def test_without_a_window_nothing_is_reported() -> None:
    registry = create_registry()
    DriftMetrics(registry)
    assert not [s for m in registry.collect() for s in m.samples if "drift" in s.name]
