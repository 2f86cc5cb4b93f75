"""Behaviour that every implementation of ``ErasablePlace`` shares; see contracts.py."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

import pytest

from builders.predictions import NOON
from stroke.application.erasure.ports import (
    ErasablePlace,
    ErasureJob,
    ErasureJobs,
    JobResult,
    JobState,
    OldRows,
    Retained,
    Retention,
    SearchedPlace,
    Subject,
    Subjects,
    ValueSearch,
)
from stroke.application.erasure.values import SoughtValues
from stroke.domain.errors import StoreUnavailable

NOBODY: Final = (0, -7, 70, 2**63 - 1, 2**63, 2**70)


class PlaceStage(Protocol):
    """A place, and what puts something of predictions there that were deleted in MySQL."""

    @property
    def place(self) -> ErasablePlace: ...

    async def put(self, *ids: int) -> None: ...


class SearchedStage(Protocol):
    """A place, and what puts something of predictions there that were deleted in MySQL."""

    @property
    def place(self) -> SearchedPlace: ...

    async def put(self, *ids: int) -> None: ...


async def ids_in(place: SearchedPlace, *ids: int) -> set[int]:
    """Return which of these predictions are found in a place."""
    return {trace.prediction_id for trace in await place.find(ids)}


@pytest.mark.anyio
class SearchedPlaceContract:
    """Provide a fixture ``stage`` whose place keeps nothing yet."""

    async def test_what_is_asked_for_is_found_and_nothing_else(self, stage: SearchedStage) -> None:
        assert await stage.place.find([7]) == []
        await stage.put(6, 7, 8)

        assert await ids_in(stage.place, 8, 7, 99) == {7, 8}
        assert stage.place.name

    async def test_to_search_changes_nothing(self, stage: SearchedStage) -> None:
        await stage.put(6, 7)
        found = await stage.place.find([7, 6])

        assert await stage.place.find([6, 7]) == found == sorted(found)
        assert all(trace.where for trace in found)

    async def test_ids_that_nobody_has_are_nowhere(self, stage: SearchedStage) -> None:
        await stage.put(7)

        assert await stage.place.find(NOBODY) == []
        assert await stage.place.find([]) == []


class ValueStage(Protocol):
    """Something that is searched, and what writes texts there, each in a row of its own."""

    @property
    def search(self) -> ValueSearch: ...

    async def put(self, *texts: str) -> None: ...


async def values_in(search: ValueSearch, *texts: str) -> set[str]:
    """Return which of some texts are found."""
    found = await search.find_values(SoughtValues(texts))
    return {texts[trace.value - 1] for trace in found}


@pytest.mark.anyio
class ValueSearchContract:
    """Provide a fixture ``stage`` in which nobody of these names is yet."""

    async def test_what_is_sought_is_found_and_nothing_else(self, stage: ValueStage) -> None:
        assert await values_in(stage.search, "Sought-7341") == set()
        await stage.put("Sought-7341", "Sought-9")

        assert await values_in(stage.search, "Sought-7341", "Sought-8") == {"Sought-7341"}
        assert stage.search.name

    async def test_a_part_is_found_whatever_its_case_and_its_form_of_unicode(
        self, stage: ValueStage
    ) -> None:
        await stage.put("Frau M\u00fcller-sought-7341, geb. \u00c5")

        sought = ("m\u00fcller-sought-7341", "MU\u0308LLER-SOUGHT-7341", "M\u00fcller-sought-73411")
        assert await values_in(stage.search, *sought) == set(sought[:2])

    async def test_no_trace_says_a_value_and_to_search_changes_nothing(
        self, stage: ValueStage
    ) -> None:
        await stage.put("Sought-7341")
        sought = SoughtValues(["Sought-7341"])

        found = await stage.search.find_values(sought)

        assert await stage.search.find_values(sought) == found
        assert found
        assert "7341" not in repr((found, sought))


@pytest.mark.anyio
class ErasablePlaceContract(SearchedPlaceContract):
    """Provide a fixture ``stage`` whose place keeps nothing yet.

    ``takes_others`` is true of a place that removes what it keeps of others, too.
    """

    takes_others = False

    def _left(self, *ids: int) -> set[int]:
        return set() if self.takes_others else set(ids)

    async def test_what_is_erased_is_found_no_more_and_all_else_is(self, stage: PlaceStage) -> None:
        await stage.put(6, 7, 8, 9)
        assert await ids_in(stage.place, 7, 9) == {7, 9}

        assert await stage.place.erase({7, 9}) >= 2

        assert await ids_in(stage.place, 6, 7, 8, 9) == self._left(6, 8)

    async def test_it_can_be_done_again(self, stage: PlaceStage) -> None:
        await stage.put(6, 7)
        await stage.place.erase([7])

        assert await stage.place.erase([7]) == 0
        assert await ids_in(stage.place, 6, 7) == self._left(6)

    async def test_ids_that_nobody_has_change_nothing(self, stage: PlaceStage) -> None:
        await stage.put(7)

        assert await stage.place.erase(NOBODY) == 0
        assert await stage.place.erase([]) == 0
        assert await ids_in(stage.place, 7) == {7}

    async def test_thousands_are_erased_at_once(self, stage: PlaceStage) -> None:
        await stage.put(*range(1, 2_502))

        await stage.place.erase(range(2, 2_502))

        assert await ids_in(stage.place, *range(1, 2_502)) == self._left(1)


@pytest.mark.anyio
class RetentionContract:
    """Provide a fixture ``retention`` that keeps what was erased at ``NOON`` for some days."""

    async def test_what_is_kept_has_a_name_and_an_end_that_is_to_come(
        self, retention: Retention
    ) -> None:
        kept = await retention.retained(NOON, now=NOON)

        assert kept
        assert all(each.what for each in kept)
        assert all(each.until is not None and each.until > NOON for each in kept)
        assert await retention.retained(NOON, now=NOON) == kept

    async def test_an_end_that_has_passed_is_none(self, retention: Retention) -> None:
        later = NOON + timedelta(days=3_650)
        assert all(each.until is None for each in await retention.retained(NOON, now=later))


MINUTE: Final = timedelta(minutes=1)
RESULT: Final = JobResult(
    (7,), (9,), {"database": 1, "lake": 2}, (Retained("a log", NOON), Retained("a tape", None))
)
PutRows = Callable[[dict[int, str | None]], Awaitable[None]]


def a_job(name: str = "a", **changed: Any) -> ErasureJob:
    """Return a job that a caller of all sites asked for, with some fields changed."""
    fields: dict[str, Any] = {
        "id": f"{name:0>32}",
        "ids": (7, 9, 2**62),
        "unknown": (),
        "site": None,
        "actor": "key:ward-3",
        "request_id": "5b1c",
        "asked_at": NOON,
    }
    return ErasureJob(**(fields | changed))


@pytest.mark.anyio
class ErasureJobsContract:
    """Provide ``jobs``, empty, ``away``, and ``put_rows``, which stores predictions of sites."""

    async def test_a_job_comes_back_as_it_was(self, jobs: ErasureJobs) -> None:
        assert await jobs.find(a_job().id) is None

        assert await jobs.add(a_job()) == a_job()

        assert await jobs.find(a_job().id) == a_job()

    async def test_a_key_belongs_to_one_job(self, jobs: ErasureJobs) -> None:
        key = "north\nÜ" + "k" * 64

        made = await asyncio.gather(*(jobs.add(a_job(str(n)), key=key) for n in range(8)))

        assert len({each.id for each in made if each}) == 1
        other = await jobs.add(a_job("b"), key="another")
        assert other is not None
        assert other.id == a_job("b").id

    async def test_of_a_site_its_own_rows_alone_are_to_be_erased(
        self, jobs: ErasureJobs, put_rows: PutRows
    ) -> None:
        await put_rows({6: "north", 7: "south", 8: None, 9: "north"})

        job = await jobs.add(a_job(ids=(6, 7, 8, 9, 10), site="north"))

        assert job is not None
        assert (job.ids, job.unknown) == ((6, 9), (7, 8, 10))
        assert await jobs.find(job.id) == job
        assert await jobs.add(a_job("b", ids=(7, 8, 2**70), site="north")) is None
        assert await jobs.find(a_job("b").id) is None

    async def test_the_job_that_waits_longest_is_given_to_one_worker_alone(
        self, jobs: ErasureJobs
    ) -> None:
        names = "abcdef"
        for minute, name in reversed(list(enumerate(names))):
            await jobs.add(a_job(name, asked_at=NOON + minute * MINUTE))
        now = NOON + len(names) * MINUTE
        until = now + 5 * MINUTE

        first = await jobs.claim("w", now=now, until=until)
        # Workers that come at once leave none of the others, and take none twice.
        claims = [jobs.claim(f"w{n}", now=now, until=until) for n in range(2 * len(names))]
        others = [each for each in await asyncio.gather(*claims) if each]

        assert first == replace(a_job(), state=JobState.RUNNING, attempts=1, started_at=now)
        assert await jobs.find(first.id) == first
        assert sorted(each.id for each in others) == [a_job(name).id for name in names[1:]]
        assert await jobs.claim("late", now=until - MINUTE, until=until) is None

    async def test_what_a_dead_worker_left_is_given_to_another_and_taken_from_it(
        self, jobs: ErasureJobs
    ) -> None:
        await jobs.add(a_job())
        await jobs.claim("dead", now=NOON, until=NOON + MINUTE)
        assert await jobs.renew(a_job().id, "dead", until=NOON + 2 * MINUTE)
        assert await jobs.renew(a_job().id, "dead", until=NOON + 2 * MINUTE)  # the same again
        assert await jobs.claim("next", now=NOON + MINUTE, until=NOON + 9 * MINUTE) is None

        taken = await jobs.claim("next", now=NOON + 2 * MINUTE, until=NOON + 9 * MINUTE)

        assert taken is not None
        assert taken.attempts == 2
        assert not await jobs.renew(taken.id, "dead", until=NOON + 9 * MINUTE)
        assert not await jobs.finish(taken.id, "dead", RESULT, at=NOON)
        assert not await jobs.put_back(taken.id, "dead", "trouble", not_before=NOON)
        assert await jobs.find(taken.id) == taken
        assert await jobs.finish(taken.id, "next", RESULT, at=NOON + 3 * MINUTE)

    async def test_a_job_that_ended_says_what_it_did_and_waits_no_more(
        self, jobs: ErasureJobs
    ) -> None:
        await jobs.add(a_job())
        await jobs.claim("w", now=NOON, until=NOON + MINUTE)
        await jobs.finish(a_job().id, "w", RESULT, at=NOON + MINUTE)

        job = await jobs.find(a_job().id)

        assert job is not None
        assert (job.state, job.result, job.ended_at) == (JobState.DONE, RESULT, NOON + MINUTE)
        assert await jobs.claim("w", now=NOON + 9 * MINUTE, until=NOON + 9 * MINUTE) is None
        assert not await jobs.renew(job.id, "w", until=NOON + 9 * MINUTE)

    async def test_a_job_that_failed_waits_again_after_a_while(self, jobs: ErasureJobs) -> None:
        await jobs.add(a_job())
        await jobs.claim("w", now=NOON, until=NOON + MINUTE)
        await jobs.put_back(a_job().id, "w", "the lake is away", not_before=NOON + 3 * MINUTE)

        job = await jobs.find(a_job().id)

        assert job is not None
        assert (job.state, job.trouble) == (JobState.QUEUED, "the lake is away")
        assert await jobs.claim("w", now=NOON + 2 * MINUTE, until=NOON + 9 * MINUTE) is None
        assert await jobs.claim("v", now=NOON + 3 * MINUTE, until=NOON + 9 * MINUTE) is not None

    async def test_jobs_that_ended_long_ago_are_forgotten_with_their_keys(
        self, jobs: ErasureJobs
    ) -> None:
        await jobs.add(a_job("a"), key="k")
        await jobs.claim("w", now=NOON, until=NOON + MINUTE)
        await jobs.finish(a_job("a").id, "w", RESULT, at=NOON)
        await jobs.add(a_job("b"))

        assert await jobs.forget(NOON) == 0
        assert await jobs.forget(NOON + MINUTE) == 1

        assert await jobs.find(a_job("a").id) is None
        assert await jobs.find(a_job("b").id) == a_job("b")
        assert await jobs.add(a_job("c"), key="k") == a_job("c")

    async def test_a_store_that_is_away_is_said(self, away: ErasureJobs) -> None:
        with pytest.raises(StoreUnavailable):
            await away.add(a_job())
        with pytest.raises(StoreUnavailable):
            await away.find(a_job().id)
        with pytest.raises(StoreUnavailable):
            await away.claim("w", now=NOON, until=NOON)


PutTimes = Callable[[dict[int, datetime | None]], Awaitable[None]]


@pytest.mark.anyio
class OldRowsContract:
    """Provide ``rows``, without any, ``away``, and ``put_times``, which stores predictions."""

    async def test_the_oldest_are_given_first_and_those_of_an_unknown_time_never(
        self, rows: OldRows, put_times: PutTimes
    ) -> None:
        day, moment = timedelta(days=1), timedelta(microseconds=1)
        await put_times(
            {1: NOON, 2: NOON - day, 3: None, 4: NOON - moment, 5: NOON - 9 * day, 6: NOON - day}
        )

        assert await rows.count(NOON) == 4
        assert await rows.oldest(NOON, limit=9) == [5, 2, 6, 4]
        assert await rows.oldest(NOON, limit=2) == [5, 2]
        assert await rows.oldest(NOON - 9 * day, limit=9) == []
        assert await rows.count(NOON + day) == 5

    async def test_a_store_that_is_away_is_said(self, away: OldRows) -> None:
        with pytest.raises(StoreUnavailable):
            await away.count(NOON)
        with pytest.raises(StoreUnavailable):
            await away.oldest(NOON, limit=1)


PutChart = Callable[[str, str | None, int, str | None], Awaitable[None]]
EHR: Final = "https://ehr.example/fhir"


@pytest.mark.anyio
class SubjectsContract:
    """Provide ``subjects``, without any chart, ``away``, and ``put_chart``.

    It stores the prediction of a patient (id, server) at a site, as a chart is kept.
    """

    async def test_the_predictions_of_a_patient_are_found_by_server(
        self, subjects: Subjects, put_chart: PutChart
    ) -> None:
        await put_chart("17", EHR, 3, None)
        await put_chart("17", f"{EHR}/", 1, None)
        await put_chart("17", "https://other.example", 2, None)
        await put_chart("17", None, 4, None)
        await put_chart("18", EHR, 5, None)

        everywhere = await subjects.find(Subject("17"), site=None)

        assert everywhere == {EHR: [1, 3], "https://other.example": [2], None: [4]}
        assert await subjects.find(Subject("17", EHR), site=None) == {EHR: [1, 3]}
        assert await subjects.find(Subject("19"), site=None) == {}

    async def test_ids_differ_by_case_and_by_what_is_around_them(
        self, subjects: Subjects, put_chart: PutChart
    ) -> None:
        await put_chart("abc", EHR, 1, None)

        for other in ("ABC", "abc ", " abc", "ab", "abcd", "äbc"):
            assert await subjects.find(Subject(other), site=None) == {}
        assert await subjects.find(Subject("abc", EHR.upper()), site=None) == {}

    async def test_charts_of_other_sites_are_left_out(
        self, subjects: Subjects, put_chart: PutChart
    ) -> None:
        await put_chart("17", EHR, 1, "north")
        await put_chart("17", EHR, 2, "south")
        await put_chart("17", EHR, 3, None)

        assert await subjects.find(Subject("17"), site="north") == {EHR: [1]}
        assert await subjects.find(Subject("17"), site="east") == {}

    async def test_a_store_that_is_away_is_said(self, away: Subjects) -> None:
        with pytest.raises(StoreUnavailable):
            await away.find(Subject("17"), site=None)
