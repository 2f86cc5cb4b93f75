"""Behaviour that every implementation of a port of the models wing shares; see contracts.py."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from typing import NamedTuple

import pytest

from builders.predictions import NOON, prediction
from stroke.application.models.ports import (
    AnsweredRisks,
    DeploymentStore,
    ShadowScores,
    Turns,
    Webhook,
)
from stroke.application.predictions.ports import PredictionRepository
from stroke.domain.canary import AnsweredRisk
from stroke.domain.deployment import Change, Deployment
from stroke.domain.errors import (
    DeploymentChanged,
    EndpointUnavailable,
    PredictionRejected,
    StoreUnavailable,
)
from stroke.domain.prediction import Origin, PredictionFilter
from stroke.domain.risk import RiskCategory
from stroke.domain.shadow import ShadowPair, ShadowScore, WhyNot


def history() -> list[Deployment]:
    """Return a history with each kind of change, texts that are awkward, and microseconds."""
    by = Change(NOON + timedelta(microseconds=1), "user:Ünïcödé 山田 😀", 'it\'s "better" \\ %s')
    begun = Deployment.of_setting("base-1").begun(by)
    entries = [begun]
    steps: tuple[Callable[[Deployment], Deployment], ...] = (
        lambda last: last.with_shadow("shadow-1", by, most=2),
        lambda last: last.with_canary("candidate-1", 0.1, by),
        lambda last: last.with_canary("candidate-1", 1 / 3, Change(NOON, "key:1", None)),
        lambda last: last.without_canary(by, breached=True),
        lambda last: last.promoted("candidate-1", by),
        lambda last: last.rolled_back(by),
        lambda last: last.without_shadow("shadow-1", by),
    )
    for following in steps:
        entries.append(following(entries[-1]))
    return entries


@pytest.mark.anyio
class DeploymentStoreContract:
    """Provide fixtures ``store``, empty, and ``away``, a store that does not answer."""

    async def test_an_empty_store_has_no_deployment(self, store: DeploymentStore) -> None:
        assert await store.latest() is None
        assert await store.history(limit=10) == []

    async def test_deployments_come_back_as_they_were_and_the_last_one_holds(
        self, store: DeploymentStore
    ) -> None:
        entries = history()

        await store.append(entries[:2])
        for entry in entries[2:]:
            await store.append([entry])

            assert await store.latest() == entry
        assert await store.history(limit=100) == entries[::-1]
        assert all(a.number + 1 == b.number for a, b in pairwise(entries))

    async def test_the_history_is_read_page_by_page(self, store: DeploymentStore) -> None:
        await store.append(history())

        assert [each.number for each in await store.history(limit=3)] == [8, 7, 6]
        assert [each.number for each in await store.history(limit=3, before=6)] == [5, 4, 3]
        assert [each.number for each in await store.history(limit=9, before=2)] == [1]
        assert await store.history(limit=9, before=1) == []

    async def test_of_several_who_change_the_same_deployment_one_is_let_in(
        self, store: DeploymentStore
    ) -> None:
        begun, second, *_ = history()
        await store.append([begun])

        async def append() -> bool:
            try:
                await store.append([second])
            except DeploymentChanged:
                return False
            return True

        assert sorted(await asyncio.gather(*(append() for _ in range(5)))) == [False] * 4 + [True]
        assert await store.history(limit=9) == [second, begun]

    async def test_all_entries_are_added_or_none(self, store: DeploymentStore) -> None:
        begun, second, *_ = history()
        await store.append([begun])

        with pytest.raises(DeploymentChanged):
            await store.append([begun, second])
        assert await store.latest() == begun

    async def test_every_call_says_that_the_store_is_away(self, away: DeploymentStore) -> None:
        with pytest.raises(StoreUnavailable):
            await away.latest()
        with pytest.raises(StoreUnavailable):
            await away.history(limit=1)
        with pytest.raises(StoreUnavailable):
            await away.append(history()[:1])


EVERYTHING = PredictionFilter()


class Scored(NamedTuple):
    """A store of scores beside the predictions that they are of."""

    scores: ShadowScores
    predictions: PredictionRepository

    async def ids(self, *sites: str | None) -> list[int]:
        """Store a prediction of each of these sites."""
        made = [prediction(0.1, origin=Origin(site=each)) for each in sites]
        return await self.predictions.add(made)

    async def found(
        self, version: str, within: PredictionFilter = EVERYTHING, **page: int
    ) -> list[int]:
        """Return the ids of pairs."""
        pairs = await self.scores.pairs(version, within, limit=page.pop("limit", 100), **page)
        return [each.prediction_id for each in pairs]


def score(number: int, version: str = "shadow-1", probability: float = 0.2) -> ShadowScore:
    return ShadowScore(number, version, NOON, probability, RiskCategory.MEDIUM)


@pytest.mark.anyio
class ShadowScoresContract:
    """Provide fixtures ``scored``, empty, and ``away``, a store that does not answer."""

    async def test_an_empty_store_knows_no_shadow(self, scored: Scored) -> None:
        assert await scored.scores.versions() == []
        assert await scored.found("shadow-1") == []
        assert await scored.scores.add([]) == 0

    async def test_a_score_comes_back_beside_what_was_answered(self, scored: Scored) -> None:
        one, other, third = await scored.ids(None, None, None)
        tiny = 1e-300
        said = [
            score(one, probability=tiny),
            ShadowScore(other, "shadow-1", NOON, why_not=WhyNot.LACKING),
            ShadowScore(third, 'a "second" \\ 山田', NOON, why_not=WhyNot.FAILED),
        ]

        assert await scored.scores.add(said) == 3

        answered = prediction(0.1)
        who = answered.patient
        beside = (answered.model_version, 0.1, str(answered.assessment.category))
        about = (who.gender, who.age, who.smoking_status)
        assert await scored.scores.pairs("shadow-1", EVERYTHING, limit=9) == [
            ShadowPair(other, *beside, None, None, "lacking", *about),
            ShadowPair(one, *beside, tiny, "Medium", None, *about),
        ]
        assert await scored.scores.versions() == ['a "second" \\ 山田', "shadow-1"]

    async def test_what_was_erased_meanwhile_is_not_kept(self, scored: Scored) -> None:
        one, other = await scored.ids(None, None)
        await scored.predictions.remove(one)

        assert await scored.scores.add([score(one), score(other), score(2**62)]) == 1
        assert await scored.found("shadow-1") == [other]
        assert await scored.scores.add([score(one)]) == 0

    async def test_an_erased_prediction_takes_its_scores_along(self, scored: Scored) -> None:
        one, other = await scored.ids(None, None)
        await scored.scores.add([score(n, v) for n in (one, other) for v in ("a-1", "b-1")])

        await scored.predictions.remove(one)

        assert [await scored.found(version) for version in ("a-1", "b-1")] == [[other], [other]]

    async def test_nothing_is_kept_twice(self, scored: Scored) -> None:
        one, other = await scored.ids(None, None)
        await scored.scores.add([score(one)])

        with pytest.raises(PredictionRejected):
            await scored.scores.add([score(other), score(one)])
        assert await scored.found("shadow-1") == [one]
        assert await scored.scores.add([score(one, "another-1")]) == 1

    async def test_a_whole_queue_is_kept_at_once_or_not_at_all(self, scored: Scored) -> None:
        *many, one = await scored.predictions.add([prediction(0.1)] * 6_001)
        await scored.scores.add([score(one)])

        for last in (one, many[0]):  # the one that is there, and one that comes twice
            with pytest.raises(PredictionRejected):
                await scored.scores.add([*map(score, many), score(last)])
            assert await scored.found("shadow-1") == [one]
        assert await scored.scores.add([*map(score, many), score(2**62)]) == len(many)

    async def test_pairs_are_read_newest_first_and_page_by_page(self, scored: Scored) -> None:
        ids = await scored.ids(*[None] * 5)
        await scored.scores.add([score(each) for each in ids])

        assert await scored.found("shadow-1", limit=2) == ids[:2:-1]
        assert await scored.found("shadow-1", limit=9, before=ids[3]) == ids[2::-1]
        assert await scored.found("shadow-1", limit=9, before=ids[0]) == []

    async def test_pairs_are_narrowed_to_a_site_and_a_time(self, scored: Scored) -> None:
        north, south = await scored.ids("north-1", "south-1")
        await scored.scores.add([score(north), score(south)])
        later = NOON + timedelta(microseconds=1)

        assert await scored.found("shadow-1", PredictionFilter(site="south-1")) == [south]
        assert await scored.found("shadow-1", PredictionFilter(since=NOON)) == [south, north]
        assert await scored.found("shadow-1", PredictionFilter(since=later)) == []
        assert await scored.found("SHADOW-1") == []

    async def test_a_store_that_was_closed_opens_again(self, scored: Scored) -> None:
        [one] = await scored.ids(None)
        await scored.scores.close()

        assert await scored.scores.add([score(one)]) == 1

    async def test_every_call_says_that_the_store_of_scores_is_away(
        self, away: ShadowScores
    ) -> None:
        with pytest.raises(StoreUnavailable):
            await away.add([score(1)])
        with pytest.raises(StoreUnavailable):
            await away.versions()
        with pytest.raises(StoreUnavailable):
            await away.pairs("shadow-1", EVERYTHING, limit=1)


class Answered(NamedTuple):
    """What was answered last, beside the predictions."""

    risks: AnsweredRisks
    predictions: PredictionRepository


@pytest.mark.anyio
class AnsweredRisksContract:
    """Provide fixtures ``answered``, empty, and ``away``, that does not answer."""

    async def test_the_newest_of_one_version_come_first(self, answered: Answered) -> None:
        assert await answered.risks.newest("new-1", NOON, limit=9) == []
        await answered.predictions.add(
            [
                prediction(n / 10, model_version=version, made_at=NOON + timedelta(seconds=n))
                for n in range(4)
                for version in ("new-1", "NEW-1", "new-10")
            ]
        )

        found = await answered.risks.newest("new-1", NOON, limit=9)

        assert found == [
            AnsweredRisk(
                NOON + timedelta(seconds=n), n / 10, prediction(n / 10).assessment.category.value
            )
            for n in (3, 2, 1, 0)
        ]
        assert await answered.risks.newest("new-1", NOON, limit=2) == found[:2]

    async def test_what_was_answered_before_a_time_is_left_out(self, answered: Answered) -> None:
        later = [NOON + timedelta(microseconds=n) for n in range(3)]
        await answered.predictions.add([prediction(made_at=each) for each in later])

        found = await answered.risks.newest("test-1", later[1], limit=9)

        assert [each.made_at for each in found] == [later[2], later[1]]

    async def test_what_was_answered_cannot_be_read_from_a_store_that_is_away(
        self, away: AnsweredRisks
    ) -> None:
        with pytest.raises(StoreUnavailable):
            await away.newest("new-1", NOON, limit=1)


@pytest.mark.anyio
class TurnsContract:
    """Provide fixtures ``turns``, that nobody has taken, and ``away``."""

    async def test_of_many_who_ask_one_gets_the_turn(self, turns: Turns) -> None:
        every = timedelta(seconds=60)

        for round_ in range(3):
            now = NOON + round_ * every
            asked = (turns.take("look", now=now, every=every) for _ in range(5))
            assert sorted(await asyncio.gather(*asked)) == [False] * 4 + [True]

    async def test_the_next_turn_comes_when_the_time_is_over(self, turns: Turns) -> None:
        every = timedelta(seconds=60)
        assert await turns.take("look", now=NOON, every=every)

        just_before = NOON + every - timedelta(microseconds=1)
        assert not await turns.take("look", now=just_before, every=every)
        assert await turns.take("look", now=NOON + every, every=every)

    async def test_tasks_do_not_wait_for_each_other(self, turns: Turns) -> None:
        every = timedelta(hours=1)
        assert await turns.take("look", now=NOON, every=every)
        assert await turns.take("tidy", now=NOON, every=every)

    async def test_a_clock_that_was_years_ahead_does_not_end_the_turns(self, turns: Turns) -> None:
        every = timedelta(seconds=60)
        assert await turns.take("look", now=NOON + timedelta(days=3650), every=every)

        assert await turns.take("look", now=NOON, every=every)
        assert not await turns.take("look", now=NOON - timedelta(seconds=30), every=every)

    async def test_turns_that_cannot_be_taken_are_an_error(self, away: Turns) -> None:
        with pytest.raises(StoreUnavailable):
            await away.take("look", now=NOON, every=timedelta(seconds=1))


class Told(ABC):
    """A webhook, and what its address was told."""

    webhook: Webhook

    @abstractmethod
    def documents(self) -> list[object]:
        """Return what the address has taken, as JSON has it."""

    @abstractmethod
    def refuse(self) -> None:
        """Let the address take nothing any more."""


@pytest.mark.anyio
class WebhookContract:
    """Provide a fixture ``told``, new for each test."""

    async def test_the_address_is_told_what_was_sent(self, told: Told) -> None:
        first: dict[str, object] = {"event": "canary-breach", "text": 'a "b" \\ 山田 \n', "n": None}
        await told.webhook.send(first)
        await told.webhook.send({"deployment": 7})

        assert told.documents() == [first, {"deployment": 7}]

    async def test_an_address_that_takes_nothing_is_an_error(self, told: Told) -> None:
        told.refuse()

        with pytest.raises(EndpointUnavailable):
            await told.webhook.send({"event": "canary-breach"})
        assert told.documents() == []
