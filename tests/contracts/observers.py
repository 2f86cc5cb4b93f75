"""Behaviour that every observer of predictions or of the pipeline shares (see ``contracts``)."""

from __future__ import annotations

from abc import ABC, abstractmethod

import pytest

from builders.predictions import prediction
from contracts.predictions import AWKWARD_NAMES, PATIENTS
from stroke.application.pipeline.consistency import LISTED, Comparison, Discrepancy
from stroke.application.pipeline.ports import PipelineObserver
from stroke.application.predictions.ports import PredictionObserver


class SeenPredictions(ABC):
    """An observer, and what it has received."""

    observer: PredictionObserver

    @abstractmethod
    def commits(self) -> int:
        """Return how many commits there were."""

    @abstractmethod
    def predictions(self) -> int:
        """Return how many predictions they made durable together."""


class PredictionObserverContract:
    """Provide a fixture ``seen``, new for each test."""

    def test_commits_and_their_predictions_add_up(self, seen: SeenPredictions) -> None:
        seen.observer.committed([prediction(0.01), prediction(0.5), prediction(0.6)], 0.004)
        seen.observer.committed([prediction(1.0)], 0.0)

        assert (seen.commits(), seen.predictions()) == (2, 4)

    def test_a_commit_of_nothing_is_a_commit(self, seen: SeenPredictions) -> None:
        seen.observer.committed([], 0.01)

        assert (seen.commits(), seen.predictions()) == (1, 0)

    def test_predictions_of_two_models_may_share_a_commit(self, seen: SeenPredictions) -> None:
        seen.observer.committed([prediction(), prediction(model_version='a "second" \\ one')], 1)

        assert (seen.commits(), seen.predictions()) == (1, 2)

    @pytest.mark.parametrize("name", AWKWARD_NAMES)
    def test_no_text_of_a_patient_makes_it_raise(self, seen: SeenPredictions, name: str) -> None:
        seen.observer.committed([prediction(name=name, country=name, province=name)], 0.01)

        assert seen.predictions() == 1

    @pytest.mark.parametrize("probability", [0.0, 5e-324, 0.02, 1 - 2**-53, 1.0])
    def test_no_patient_and_no_risk_makes_it_raise(
        self, seen: SeenPredictions, probability: float
    ) -> None:
        fields = ("gender", "age", "hypertension", "avg_glucose_level", "bmi", "smoking_status")
        made = [
            prediction(probability, **{name: getattr(one, name) for name in fields})
            for one in PATIENTS
        ]

        seen.observer.committed(made, 3600.0)

        assert (seen.commits(), seen.predictions()) == (1, len(PATIENTS))


class SeenPipeline(ABC):
    """An observer, and what it has received. What was not received is None."""

    observer: PipelineObserver

    @abstractmethod
    def running(self, name: str) -> bool | None:
        """Return whether a connector ran when it was last seen."""

    @abstractmethod
    def restarts(self, name: str) -> int:
        """Return how often a connector was restarted."""

    @abstractmethod
    def unhealed(self, name: str) -> int | None:
        """Return how many restarts in a row did not heal a connector's failure."""

    @abstractmethod
    def failed(self, name: str) -> list[str]:
        """Return the causes of a sink's failure that are known, in words."""

    @abstractmethod
    def sink(self, name: str) -> tuple[int, bool] | None:
        """Return a sink's last lag, and whether it was stalled."""

    @abstractmethod
    def gap(self) -> int | None:
        """Return the last gap of the lake."""

    @abstractmethod
    def compared(self, replica: str) -> dict[str, int] | None:
        """Return rows, duplicates and the count of each ``Discrepancy`` of a last comparison."""


