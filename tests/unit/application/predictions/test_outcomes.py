from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta

import pytest

from builders.predictions import NOON, prediction
from fakes.predictions import FakeOutcomeRepository, FakePredictionRepository
from stroke.application.predictions.outcomes import OutcomeService
from stroke.domain.errors import InvalidOutcome, OutcomeNotFound, PredictionNotFound
from stroke.domain.outcome import Outcome, OutcomeRecord

pytestmark = pytest.mark.anyio

DAY = NOON.date() + timedelta(days=30)


class Clock:
    def __init__(self) -> None:
        self.now = NOON + timedelta(days=100)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def predictions() -> FakePredictionRepository:
    return FakePredictionRepository()


@pytest.fixture
def repository(predictions: FakePredictionRepository) -> FakeOutcomeRepository:
    return FakeOutcomeRepository(predictions)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def service(repository: FakeOutcomeRepository, clock: Clock) -> OutcomeService:
    return OutcomeService(repository, now=clock)


def outcome(prediction_id: int, *, stroke: bool = True, day: date = DAY) -> Outcome:
    return Outcome(prediction_id, stroke, day, "register")


async def test_an_outcome_is_recorded_with_the_time(
    service: OutcomeService, predictions: FakePredictionRepository, clock: Clock
) -> None:
    [made] = await predictions.add([prediction()])

    recorded = await service.record(outcome(made))

    assert recorded == (OutcomeRecord(made, True, DAY, "register", clock.now), True)
    assert await service.find(made) == recorded[0]


async def test_the_same_outcome_again_changes_nothing_and_another_one_does(
    service: OutcomeService,
    predictions: FakePredictionRepository,
    repository: FakeOutcomeRepository,
    clock: Clock,
) -> None:
    [made] = await predictions.add([prediction()])
    first, _ = await service.record(outcome(made))
    clock.now += timedelta(hours=1)

    assert await service.record(outcome(made)) == (first, False)
    assert repository.puts == [1]
    changed, new = await service.record(outcome(made, stroke=False))
    assert (changed.stroke, changed.recorded_at, new) == (False, clock.now, False)


async def test_what_cannot_be_is_refused(
    service: OutcomeService, predictions: FakePredictionRepository
) -> None:
    [made] = await predictions.add([prediction()])

    with pytest.raises(PredictionNotFound):
        await service.record(outcome(99))
    with pytest.raises(InvalidOutcome, match="future"):
        await service.record(outcome(made, day=date(2030, 1, 1)))
    with pytest.raises(InvalidOutcome, match="before"):
        await service.record(outcome(made, day=NOON.date() - timedelta(days=2)))
    with pytest.raises(OutcomeNotFound):
        await service.find(made)
    with pytest.raises(PredictionNotFound):
        await service.find(99)


async def test_a_mistaken_outcome_is_taken_back(
    service: OutcomeService, predictions: FakePredictionRepository
) -> None:
    [made] = await predictions.add([prediction()])
    await service.record(outcome(made))

    await service.withdraw(made)

    with pytest.raises(OutcomeNotFound):
        await service.withdraw(made)


async def test_good_outcomes_are_recorded_and_the_others_are_reported(
    service: OutcomeService,
    predictions: FakePredictionRepository,
    repository: FakeOutcomeRepository,
) -> None:
    ids = await predictions.add([prediction() for _ in range(4)])
    await service.record(outcome(ids[0]))
    await service.record(outcome(ids[1]))
    wanted = [
        outcome(ids[0]),
        outcome(ids[1], stroke=False),
        outcome(77),
        outcome(ids[2]),
        outcome(ids[3], day=date(2030, 1, 1)),
    ]

    tried = await service.record_many(wanted, dry_run=True)
    assert repository.puts == [1, 1]
    tally = await service.record_many(wanted)

    assert (tally.new, tally.changed, tally.unchanged) == (1, 1, 1)
    assert tally.refused == {
        2: "no prediction has this id",
        4: "date must not lie in the future",
    }
    assert tried == tally
    assert repository.puts == [1, 1, 2]
    assert not (await service.find(ids[1])).stroke


async def test_a_prediction_that_is_erased_meanwhile_is_looked_for_again(
    predictions: FakePredictionRepository, clock: Clock
) -> None:
    one, other = await predictions.add([prediction(), prediction()])

    class Racing(FakeOutcomeRepository):
        async def put(self, outcomes: Sequence[OutcomeRecord]) -> None:
            predictions.rows.pop(one, None)
            await super().put(outcomes)

    service = OutcomeService(Racing(predictions), now=clock)
    tally = await service.record_many([outcome(one), outcome(other)])

    assert (tally.new, tally.refused) == (1, {0: "no prediction has this id"})
    assert predictions.outcomes.keys() == {other}
