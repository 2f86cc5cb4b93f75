"""Each batch of a stream counts once, wherever the stream was killed."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from builders.changes import Batches
from builders.truth import EVENTS
from contracts.analyses import ChangeSourceContract
from fakes.analyses import FakeChangeSource, FakeEngine, FakeResults, Saved
from stroke.application.analyses.ports import CannotContinue
from stroke.application.analyses.queries import analyses, chosen
from stroke.application.analyses.runs import AnalyticsRun
from stroke.application.analyses.stream import StreamBatch, StreamBatches
from stroke.domain.errors import BrokerUnavailable, InvalidData

WANTED = chosen(["operations", "latest-snapshot"], analyses())
BATCHES = [EVENTS[:5], EVENTS[5:6], EVENTS[6:]]


class Stream:
    """The batches of a stream over fakes; ``runs`` are those that were worked on."""

    def __init__(self) -> None:
        self.saved = Saved()
        self.results = FakeResults()
        self.runs: list[AnalyticsRun] = []
        self.engines: list[FakeEngine] = []
        self._batches: StreamBatches[Batches] = StreamBatches(
            WANTED,
            self.results,
            topic="changes",
            engine_name="fake",
            now=lambda: datetime(2026, 1, 2, tzinfo=UTC),
            on_run=self.runs.append,
        )

    def work(self, number: int) -> None:
        self.engines.append(FakeEngine(self.saved))
        self._batches.work(self.engines[-1], FakeChangeSource(BATCHES[number]), number)

    def operations(self) -> dict[str, int]:
        return {row["op"]: row["events"] for row in self.results.tables[WANTED[0].table]}


@pytest.fixture
def stream() -> Stream:
    return Stream()


def test_batches_give_what_one_run_gives(stream: Stream) -> None:
    for number in range(3):
        stream.work(number)

    assert stream.operations() == {"c": 7, "d": 2, "r": 1, "u": 3}
    assert [(run.events, run.source, run.point) for run in stream.runs] == [
        (5, "kafka", {"topic": "changes", "batch": 0}),
        (1, "kafka", {"topic": "changes", "batch": 1}),
        (9, "kafka", {"topic": "changes", "batch": 2}),
    ]


def test_a_batch_that_is_done_and_comes_again_is_passed_over(stream: Stream) -> None:
    for number in (0, 0, 1, 1, 1, 2):
        stream.work(number)

    assert [run.events for run in stream.runs] == [5, 1, 9]
    assert stream.operations() == {"c": 7, "d": 2, "r": 1, "u": 3}


def test_a_batch_that_was_begun_and_not_ended_is_worked_on_again(stream: Stream) -> None:
    stream.work(0)
    stream.results.failing = InvalidData("the disk is full")
    with pytest.raises(InvalidData):
        stream.work(1)
    stream.results.failing = None

    stream.work(1)
    stream.work(2)

    assert [run.events for run in stream.runs] == [5, 1, 9]
    assert stream.operations() == {"c": 7, "d": 2, "r": 1, "u": 3}


def lose_the_state(stream: Stream) -> None:
    stream.saved.last = None


def damage_the_state(stream: Stream) -> None:
    stream.saved.is_damaged = True


def of_a_run(stream: Stream) -> None:
    assert stream.saved.last is not None
    stream.saved.last = (stream.saved.last[0], {"table": "changes", "snapshot_id": 1})


def lose_the_state_s_tables(stream: Stream) -> None:
    """Make the engine refuse to extend: what was saved cannot be placed before what comes."""
    assert stream.saved.last is not None
    later = [{**change, "ts_us": change["ts_us"] + 10**9} for change in stream.saved.last[0]]
    stream.saved.last = (later, stream.saved.last[1])


@pytest.mark.parametrize(
    "change", [lose_the_state, damage_the_state, of_a_run, lose_the_state_s_tables]
)
def test_a_batch_without_the_one_before_stops_the_stream(stream: Stream, change: object) -> None:
    stream.work(0)
    results = dict(stream.results.tables)
    assert callable(change)
    change(stream)

    with pytest.raises(InvalidData, match="not of the same stream"):
        stream.work(1)

    assert stream.results.tables == results


def test_a_stream_begins_anew_where_only_a_run_left_a_checkpoint(stream: Stream) -> None:
    stream.saved.last = (EVENTS[:3], {"table": "changes", "snapshot_id": 1})

    stream.work(0)

    assert (stream.runs[0].events, stream.runs[0].since) == (5, None)
    assert stream.operations() == {"c": 4}


def test_a_stream_whose_offsets_are_lost_does_not_replace_its_tables(stream: Stream) -> None:
    for number in range(3):
        stream.work(number)

    with pytest.raises(InvalidData, match="not of the same stream"):
        stream.work(0)

    assert stream.operations() == {"c": 7, "d": 2, "r": 1, "u": 3}


class TestStreamBatch(ChangeSourceContract[Batches]):
    @pytest.fixture
    def source(self) -> StreamBatch[Batches]:
        return StreamBatch(FakeChangeSource(EVENTS), topic="changes", number=0)

    @pytest.fixture
    def gone(self) -> StreamBatch[Batches]:
        records = FakeChangeSource(EVENTS)
        records.failing = BrokerUnavailable("away")
        return StreamBatch(records, topic="changes", number=0)

    def test_a_later_batch_follows_the_one_before_alone(self) -> None:
        later = StreamBatch(FakeChangeSource(EVENTS), topic="changes", number=3)

        read = later.read({"topic": "changes", "batch": 2}, with_name=False)
        assert read.position() == {"topic": "changes", "batch": 3}
        for foreign in ({"topic": "other", "batch": 2}, {"topic": "changes", "batch": 1}):
            with pytest.raises(CannotContinue):
                later.read(foreign, with_name=False)
        with pytest.raises(InvalidData):
            later.read(with_name=False)


@pytest.mark.parametrize("number", [1, 2])
def test_a_stream_does_not_begin_in_its_middle(stream: Stream, number: int) -> None:
    with pytest.raises(InvalidData, match="not of the same stream"):
        stream.work(number)
    assert stream.runs == []


def test_the_engine_of_every_batch_is_closed(stream: Stream) -> None:
    stream.work(0)
    stream.work(0)
    with pytest.raises(InvalidData):
        stream.work(2)

    assert [engine.is_closed for engine in stream.engines] == [True, True, True]
