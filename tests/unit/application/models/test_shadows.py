"""Shadows score after the answer, and whatever they do, nobody waits for them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from typing import Any

import numpy as np
import pytest

from builders.further import OF_ALL_KINDS
from builders.predictions import NOON, patient
from fakes.models import FakeShadowScores
from fakes.predictions import FakeColumnarRiskModel, FakePredictionRepository, FakeRiskModel
from stroke.application.models.shadows import (
    Compared,
    ShadowScoring,
    Spent,
    Storing,
    Yielding,
)
from stroke.application.predictions.columnar import Scores
from stroke.application.predictions.deployed import Deployed, Serving
from stroke.application.predictions.ports import RiskModel
from stroke.container.clock import utc_now
from stroke.domain.errors import InvalidModel, StoreUnavailable
from stroke.domain.patient import Patient, extended
from stroke.domain.prediction import Prediction
from stroke.domain.risk import RiskAssessment
from stroke.domain.shadow import ShadowScore, WhyNot

CHAMPION = FakeRiskModel(("bmi",), version="champion-1")


class Slow(FakeRiskModel):
    """Scores once ``gate`` is open."""

    def __init__(self) -> None:
        super().__init__(version="slow-1")
        self.gate = threading.Event()

    def assess(self, patients: Sequence[Patient]) -> list[RiskAssessment]:
        assert self.gate.wait(60)
        return super().assess(patients)


class Columnar(FakeColumnarRiskModel, FakeRiskModel):
    """Scores by columns; by patients it fails."""

    def __init__(self) -> None:
        FakeRiskModel.__init__(self, version="columnar-1")
        FakeColumnarRiskModel.__init__(self)

    def assess(self, patients: Sequence[Patient]) -> list[RiskAssessment]:
        raise AssertionError(patients)


def made(number: int, version: str = "champion-1", **values: object) -> list[Prediction]:
    patients = [patient(name=f"n{n}", age=30.0 + n % 60, **values) for n in range(number)]
    return [
        Prediction(who, assessment, version, utc_now())
        for who, assessment in zip(patients, CHAMPION.assess(patients), strict=True)
    ]


def compared(
    shadows: Sequence[RiskModel], *commits: list[Prediction], most_waiting: int = 1000
) -> list[Compared]:
    serving = Serving(CHAMPION)
    serving.swap(Deployed(CHAMPION, shadows=tuple(shadows)))
    seen: list[Compared] = []
    scoring = ShadowScoring(serving, most_waiting=most_waiting, seen=seen.append)
    for commit in commits:
        scoring.committed(commit, range(1, len(commit) + 1))
    scoring.close(60)
    return seen


def test_each_patient_of_the_champion_is_compared_with_each_shadow() -> None:
    other = FakeRiskModel(version="other-1", shift=2.0)
    same = FakeRiskModel(version="same-1")

    seen = compared([other, same], made(40), made(20))

    for shadow in (other, same):
        found = [a for c in seen if c.version == shadow.version for a in c.agreements]
        assert len(found) == 60
        right = shadow.assess([each.patient for each in (*made(40), *made(20))])
        answered = [each.assessment for each in (*made(40), *made(20))]
        assert [a.shadow for a in found] == [each.category for each in right]
        assert [a.champion for a in found] == [each.category for each in answered]
        assert [a.difference for a in found] == pytest.approx(
            [r.probability - a.probability for r, a in zip(right, answered, strict=True)]
        )


def test_a_model_that_takes_columns_is_asked_by_columns() -> None:
    [seen] = compared([Columnar()], made(30))
    assert [each.difference for each in seen.agreements] == pytest.approx([0] * 30)
    assert all(each.champion is each.shadow for each in seen.agreements)


def test_what_a_challenger_answered_is_not_compared() -> None:
    assert compared([FakeRiskModel(version="other-1")], made(5, "challenger-1")) == []


def test_without_shadows_no_thread_begins() -> None:
    before = threading.active_count()
    scoring = ShadowScoring(Serving(CHAMPION), most_waiting=9, seen=lambda _: None)
    scoring.committed(made(5), range(5))
    assert threading.active_count() == before


def test_a_patient_who_lacks_what_a_shadow_needs_is_counted_and_not_compared() -> None:
    [seen] = compared([FakeRiskModel(version="strict-1")], [*made(3, bmi=None), *made(4)])
    assert (seen.not_comparable, len(seen.agreements)) == (3, 4)


def test_a_patient_without_what_only_a_shadow_declares_is_not_compared() -> None:
    strict = FakeRiskModel(("bmi",), version="own-1", further=OF_ALL_KINDS)
    own = (("waist", 90.0), ("diabetes", 0), ("alcohol", None))
    predictions = made(10)
    some = [replace(each, patient=extended(each.patient, own)) for each in predictions[:4]]

    [found] = compared([strict], [*some, *predictions[4:]])

    assert (len(found.agreements), found.not_comparable, found.failed) == (4, 6, 0)


def test_a_shadow_that_fails_is_counted_and_the_others_go_on() -> None:
    broken = FakeRiskModel(version="broken-1")
    broken.failing = InvalidModel("broken")
    seen = compared([broken, FakeRiskModel(version="other-1")], made(7))

    assert {each.version: (each.failed, len(each.agreements)) for each in seen} == {
        "broken-1": (7, 0),
        "other-1": (0, 7),
    }


def test_more_than_may_wait_are_dropped_at_once_and_counted() -> None:
    slow = Slow()
    serving = Serving(CHAMPION)
    serving.swap(Deployed(CHAMPION, shadows=(slow,)))
    seen: list[Compared] = []
    scoring = ShadowScoring(serving, most_waiting=50, seen=seen.append)

    for _ in range(10):
        scoring.committed(made(20), range(20))  # returns, though the shadow scores nobody
    assert sum(each.dropped for each in seen) == 150

    slow.gate.set()
    scoring.close(60)
    assert sum(len(each.agreements) for each in seen) == 50
    scoring.committed(made(20), range(20))
    scoring.close(60)
    assert sum(len(each.agreements) for each in seen) == 70


class StepByStep(FakeRiskModel):
    """Scores once for each ``release``; ``begun`` counts the runs that wait or are done."""

    def __init__(self) -> None:
        super().__init__(version="step-1")
        self.begun = threading.Semaphore(0)
        self.release = threading.Semaphore(0)

    def assess(self, patients: Sequence[Patient]) -> list[RiskAssessment]:
        self.begun.release()
        assert self.release.acquire(timeout=60)
        return super().assess(patients)


@pytest.mark.parametrize(
    ("ran", "waited", "dropped"), [(0.0, 0.0, 0), (1000.0, 0.0, 10), (0.0, 1000.0, 10)]
)
def test_a_busy_worker_drops_what_shadows_have_no_time_for(
    ran: float, waited: float, dropped: int
) -> None:
    shadow = StepByStep()
    serving = Serving(CHAMPION)
    serving.swap(Deployed(CHAMPION, shadows=(shadow,)))
    seen: list[Compared] = []
    looks = count(1)
    asked: list[int] = []

    def spent(thread: int) -> Spent:
        asked.append(thread)
        look = next(looks)
        return Spent(look * ran, look * waited)

    scoring = ShadowScoring(
        serving,
        most_waiting=1000,
        seen=seen.append,
        gather=0,
        yielding=Yielding(busy=0.5, share=1e-9, spent=spent),
    )
    scoring.committed(made(10), range(10))
    assert shadow.begun.acquire(timeout=60)
    scoring.committed(made(10), range(10, 20))  # nothing is known yet of what a patient costs
    shadow.release.release()
    assert shadow.begun.acquire(timeout=60)  # the first run is done, and the second began
    scoring.committed(made(10), range(20, 30))

    assert sum(each.dropped for each in seen) == dropped
    assert set(asked) == {threading.get_native_id()}, "the thread that answers"
    shadow.release.release(9)
    scoring.close(60)
    assert sum(len(each.agreements) for each in seen) == 30 - dropped
    scoring.committed(made(10), range(30, 40))  # a new thread knows nothing of the time before
    scoring.close(60)
    assert sum(len(each.agreements) for each in seen) == 40 - dropped


def test_a_probability_that_is_none_is_a_failure_of_the_shadow() -> None:
    class Nan(Columnar):
        def score(self, *arguments: Any, **named: Any) -> Scores:
            scores = super().score(*arguments, **named)
            scores.probability[0] = np.nan
            return scores

    [seen] = compared([Nan()], made(4))

    assert (seen.failed, len(seen.agreements)) == (4, 0)
    assert isinstance(seen.error, InvalidModel)


class Stage:
    """Shadows beside a store, and predictions that are stored in the champion's name."""

    def __init__(self, *shadows: RiskModel, most_waiting: int = 1000) -> None:
        self.predictions = FakePredictionRepository()
        self.store = FakeShadowScores(self.predictions)
        self.seen: list[Compared] = []
        self.opened: list[str] = []
        serving = Serving(CHAMPION)
        serving.swap(Deployed(CHAMPION, shadows=shadows))
        self.scoring = ShadowScoring(
            serving,
            most_waiting=most_waiting,
            seen=self.seen.append,
            gather=0.01,
            storing=Storing(self._open, lambda: NOON),
        )

    def _open(self) -> FakeShadowScores:
        self.opened.append(threading.current_thread().name)
        return self.store

    def commit(self, predictions: Sequence[Prediction]) -> list[int]:
        ids = asyncio.run(self.predictions.add(predictions))
        self.scoring.committed(predictions, ids)
        return ids


