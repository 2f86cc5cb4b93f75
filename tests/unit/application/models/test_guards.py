"""When a canary is taken back by itself."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from builders.predictions import patient
from fakes.predictions import FakeRiskModel
from stroke.application.models.guards import Breach, CanaryGuard, Limits
from stroke.application.predictions.deployed import Deployed, ModelRun, Serving
from stroke.container.clock import utc_now
from stroke.domain.prediction import Prediction

LIMITS = Limits(patients=200, errors=2, seconds=0.1, band_shift=0.1, psi=0.25)
CHAMPION = FakeRiskModel(version="champion-1")


def stage(challenger: FakeRiskModel) -> tuple[CanaryGuard, Serving]:
    serving = Serving(CHAMPION)
    serving.swap(Deployed(CHAMPION, challenger, 0.5))
    return CanaryGuard(serving, LIMITS), serving


def made(model: FakeRiskModel, count: int) -> list[Prediction]:
    patients = [patient(age=20.0 + n * 7 % 75) for n in range(count)]
    return [
        Prediction(who, assessment, model.version, utc_now())
        for who, assessment in zip(patients, model.assess(patients), strict=True)
    ]


def judged(challenger: FakeRiskModel, count: int = 300) -> Breach | None:
    guard, _ = stage(challenger)
    guard.committed([*made(CHAMPION, count), *made(challenger, count)])
    for _ in range(30):
        guard.ran(ModelRun(challenger.version, 0.002, failed=False))
    return guard.breach()


def test_a_canary_that_says_the_same_goes_on() -> None:
    assert judged(FakeRiskModel(version="new-1")) is None
    assert judged(FakeRiskModel(version="new-1", shift=0.05)) is None


def test_a_shift_of_bands_or_scores_is_a_breach_once_there_are_enough_patients() -> None:
    far = judged(FakeRiskModel(version="new-1", shift=3.0))
    assert far is not None
    assert far.guard == "bands"
    assert judged(FakeRiskModel(version="new-1", shift=3.0), count=199) is None
    near = judged(FakeRiskModel(version="new-1", shift=-0.4))
    assert near is not None
    assert near.guard in {"bands", "psi"}


@pytest.mark.parametrize(
    ("runs", "guard"),
    [
        ([(0.001, True)] * 3, "errors"),
        ([(0.001, True)] * 2, None),
        ([(0.2, False)] * 20, "latency"),
        ([(0.2, False)] * 19, None),
        ([(0.05, False)] * 500, None),
    ],
)
def test_runs_that_fail_or_take_long_are_a_breach(
    runs: list[tuple[float, bool]], guard: str | None
) -> None:
    watched, _ = stage(FakeRiskModel(version="new-1"))
    for seconds, failed in runs:
        watched.ran(ModelRun("champion-1", 9, failed=True))  # the champion has no guard
        watched.ran(ModelRun("new-1", seconds, failed=failed))

    found = watched.breach()
    assert (None if found is None else found.guard) == guard


@pytest.mark.parametrize(
    "change",
    [
        lambda: Deployed(CHAMPION),
        lambda: Deployed(CHAMPION, FakeRiskModel(version="newer-1"), 0.5),
    ],
)
def test_what_was_counted_ends_with_the_canary(change: Callable[[], Deployed]) -> None:
    guard, serving = stage(FakeRiskModel(version="new-1"))
    for _ in range(9):
        guard.ran(ModelRun("new-1", 0.1, failed=True))
    assert guard.breach() is not None

    serving.swap(change())
    assert guard.breach() is None
