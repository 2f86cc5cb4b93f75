"""Shadows score after the answer, and whatever they do, nobody waits for them."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest

from builders.predictions import patient
from fakes.predictions import FakeColumnarRiskModel, FakeRiskModel
from stroke.application.models.shadows import Compared, ShadowScoring
from stroke.application.predictions.deployed import Deployed, Serving
from stroke.application.predictions.ports import RiskModel
from stroke.container.service import utc_now
from stroke.domain.errors import InvalidModel
from stroke.domain.patient import Patient
from stroke.domain.prediction import Prediction
from stroke.domain.risk import RiskAssessment

CHAMPION = FakeRiskModel(("bmi",), version="champion-1")


class Slow(FakeRiskModel):
    """Scores once ``gate`` is open."""

    def __init__(self) -> None:
        super().__init__(version="slow-1")
        self.gate = threading.Event()

    def assess(self, patients: Sequence[Patient]) -> list[RiskAssessment]:
        assert self.gate.wait(10)
        return super().assess(patients)


class Columnar(FakeColumnarRiskModel, FakeRiskModel):
    """Scores by columns; by patients it fails."""

    def __init__(self) -> None:
        FakeRiskModel.__init__(self, version="columnar-1")
        FakeColumnarRiskModel.__init__(self)

    def assess(self, patients: Sequence[Patient]) -> list[RiskAssessment]:
        raise AssertionError(patients)


def made(count: int, version: str = "champion-1", **values: object) -> list[Prediction]:
    patients = [patient(name=f"n{n}", age=30.0 + n % 60, **values) for n in range(count)]
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
        scoring.committed(commit)
    scoring.close()
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
    scoring.committed(made(5))
    assert threading.active_count() == before


def test_a_patient_who_lacks_what_a_shadow_needs_is_counted_and_not_compared() -> None:
    [seen] = compared([FakeRiskModel(version="strict-1")], [*made(3, bmi=None), *made(4)])
    assert (seen.not_comparable, len(seen.agreements)) == (3, 4)


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
        scoring.committed(made(20))  # returns, though the shadow scores nobody
    assert sum(each.dropped for each in seen) == 150

    slow.gate.set()
    scoring.close()
    assert sum(len(each.agreements) for each in seen) == 50
    scoring.committed(made(20))
    scoring.close()
    assert sum(len(each.agreements) for each in seen) == 70