def test_what_shadows_say_is_stored_by_their_own_thread_run_by_run() -> None:
    stage = Stage(FakeRiskModel(version="other-1", shift=2.0), FakeRiskModel(version="third-1"))
    commits = [made(40), made(30), [*made(2, "challenger-1"), *made(1, bmi=None)]]
    ids = [stage.commit(each) for each in commits]
    stage.scoring.close(60)

    assert stage.opened == ["shadows"]
    assert stage.store.closed == 1
    assert len(stage.store.calls) <= 2 * len(commits), "runs of several commits are one transaction"
    assert {number for _, number in stage.store.kept} == {*ids[0], *ids[1], ids[2][-1]}
    for version, shift in (("other-1", 2.0), ("third-1", 0.0)):
        right = FakeRiskModel(version=version, shift=shift).assess([m.patient for m in commits[0]])
        for number, said in zip(ids[0], right, strict=True):
            assert stage.store.kept[version, number] == ShadowScore(
                number, version, NOON, said.probability, said.category
            )
        gap = stage.store.kept[version, ids[2][-1]]
        assert gap == ShadowScore(ids[2][-1], version, NOON, why_not=WhyNot.LACKING)


def test_that_a_shadow_failed_is_stored() -> None:
    broken = FakeRiskModel(version="broken-1")
    broken.failing = InvalidModel("broken")
    stage = Stage(broken)
    [number] = stage.commit(made(1))
    stage.scoring.close(60)

    kept = stage.store.kept["broken-1", number]
    assert (kept.probability, kept.category, kept.why_not) == (None, None, WhyNot.FAILED)


