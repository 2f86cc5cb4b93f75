"""Behaviour that every implementation of the ports of charts shares."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final, NamedTuple, Protocol
from uuid import UUID

import pytest

from builders.assessments import NOON, feedback, kept
from builders.predictions import prediction
from stroke.application.clinical.ports import (
    AssessmentStore,
    ClinicalObserver,
    NotFetched,
    RecordServer,
)
from stroke.application.predictions.ports import PredictionRepository
from stroke.domain.clinical.kept import AssessmentFilter, CardTally
from stroke.domain.errors import (
    AssessmentErased,
    AssessmentNotFound,
    PredictionNotFound,
    StoreUnavailable,
)
from stroke.domain.moments import FIRST, LAST

EVERYTHING = AssessmentFilter()


class Stores(NamedTuple):
    """Two views of one store."""

    predictions: PredictionRepository
    assessments: AssessmentStore


async def added(stores: Stores, count: int) -> list[int]:
    return await stores.predictions.add([prediction() for _ in range(count)])


@pytest.mark.anyio
class AssessmentStoreContract:
    """Provide fixtures ``stores``: empty, and new for each test; ``away``: without a store."""

    async def test_a_store_that_is_away_is_said_to_be(self, away: AssessmentStore) -> None:
        calls: list[Callable[[], Awaitable[object]]] = [
            lambda: away.keep(kept(1)),
            lambda: away.get(kept(1).id),
            lambda: away.page(EVERYTHING, limit=1),
            lambda: away.put_feedback([feedback(1)]),
            lambda: away.tally(EVERYTHING),
            lambda: away.count(EVERYTHING),
            away.models,
        ]
        for call in calls:
            with pytest.raises(StoreUnavailable):
                await call()

    async def test_an_assessment_comes_back_as_it_was(self, stores: Stores) -> None:
        first, second = await added(stores, 2)
        one = kept(first, subject="Ünïcödé", notes=("山田 😀", "it's"))
        bare = kept(
            second, server=None, hook_instance=None, basis=(), notes=(), site=None, shown=False
        )

        assert await stores.assessments.keep(one) == one
        assert await stores.assessments.keep(bare) == bare

        assert await stores.assessments.get(one.id) == one
        assert await stores.assessments.get(bare.id) == bare

    async def test_what_was_kept_first_stays(self, stores: Stores) -> None:
        [number] = await added(stores, 1)
        first = await stores.assessments.keep(kept(number))

        again = await stores.assessments.keep(
            replace(first, hook_instance="another", made_at=NOON + timedelta(hours=1))
        )

        assert again == first

    async def test_nothing_is_kept_of_a_prediction_that_was_erased_meanwhile(
        self, stores: Stores
    ) -> None:
        [number] = await added(stores, 1)
        await stores.predictions.remove(number)

        with pytest.raises(PredictionNotFound):
            await stores.assessments.keep(kept(number))

        with pytest.raises(AssessmentNotFound):
            await stores.assessments.get(kept(number).id)

    async def test_an_id_that_is_not_known_is_not_found(self, stores: Stores) -> None:
        for number in (str(UUID(int=7)), "no uuid", ""):
            with pytest.raises(AssessmentNotFound):
                await stores.assessments.get(number)

    async def test_a_page_has_the_newest_first_and_goes_on(self, stores: Stores) -> None:
        numbers = await added(stores, 3)
        for number in numbers:
            await stores.assessments.keep(kept(number))

        page = await stores.assessments.page(EVERYTHING, limit=2)
        rest = await stores.assessments.page(EVERYTHING, limit=2, before=numbers[1])

        assert [each.prediction_id for each in (*page, *rest)] == numbers[::-1]

    async def test_each_model_that_made_an_assessment_is_named_once(self, stores: Stores) -> None:
        assert await stores.assessments.models() == []
        for number, version in zip(await added(stores, 3), ("m-2", "m-1", "m-2"), strict=True):
            await stores.assessments.keep(kept(number, model_version=version))

        assert await stores.assessments.models() == ["m-1", "m-2"]

    async def test_a_search_is_narrowed(self, stores: Stores) -> None:
        late = NOON + timedelta(days=1)
        one, two, three, four = await added(stores, 4)
        for each in (
            kept(one),
            kept(two, subject="P1"),
            kept(three, site="south"),
            kept(four, made_at=late),
        ):
            await stores.assessments.keep(each)

        async def found(**narrowed: object) -> list[int]:
            page = await stores.assessments.page(AssessmentFilter(**narrowed), limit=9)  # type: ignore[arg-type]
            return [each.prediction_id for each in page]

        assert await found(subject="p1") == [four, three, one]
        assert await found(site="south") == [three]
        assert await found(site="") == []
        assert await found(since=late) == [four]
        assert await found(until=late) == [three, two, one]
        assert await found(since=FIRST, until=LAST) == [four, three, two, one]
        assert await found(until=FIRST) == await found(since=LAST) == []
        assert await found(ids=frozenset({kept(two).id, kept(four).id, "x"})) == [four, two]
        assert await found(ids=frozenset()) == []
        assert await found(outside=((NOON, late),)) == [four]
        assert await found(outside=((FIRST, NOON), (late, LAST))) == [three, two, one]

    async def test_a_count_is_of_what_is_narrowed(self, stores: Stores) -> None:
        one, two, erased = await added(stores, 3)
        for each in (kept(one), kept(two, subject="p2"), kept(erased)):
            await stores.assessments.keep(each)
        await stores.predictions.remove(erased)

        assert await stores.assessments.count(EVERYTHING) == 2
        assert await stores.assessments.count(AssessmentFilter(subject="p2")) == 1
        assert await stores.assessments.count(AssessmentFilter(ids=frozenset())) == 0

    async def test_feedback_is_kept_once_for_each_card(self, stores: Stores) -> None:
        one, two, three, quiet = await added(stores, 4)
        for number in (one, two, three):
            await stores.assessments.keep(kept(number))
        await stores.assessments.keep(kept(quiet, shown=False))

        first = await stores.assessments.put_feedback([feedback(one), feedback(987)])
        later = await stores.assessments.put_feedback(
            [
                feedback(one, verdict="accepted", reason=None, at=NOON + timedelta(hours=1)),
                feedback(two),
                feedback(two, reason="wrong-data", at=NOON - timedelta(hours=1)),
            ]
        )
        old = await stores.assessments.put_feedback(
            [feedback(one, reason="not-relevant", at=NOON - timedelta(days=1))]
        )

        assert first == {kept(one).id: "model-1"}
        assert later == {kept(two).id: "model-1"}
        assert old == {}
        assert await stores.assessments.tally(EVERYTHING) == [
            CardTally("model-1", "accepted", None, 1),
            CardTally("model-1", "ignored", None, 1),
            CardTally("model-1", "overridden", "known", 1),
        ]

    async def test_feedback_of_another_site_is_passed_over(self, stores: Stores) -> None:
        [one] = await added(stores, 1)
        await stores.assessments.keep(kept(one))

        assert await stores.assessments.put_feedback([feedback(one)], site="south") == {}
        assert await stores.assessments.tally(AssessmentFilter(site="south")) == []

    async def test_another_site_does_not_find_an_assessment_erased_or_not(
        self, stores: Stores
    ) -> None:
        [one] = await added(stores, 1)
        own = await stores.assessments.keep(kept(one))
        assert await stores.assessments.get(own.id, site=own.site) == own
        with pytest.raises(AssessmentNotFound):
            await stores.assessments.get(own.id, site="south")

        await stores.predictions.remove(one)

        with pytest.raises(AssessmentNotFound):
            await stores.assessments.get(own.id, site="south")
        with pytest.raises(AssessmentErased):
            await stores.assessments.get(own.id, site=own.site)

    async def test_an_erased_prediction_takes_its_chart_along(self, stores: Stores) -> None:
        one, other = await added(stores, 2)
        for number in (one, other):
            await stores.assessments.keep(kept(number))
        await stores.assessments.put_feedback([feedback(one)])

        await stores.predictions.remove(one)

        with pytest.raises(AssessmentErased):
            await stores.assessments.get(kept(one).id)
        page = await stores.assessments.page(EVERYTHING, limit=9)
        assert [each.prediction_id for each in page] == [other]
        assert await stores.assessments.put_feedback([feedback(one)]) == {}
        assert [each.verdict for each in await stores.assessments.tally(EVERYTHING)] == ["ignored"]


class RecordStage(Protocol):
    """A FHIR server behind the port: its base address, and what it answers by target."""

    base: str
    answers: dict[str, Any]


MOST: Final = 10_000


@pytest.mark.anyio
class RecordServerContract:
    """Provide fixtures ``server``, and ``record``: what stands behind it."""

    async def test_a_document_is_read(self, server: RecordServer, record: RecordStage) -> None:
        record.answers["Patient/p1"] = {"resourceType": "Patient", "name": "Ünïcödé 😀"}

        found = await server.read(f"{record.base}/Patient/p1", "a-token", most_bytes=MOST)

        assert found.content == {"resourceType": "Patient", "name": "Ünïcödé 😀"}
        assert 40 < found.size < 100

    async def test_what_the_server_does_not_have_is_refused(
        self, server: RecordServer, record: RecordStage
    ) -> None:
        assert await self._why_not(server, f"{record.base}/Patient/none") == "refused"

    async def test_a_longer_answer_is_not_read(
        self, server: RecordServer, record: RecordStage
    ) -> None:
        record.answers["Patient/p1"] = {"text": "x" * MOST}

        assert await self._why_not(server, f"{record.base}/Patient/p1") == "too-long"

    async def test_what_is_no_json_is_said(self, server: RecordServer, record: RecordStage) -> None:
        record.answers["Patient/p1"] = b"<Patient/>"

        assert await self._why_not(server, f"{record.base}/Patient/p1") == "no-json"

    async def test_an_address_that_nothing_answers_at_is_away(
        self, server: RecordServer, record: RecordStage
    ) -> None:
        for url in (
            "https://nobody.invalid/fhir/Patient/p1",
            "ftp://x/y",
            "no address",
            "https:///",
        ):
            assert await self._why_not(server, url) == "away", url

    @staticmethod
    async def _why_not(server: RecordServer, url: str) -> str:
        with pytest.raises(NotFetched) as error:
            await server.read(url, "a-token", most_bytes=MOST)
        return error.value.reason


class ClinicalObserverContract:
    """Provide fixtures ``observer`` and ``seen``: returns how often each thing was received."""

    def test_what_became_of_charts_and_cards_is_counted(
        self, observer: ClinicalObserver, seen: Callable[[], dict[str, float]]
    ) -> None:
        observer.answered("card", {"snomed": 2})
        observer.answered("card", {})
        observer.fetched("fetched")
        observer.fetched("late")
        observer.judged("model-1", "accepted", None)
        observer.judged("model-1", "overridden", "known")

        assert seen() == {
            "card": 2,
            "snomed": 2,
            "fetched": 1,
            "late": 1,
            "model-1 accepted": 1,
            "model-1 overridden known": 1,
        }
