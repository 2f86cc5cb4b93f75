"""Behaviour that every implementation of ``OutcomeRepository`` shares; see contracts.py."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import NamedTuple

import pytest

from builders.predictions import NOON, outcome, prediction, without
from stroke.application.predictions.ports import OutcomeRepository, PredictionRepository
from stroke.domain.errors import OutcomeNotFound, PredictionNotFound, StoreUnavailable
from stroke.domain.outcome import JudgedPrediction, KnownPrediction
from stroke.domain.prediction import KnownOutcome, Origin, PredictionFilter

EVERYTHING = PredictionFilter()


class Repositories(NamedTuple):
    """Two views of one store."""

    predictions: PredictionRepository
    outcomes: OutcomeRepository


@pytest.mark.anyio
class OutcomeRepositoryContract:
    """Provide fixtures ``stores``: empty, and new for each test; ``away``: without a store."""

    async def test_a_store_that_is_away_is_said_to_be(self, away: OutcomeRepository) -> None:
        for call in (
            lambda: away.known([1]),
            lambda: away.put([outcome(1)]),
            lambda: away.remove(1),
            lambda: away.judged(EVERYTHING, limit=1),
            lambda: away.judged_versions(EVERYTHING),
        ):
            with pytest.raises(StoreUnavailable):
                await call()

    async def test_an_outcome_comes_back_as_it_was(self, stores: Repositories) -> None:
        one, other = await stores.predictions.add([prediction(), prediction()])
        kept = outcome(one, source="Ünïcödé 山田 😀 'register'")

        await stores.outcomes.put([kept])

        assert await stores.outcomes.known([one, other]) == {
            one: KnownPrediction(NOON, kept),
            other: KnownPrediction(NOON, None),
        }

    async def test_what_is_known_says_which_site_the_prediction_belongs_to(
        self, stores: Repositories
    ) -> None:
        ids = await stores.predictions.add(
            [prediction(origin=Origin("north")), prediction(origin=Origin("south")), prediction()]
        )
        await stores.outcomes.put([outcome(each) for each in ids])

        known = await stores.outcomes.known(ids)
        of_north = await stores.outcomes.judged(PredictionFilter(site="north"), limit=9)

        assert [known[each].site for each in ids] == ["north", "south", None]
        assert [row.prediction_id for row in of_north] == ids[:1]

    async def test_another_outcome_takes_the_place_of_the_former_one(
        self, stores: Repositories
    ) -> None:
        [stored] = await stores.predictions.add([prediction()])
        later = outcome(
            stored,
            stroke=False,
            date=NOON.date() + timedelta(days=9),
            source="ward",
            recorded_at=NOON + timedelta(days=10),
        )

        await stores.outcomes.put([outcome(stored)])
        await stores.outcomes.put([later])
        await stores.outcomes.put([later])

        assert (await stores.outcomes.known([stored]))[stored].outcome == later
        assert len(await stores.outcomes.judged(EVERYTHING, limit=10)) == 1

    async def test_outcomes_are_stored_together_or_not_at_all(self, stores: Repositories) -> None:
        one, other = await stores.predictions.add([prediction(), prediction()])
        await stores.predictions.remove(other)

        with pytest.raises(PredictionNotFound):
            await stores.outcomes.put([outcome(one), outcome(other)])

        assert await stores.outcomes.known([one, other]) == {one: KnownPrediction(NOON, None)}
        await stores.outcomes.put([])

    @pytest.mark.parametrize("unknown", [0, -1, 999_999, 2**63, 2**70])
    async def test_an_unknown_prediction_has_no_outcome(
        self, stores: Repositories, unknown: int
    ) -> None:
        await stores.predictions.add([prediction()])

        assert await stores.outcomes.known([unknown]) == {}
        with pytest.raises(PredictionNotFound):
            await stores.outcomes.put([outcome(unknown)])
        with pytest.raises(PredictionNotFound):
            await stores.outcomes.remove(unknown)

    async def test_a_mistaken_outcome_is_taken_back_once(self, stores: Repositories) -> None:
        [stored] = await stores.predictions.add([prediction()])
        await stores.outcomes.put([outcome(stored)])

        await stores.outcomes.remove(stored)

        assert await stores.outcomes.known([stored]) == {stored: KnownPrediction(NOON, None)}
        with pytest.raises(OutcomeNotFound):
            await stores.outcomes.remove(stored)

    async def test_an_erased_prediction_takes_its_outcome_along(self, stores: Repositories) -> None:
        kept, erased = await stores.predictions.add([prediction(), prediction()])
        await stores.outcomes.put([outcome(kept), outcome(erased)])

        await stores.predictions.remove(erased)

        assert [r.prediction_id for r in await stores.outcomes.judged(EVERYTHING, limit=9)] == [
            kept
        ]
        assert await stores.outcomes.known([erased]) == {}

    @pytest.mark.parametrize("most", [1, 9])
    async def test_a_listing_and_its_count_are_narrowed_by_what_became_of_the_patient(
        self, stores: Repositories, most: int
    ) -> None:
        ids = await stores.predictions.add(
            [prediction(origin=Origin("north" if n < 5 else "south")) for n in range(6)]
        )
        await stores.outcomes.put([outcome(each, stroke=True) for each in (ids[0], ids[3], ids[5])])
        await stores.outcomes.put([outcome(ids[1], stroke=False)])
        wanted = {
            KnownOutcome.STROKE: [ids[3], ids[0]],
            KnownOutcome.NO_STROKE: [ids[1]],
            KnownOutcome.UNKNOWN: [ids[4], ids[2]],
            None: [ids[4], ids[3], ids[2], ids[1], ids[0]],
        }

        for known, expected in wanted.items():
            within = PredictionFilter(site="north", outcome=known)
            found = await stores.predictions.page(within, limit=9)
            assert [row.id for row in found] == expected
            later = await stores.predictions.page(within, limit=9, before=expected[0])
            assert [row.id for row in later] == expected[1:]
            assert await stores.predictions.count(within, most=most) == min(most, len(expected))
            judged = await stores.outcomes.judged(within, limit=9)
            known_ids = {*expected}.difference(wanted[KnownOutcome.UNKNOWN])
            assert {row.prediction_id for row in judged} == known_ids
        since = PredictionFilter(outcome=KnownOutcome.STROKE, since=NOON - timedelta(days=1))
        assert len(await stores.predictions.page(since, limit=9)) == 3

    async def test_what_judges_a_model_is_read_page_by_page(self, stores: Repositories) -> None:
        ids = await stores.predictions.add(
            [prediction(i / 10, age=40.0 + i, gender="Female") for i in range(6)]
        )
        await stores.outcomes.put([outcome(i, stroke=i == ids[2]) for i in reversed(ids[1:])])

        first = await stores.outcomes.judged(EVERYTHING, limit=3)
        second = await stores.outcomes.judged(EVERYTHING, limit=3, after=first[-1].prediction_id)

        assert [row.prediction_id for row in first + second] == ids[1:]
        assert first[1] == JudgedPrediction(
            ids[2], 0.2, "High", True, "Female", 42.0, NOON, (), "never smoked", None
        )
        assert first[0].stroke is False
        assert await stores.outcomes.judged(EVERYTHING, limit=3, after=2**70) == []

    async def test_the_site_of_what_judges_a_model_is_known(self, stores: Repositories) -> None:
        ids = await stores.predictions.add(
            [prediction(origin=Origin("north")), prediction(origin=Origin("south"))]
        )
        await stores.outcomes.put([outcome(each) for each in ids])

        judged = await stores.outcomes.judged(EVERYTHING, limit=9)

        assert [each.site for each in judged] == ["north", "south"]

    @pytest.mark.parametrize(
        "missing", [(), ("bmi",), ("avg_glucose_level",), ("avg_glucose_level", "bmi")]
    )
    async def test_what_a_patient_lacked_is_known_where_a_model_is_judged(
        self, stores: Repositories, missing: tuple[str, ...]
    ) -> None:
        made = prediction()
        gaps = replace(made, patient=without(made.patient, missing))
        [stored] = await stores.predictions.add([gaps])
        await stores.outcomes.put([outcome(stored)])

        [judged] = await stores.outcomes.judged(EVERYTHING, limit=9)

        assert judged.missing == missing

    async def test_what_judges_a_model_is_narrowed_like_a_listing(
        self, stores: Repositories
    ) -> None:
        ids = await stores.predictions.add(
            [
                prediction(model_version="m-1"),
                prediction(model_version="m-2", made_at=NOON + timedelta(days=1)),
                prediction(model_version="m-2", made_at=NOON + timedelta(days=2)),
                prediction(model_version="m-3"),
            ]
        )
        await stores.outcomes.put([outcome(i) for i in ids[:3]])

        async def within(narrowed: PredictionFilter) -> list[int]:
            return [r.prediction_id for r in await stores.outcomes.judged(narrowed, limit=9)]

        assert await within(PredictionFilter(model_version="m-2")) == ids[1:3]
        assert await within(PredictionFilter(since=NOON + timedelta(days=1))) == ids[1:3]
        assert await within(PredictionFilter(until=NOON + timedelta(days=1))) == ids[:1]
        assert await stores.outcomes.judged_versions(EVERYTHING) == {"m-1": 1, "m-2": 2}
        assert await stores.outcomes.judged_versions(PredictionFilter(until=NOON)) == {}
