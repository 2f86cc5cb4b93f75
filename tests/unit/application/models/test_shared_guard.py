"""When a canary is taken back for what all workers have stored, outcomes included."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pytest

from builders.predictions import NOON, outcome, prediction
from fakes.models import FakeAnsweredRisks, FakeDeploymentStore, FakeTurns
from fakes.predictions import FakeOutcomeRepository, FakePredictionRepository, FakeRiskModel
from stroke.application.models.guards import Breach, Limits
from stroke.application.models.shared_guard import (
    Judged,
    OutcomeLimits,
    SharedGuard,
    difference,
    worse,
)
from stroke.application.predictions.deployed import Deployed
from stroke.application.quality.discrimination import proportion_interval
from stroke.domain.deployment import Change, Deployment
from stroke.domain.errors import StoreUnavailable

LIMITS = Limits(patients=50, errors=0, seconds=1, band_shift=0.1, psi=0.25)
OF_OUTCOMES = OutcomeLimits(outcomes=200, strokes=20, oe_ratio=1.5, auc_drop=0.05)
CHAMPION = FakeRiskModel(version="champion-1")
CANARY = FakeRiskModel(version="canary-1")
MINUTE = timedelta(seconds=60)


class Stage:
    """A canary that began at ``NOON``, and the guard of one of its workers."""

    def __init__(self, newest: int = 1_000) -> None:
        self.predictions = FakePredictionRepository()
        self.outcomes = FakeOutcomeRepository(self.predictions)
        self.deployments = FakeDeploymentStore()
        self.turns = FakeTurns()
        self.now = NOON + timedelta(days=30)
        self.newest = newest
        begun = Deployment.of_setting("champion-1").begun(Change(NOON, "user:ops"))
        canary = begun.with_canary("canary-1", 0.5, Change(NOON, "user:ops"))
        self.deployments.kept = {each.number: each for each in (begun, canary)}
        self.deployed = Deployed(CHAMPION, CANARY, 0.5, number=canary.number)

    def worker(self) -> SharedGuard:
        return SharedGuard(
            self.deployments,
            FakeAnsweredRisks(self.predictions),
            self.outcomes,
            self.turns,
            limits=LIMITS,
            outcome_limits=OF_OUTCOMES,
            newest=self.newest,
            every=MINUTE,
            now=lambda: self.now,
        )

    async def store(
        self,
        version: str,
        probabilities: list[float],
        strokes: list[bool] | None = None,
        made_at: datetime = NOON,
    ) -> None:
        made = [prediction(p, model_version=version, made_at=made_at) for p in probabilities]
        ids = await self.predictions.add(made)
        if strokes is not None:
            known = zip(ids, strokes, strict=True)
            await self.outcomes.put([outcome(number, stroke=had) for number, had in known])

    async def breach(self) -> Breach | None:
        return await self.worker().breach(self.deployed)


def population(seed: int, size: int = 3_000) -> tuple[Judged, np.random.Generator]:
    """Return patients about whom a model is right, with some 12 % of strokes."""
    draw = np.random.default_rng(seed)
    risk = 1 / (1 + np.exp(-draw.normal(-2.5, 1.2, size)))
    return Judged((draw.random(size) < risk).astype(np.int64), risk), draw


def off_by(found: Judged, *, intercept: float = 0, slope: float = 1) -> Judged:
    logit = np.log(found.probability / (1 - found.probability))
    return Judged(found.outcome, 1 / (1 + np.exp(-(slope * logit + intercept))))


def test_a_canary_that_is_as_right_as_the_champion_goes_on_whatever_the_seed() -> None:
    for seed in range(20):
        champion, canary = population(seed)[0], population(seed + 1_000)[0]
        assert worse(champion, canary, OF_OUTCOMES) is None


@pytest.mark.parametrize("intercept", [-1.2, 1.2])
def test_a_canary_whose_risks_are_far_too_low_or_high_is_a_breach(intercept: float) -> None:
    for seed in range(5):
        champion, canary = population(seed)[0], population(seed + 1_000)[0]
        found = worse(champion, off_by(canary, intercept=intercept), OF_OUTCOMES)
        assert found is not None
        assert found.guard == "calibration"
        # The canary that is the better one of both is none.
        assert worse(off_by(champion, intercept=intercept), canary, OF_OUTCOMES) is None


def test_a_canary_that_cannot_tell_who_has_a_stroke_is_a_breach() -> None:
    champion, _ = population(1)
    canary, draw = population(2)
    shuffled = Judged(canary.outcome, draw.permutation(canary.probability))

    found = worse(champion, shuffled, OF_OUTCOMES)

    assert found is not None
    assert found.guard == "auc"
    assert worse(shuffled, champion, OF_OUTCOMES) is None


def test_a_difference_that_may_be_chance_is_no_breach() -> None:
    champion, canary = population(1, size=250)[0], population(2, size=250)[0]
    assert worse(champion, off_by(canary, intercept=0.5), OF_OUTCOMES) is None


def test_the_interval_of_a_difference_is_zou_and_donners() -> None:
    # Newcombe's score interval of 56/70 less 48/80 (1998, Statistics in Medicine 17:873, method
    # 10, example a): 0.2 (0.0524 to 0.3339).
    first, second = proportion_interval(56, 70), proportion_interval(48, 80)
    assert difference(first, second) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)
    assert difference(second, first) == pytest.approx((-0.2, -0.3339, -0.0524), abs=5e-5)


@pytest.mark.anyio
async def test_outcomes_that_come_weeks_later_take_a_canary_back() -> None:
    stage = Stage()
    champion, canary = population(3, size=900)[0], population(4, size=900)[0]
    low = off_by(canary, intercept=-0.05)
    for version, judged in (("champion-1", champion), ("canary-1", low)):
        strokes = (judged.outcome == 1).tolist()
        await stage.store(version, judged.probability.tolist(), strokes)
    assert await stage.breach() is None

    stage = Stage()
    shuffled = np.random.default_rng(5).permutation(canary.probability)
    for version, risks, judged in (
        ("champion-1", champion.probability, champion),
        ("canary-1", shuffled, canary),
    ):
        await stage.store(version, risks.tolist(), (judged.outcome == 1).tolist())
    found = await stage.breach()
    assert found is not None
    assert found.guard == "auc"


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("patients", "strokes"), [(199, 40), (400, 19), (201, 200), (0, 0)], ids=str
)
async def test_few_outcomes_say_nothing(patients: int, strokes: int) -> None:
    stage = Stage()
    for version, far in (("champion-1", 0.5), ("canary-1", 0.500001)):
        had = [True] * strokes + [False] * (patients - strokes)
        # The canary has the highest risk for those who had none.
        risks = [far + (n if version == "champion-1" else -n) / 1e4 for n in range(patients)][::-1]
        await stage.store(version, risks, had)
    assert await stage.breach() is None


@pytest.mark.anyio
async def test_bands_are_judged_over_all_workers_by_what_was_stored_since_the_canary_began() -> (
    None
):
    stage = Stage()
    await stage.store("champion-1", [0.01] * 60)
    await stage.store("canary-1", [0.9] * 49)
    await stage.store("canary-1", [0.9] * 49, made_at=NOON - MINUTE)
    assert await stage.breach() is None

    stage.now += MINUTE
    await stage.store("canary-1", [0.9])
    found = await stage.breach()
    assert found is not None
    assert found.guard == "bands"


@pytest.mark.anyio
async def test_only_the_time_that_both_cover_is_compared() -> None:
    # By night all are at low risk. The champion's newest 100 are of the day.
    stage = Stage(newest=100)
    await stage.store("champion-1", [0.01] * 300)
    await stage.store("canary-1", [0.01] * 40)
    day = NOON + timedelta(hours=8)
    await stage.store("champion-1", [0.9] * 100, made_at=day)
    await stage.store("canary-1", [0.9] * 60, made_at=day)

    assert await stage.breach() is None


@pytest.mark.anyio
async def test_one_of_all_workers_judges_in_each_interval() -> None:
    stage = Stage()
    await stage.store("champion-1", [0.01] * 60)
    await stage.store("canary-1", [0.9] * 60)
    workers = [stage.worker() for _ in range(4)]

    for _ in range(3):
        found = [await each.breach(stage.deployed) for each in workers]
        assert [each is not None for each in found] == [True, False, False, False]
        stage.now += MINUTE


@pytest.mark.anyio
async def test_a_canary_that_is_gone_or_another_one_is_not_judged() -> None:
    stage = Stage()
    await stage.store("champion-1", [0.01] * 60)
    await stage.store("canary-1", [0.9] * 60)

    assert await stage.worker().breach(Deployed(CHAMPION)) is None
    assert stage.turns.taken == {}, "without a canary nobody takes a turn"
    former = Deployed(CHAMPION, CANARY, 0.5, number=1)
    assert await stage.worker().breach(former) is None


@pytest.mark.anyio
async def test_a_database_that_is_away_is_an_error_and_no_breach() -> None:
    stage = Stage()
    stage.turns.failing = StoreUnavailable("away")
    with pytest.raises(StoreUnavailable):
        await stage.breach()
