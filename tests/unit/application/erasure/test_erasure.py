"""Erasure: the database first, then the copies, and whatever happens can be done again."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.predictions import NOON
from fakes.erasure import FakePlace, FakeRetention, FakeValueSearch
from stroke.application.erasure.erasure import Erasure, Proof
from stroke.application.erasure.ports import Retained, Trace, ValueSearch
from stroke.application.erasure.values import SoughtValues
from stroke.domain.errors import ReplicaBehind, ReplicaUnavailable

pytestmark = pytest.mark.anyio
WEEK = timedelta(days=7)


class Stage:
    """A database, two copies, and what was written down."""

    def __init__(self, *ids: int, batch: int = 2) -> None:
        self.database = FakePlace(*ids, name="database")
        self.copy, self.lake = FakePlace(*ids, name="copy"), FakePlace(*ids, name="lake")
        self.announced: list[int] = []
        self.written: dict[int, bool] = {}
        self.waits: list[float] = []
        self.is_behind = False
        self.log = FakeRetention(keep=WEEK)
        self.texts = FakeValueSearch("of Zoë", name="texts")
        self.searches_made = 0
        self.last_erasure: datetime | None = None
        self.erasure = Erasure(
            self.database,
            [self.copy, self.lake],
            settled=self._settled,
            announce=self._announce,
            write_down=self._write_down,
            batch=batch,
            value_searches=self._value_searches,
            retentions=[self.log],
            erased_at=self._erased_at,
            now=lambda: NOON,
        )

    def _value_searches(self) -> list[ValueSearch]:
        self.searches_made += 1
        return [self.texts]

    async def _erased_at(self, ids: Collection[int]) -> datetime | None:
        return self.last_erasure if 7 in ids else None

    async def _settled(self, seconds: float) -> None:
        self.waits.append(seconds)
        if self.is_behind:
            raise ReplicaBehind("the copies are behind")

    async def _announce(self, ids: Collection[int]) -> None:
        assert self.database.kept.issuperset(ids)  # while it can still be told
        self.announced += ids

    async def _write_down(self, found: Mapping[int, bool]) -> None:
        assert self.database.kept.isdisjoint(found)  # written once it is true
        self.written |= found

    @property
    def everywhere(self) -> list[set[int]]:
        return [place.kept for place in (self.database, self.copy, self.lake)]


async def test_a_prediction_leaves_every_place_and_the_others_stay() -> None:
    stage = Stage(6, 7, 8)

    done = await stage.erasure.erase([7, 99, 7], wait=5)

    assert stage.everywhere == [{6, 8}] * 3
    assert (set(done.stored), set(done.unknown)) == ({7}, {99})
    assert done.removed == {"database": 1, "copy": 1, "lake": 1}
    assert stage.announced == [7]
    assert stage.written == {7: True, 99: False}
    assert stage.waits == [5]


async def test_the_database_is_emptied_in_batches_and_each_one_is_written_down() -> None:
    stage = Stage(*range(1, 6))

    def killed() -> None:
        if len(stage.database.erasures) == 2:
            raise KeyboardInterrupt

    stage.database.meanwhile = killed
    with pytest.raises(KeyboardInterrupt):
        await stage.erasure.erase(range(1, 6), wait=0)

    assert stage.database.erasures == [[1, 2], [3, 4]]
    assert stage.written == dict.fromkeys(range(1, 5), True)
    assert stage.copy.kept == set(range(1, 6))


async def test_no_copy_is_touched_before_it_has_heard_of_the_erasure() -> None:
    stage = Stage(7)
    stage.is_behind = True

    with pytest.raises(ReplicaBehind):
        await stage.erasure.erase([7], wait=1)

    assert stage.everywhere == [set(), {7}, {7}]
    stage.is_behind = False
    done = await stage.erasure.erase([7], wait=1)
    assert stage.everywhere == [set()] * 3
    assert done.removed == {"database": 0, "copy": 1, "lake": 1}


async def test_an_erasure_that_a_copy_stopped_is_finished_by_the_next() -> None:
    stage = Stage(6, 7)
    stage.copy.failing = ReplicaUnavailable("away")
    with pytest.raises(ReplicaUnavailable):
        await stage.erasure.erase([7], wait=1)

    stage.copy.failing = None
    await stage.erasure.erase([7], wait=1)

    assert stage.everywhere == [{6}] * 3


async def test_a_proof_names_what_is_left_by_place_and_changes_nothing() -> None:
    stage = Stage(7)
    stage.database.kept.clear()
    stage.lake.until = NOON

    proof = await stage.erasure.prove([7, 8])

    assert proof.traces == {
        "database": [],
        "copy": [Trace(7, "its set")],
        "lake": [Trace(7, "its set", NOON)],
    }
    assert stage.everywhere == [set(), {7}, {7}]


async def test_values_are_searched_where_a_proof_seeks_some_and_not_otherwise() -> None:
    stage = Stage(7)
    await stage.erasure.erase([7], wait=5)
    assert (await stage.erasure.prove([7])).values == {}
    assert stage.searches_made == 0

    proof = await stage.erasure.prove([7], SoughtValues(["Zoë", "Adam"]))

    assert [trace.value for trace in proof.values["texts"]] == [1]
    assert not proof.is_good(NOON)


async def test_what_cannot_be_searched_is_not_proved() -> None:
    stage = Stage()
    stage.lake.failing = ReplicaUnavailable("away")
    with pytest.raises(ReplicaUnavailable):
        await stage.erasure.prove([7])


@pytest.mark.parametrize(
    ("until", "lasts"),
    [
        (None, True),
        (NOON + timedelta(seconds=1), False),
        (NOON, True),
        (NOON - timedelta(days=1), True),
    ],
)
def test_what_has_no_end_or_has_outlived_it_lasts(until: object, lasts: bool) -> None:
    trace = Trace(7, "there", until)  # type: ignore[arg-type] # for the table above
    assert Proof({"lake": [trace]}).lasting(NOON) == ([("lake", trace)] if lasts else [])


@given(st.sets(st.integers(1, 40)), st.lists(st.integers(1, 50)), st.integers(1, 9))
async def test_after_any_erasure_each_place_keeps_the_others_only(
    stored: set[int], wanted: list[int], batch: int
) -> None:
    stage = Stage(*stored, batch=batch)

    done = await stage.erasure.erase(wanted, wait=0)

    assert stage.everywhere == [stored - set(wanted)] * 3
    assert done.stored == stored & set(wanted)
    assert done.unknown == set(wanted) - stored
    assert stage.written == {number: number in stored for number in wanted}
    assert all(len(some) <= batch for some in stage.database.erasures)


async def test_what_cannot_be_searched_is_named_with_its_end() -> None:
    stage = Stage(7)

    done = await stage.erasure.erase([7], wait=0)

    assert list(done.retained) == [Retained("a log", NOON + WEEK)]


async def test_the_end_counts_from_the_erasure_as_far_as_it_is_known() -> None:
    stage = Stage()
    stage.last_erasure = NOON - timedelta(days=2)

    known, unknown = await stage.erasure.prove([7]), await stage.erasure.prove([8])

    assert list(known.retained) == [Retained("a log", NOON + timedelta(days=5))]
    assert list(unknown.retained) == [Retained("a log", NOON + WEEK)]
    assert known.is_good(NOON)


@pytest.mark.parametrize(
    ("traces", "kept", "good"),
    [
        ([], [], True),
        ([], [Retained("a log", NOON + WEEK)], True),
        ([], [Retained("a log", None)], False),
        ([Trace(7, "there", NOON + WEEK)], [], True),
        ([Trace(7, "there")], [Retained("a log", NOON + WEEK)], False),
    ],
)
def test_a_proof_is_good_if_all_that_is_left_says_until_when(
    traces: list[Trace], kept: list[Retained], good: bool
) -> None:
    assert Proof({"lake": traces}, kept).is_good(NOON) is good