def test_a_store_that_is_away_costs_the_scores_and_nothing_else() -> None:
    stage = Stage(FakeRiskModel(version="other-1"))
    stage.store.failing = StoreUnavailable("away")
    for _ in range(5):
        stage.commit(made(10))
    stage.scoring.close(60)

    assert sum(len(each.agreements) for each in stage.seen) == 50
    assert sum(each.not_stored for each in stage.seen) == 50
    assert stage.store.kept == {}

    stage.store.failing = None  # the next thread begins anew
    stage.commit(made(10))
    stage.scoring.close(60)
    assert len(stage.store.kept) == 10


def test_a_store_that_cannot_be_opened_costs_the_scores_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stage = Stage(FakeRiskModel(version="other-1"))
    monkeypatch.delattr(stage, "store")
    stage.commit(made(10))
    stage.scoring.close(60)

    assert [(len(each.agreements), each.not_stored) for each in stage.seen] == [(10, 10)]


def test_a_store_that_hangs_lets_patients_be_dropped_and_nobody_waits() -> None:
    stage = Stage(FakeRiskModel(version="other-1"), most_waiting=30)
    held = threading.Event()
    add = stage.store.add

    async def hang(scores: Sequence[ShadowScore]) -> int:
        assert held.wait(60)
        return await add(scores)

    stage.store.add = hang  # type: ignore[method-assign]
    for _ in range(10):
        stage.commit(made(10))  # returns, though nothing is stored

    assert sum(each.dropped for each in stage.seen) == 70
    held.set()
    stage.scoring.close(60)
    assert len(stage.store.kept) == 30


def test_what_was_erased_before_it_was_scored_is_not_stored() -> None:
    slow = Slow()
    stage = Stage(slow)
    ids = stage.commit(made(10))
    asyncio.run(stage.predictions.remove(ids[4]))
    slow.gate.set()
    stage.scoring.close(60)

    assert {number for _, number in stage.store.kept} == {*ids} - {ids[4]}