class PipelineObserverContract:
    """Provide a fixture ``seen``, new for each test."""

    def test_nothing_is_known_before_it_happens(self, seen: SeenPipeline) -> None:
        assert (seen.running("a"), seen.restarts("a"), seen.sink("a")) == (None, 0, None)
        assert seen.compared("sql") is None

    def test_the_last_state_of_each_connector_counts(self, seen: SeenPipeline) -> None:
        seen.observer.connector("a", running=True)
        seen.observer.connector("b", running=True)
        seen.observer.connector("a", running=False)

        assert (seen.running("a"), seen.running("b")) == (False, True)

    def test_restarts_add_up_for_each_connector(self, seen: SeenPipeline) -> None:
        seen.observer.restarted("a")  # before anyone said that there is one
        seen.observer.connector("a", running=True)
        seen.observer.connector("b", running=True)
        seen.observer.restarted("a")

        assert (seen.restarts("a"), seen.restarts("b")) == (2, 0)

    def test_restarts_that_do_not_heal_are_counted_until_one_does(self, seen: SeenPipeline) -> None:
        seen.observer.unhealed("a", restarts=3)
        seen.observer.unhealed("b", restarts=4)
        seen.observer.unhealed("a", restarts=0)

        assert (seen.unhealed("a"), seen.unhealed("b")) == (0, 4)

    def test_the_last_failure_of_each_sink_is_known_until_it_writes(
        self, seen: SeenPipeline
    ) -> None:
        assert seen.failed("a") == []
        seen.observer.sink_failed("a", "")
        assert seen.failed("a") == []

        for cause in ("S3 fails", "S3 fails", "the disk is full"):
            seen.observer.sink_failed("a", cause)
            seen.observer.sink_failed("b", cause)
            assert seen.failed("a") == [cause]

        for _ in range(2):
            seen.observer.sink_failed("a", "")
            assert (seen.failed("a"), seen.failed("b")) == ([], ["the disk is full"])

    def test_the_last_lag_of_each_sink_counts(self, seen: SeenPipeline) -> None:
        seen.observer.sink("a", lag=7, stalled=True)
        seen.observer.sink("b", lag=2**40, stalled=True)
        seen.observer.sink("a", lag=0, stalled=False)

        assert (seen.sink("a"), seen.sink("b")) == ((0, False), (2**40, True))

    def test_a_gap_closes_again(self, seen: SeenPipeline) -> None:
        seen.observer.lake_gap(40)
        assert seen.gap() == 40

        seen.observer.lake_gap(0)
        assert seen.gap() == 0

    def test_the_last_comparison_of_each_replica_counts(self, seen: SeenPipeline) -> None:
        seen.observer.verified(
            [
                Comparison("sql", rows=9, missing=[1, 2], extra=[30], different=[4, 5, 6]),
                Comparison("s3", rows=10, duplicates=9),
            ]
        )
        seen.observer.verified([Comparison("sql", rows=11, missing=[2]), Comparison("s3", rows=11)])

        assert seen.compared("sql") == {
            "rows": 11,
            "duplicates": 0,
            "missing": 1,
            "extra": 0,
            "different": 0,
        }
        assert seen.compared("s3") == {
            "rows": 11,
            "duplicates": 0,
            "missing": 0,
            "extra": 0,
            "different": 0,
        }

    def test_ids_count_whether_they_are_listed_or_not(self, seen: SeenPipeline) -> None:
        comparison = Comparison("sql", rows=1)
        for number in range(LISTED + 3):
            comparison.add(Discrepancy.EXTRA, number)

        seen.observer.verified([comparison])

        assert (seen.compared("sql") or {})["extra"] == LISTED + 3

    def test_a_comparison_without_replicas_is_none(self, seen: SeenPipeline) -> None:
        seen.observer.verified([Comparison("sql", rows=3)])
        seen.observer.verified([])

        assert (seen.compared("sql") or {})["rows"] == 3

    @pytest.mark.parametrize("name", AWKWARD_NAMES)
    def test_no_name_makes_it_raise(self, seen: SeenPipeline, name: str) -> None:
        seen.observer.connector(name, running=True)
        seen.observer.restarted(name)
        seen.observer.sink(name, lag=1, stalled=False)

        assert (seen.running(name), seen.restarts(name)) == (True, 1)
        assert seen.sink(name) == (1, False)
