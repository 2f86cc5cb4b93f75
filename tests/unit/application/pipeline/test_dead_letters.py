"""Dead letters: listed, sent again as MySQL holds the rows now, or parked."""

from __future__ import annotations

import anyio
import hypothesis
import pytest
from hypothesis import strategies as st

from fakes.pipeline import (
    FAILED,
    RUNNING,
    FakeClock,
    FakeConnect,
    FakeConnector,
    FakeDeadLetters,
    FakeTopics,
)
from fakes.verification import FakeSource
from stroke.application.pipeline.connector_rules import ICEBERG_SINK
from stroke.application.pipeline.dead_letters import PARKED, DeadLetterService, dead_letter_topic
from stroke.application.pipeline.failure_causes import Concerns, FailureCause
from stroke.application.pipeline.kafka_connect_model import TopicPartition
from stroke.domain.errors import (
    ConnectorFailed,
    ConnectorNotFound,
    ConnectUnavailable,
    InvalidData,
)

SQL, S3 = "sql-predictions", "s3-predictions"
PLACE = TopicPartition("topic", 0)

pytestmark = pytest.mark.anyio


class Parts:
    """A service over fakes; MySQL holds the ids 1 to 5, the topic the offsets 0 to 49."""

    def __init__(self) -> None:
        self.queue = FakeDeadLetters()
        self.source = FakeSource({number: bytes([number]) for number in range(1, 6)})
        self.connect = FakeConnect({"Sink": frozenset(), ICEBERG_SINK: frozenset()})
        self.topics = FakeTopics()
        self.topics.last = {PLACE: 49}
        self.clock = FakeClock()
        for name in (SQL, S3):
            self.connect.connectors[name] = FakeConnector(
                {"connector.class": "Sink"}, offsets={PLACE: 40}
            )
        self.queue.records[PLACE] = {offset: offset * 10 for offset in range(50)}
        self.service = DeadLetterService(
            self.queue,
            self.source,
            self.connect,
            registry=self.connect,
            change_topic=self.topics,
            connectors={"sqlserver-sink": SQL, "lake-sink": S3},
            topic=PLACE.topic,
            sleep=self.clock.sleep,
            clock=self.clock,
        )

    def letter(self, connector: str, prediction_id: int | None) -> None:
        self.queue.add(
            dead_letter_topic(connector),
            PLACE,
            7,
            connector=connector,
            prediction_id=prediction_id,
        )


@pytest.fixture
def parts() -> Parts:
    return Parts()


async def test_letters_are_listed_for_one_sink_or_for_all(parts: Parts) -> None:
    parts.letter(SQL, 1)
    parts.letter(S3, 2)

    assert [each.prediction_id for each in await parts.service.letters()] == [1, 2]
    assert [each.prediction_id for each in await parts.service.letters(S3)] == [2]


async def test_a_sink_may_be_called_as_its_file_is(parts: Parts) -> None:
    parts.letter(SQL, 1)
    parts.letter(S3, 2)

    assert [each.prediction_id for each in await parts.service.letters("lake-sink")] == [2]
    assert [each.connector for each in await parts.service.park("sqlserver-sink")] == [SQL]


async def test_an_unknown_sink_is_refused_by_name(parts: Parts) -> None:
    with pytest.raises(ConnectorNotFound, match="sqlserver-sink, lake-sink, sql-pred"):
        await parts.service.letters("another")
    with pytest.raises(ConnectorNotFound, match="sqlserver-sink, lake-sink, sql-pred"):
        parts.service.name_of("another")
    assert parts.service.name_of("sqlserver-sink") == parts.service.name_of(SQL) == SQL


async def test_what_was_dealt_with_is_listed_only_on_demand(parts: Parts) -> None:
    parts.letter(SQL, 1)
    await parts.service.replay(await parts.service.letters(), skip_unreadable=False)

    assert await parts.service.letters() == []
    assert [each.settled for each in await parts.service.letters(settled=True)] == [True]


async def test_a_row_that_exists_is_sent_again_once(parts: Parts) -> None:
    parts.letter(SQL, 3)
    parts.letter(S3, 3)

    replayed = await parts.service.replay(await parts.service.letters(), skip_unreadable=False)

    assert (replayed.sent, replayed.deleted) == ([3], [])
    assert parts.source.sent == [[3]]


async def test_a_row_that_is_gone_is_sent_as_a_deletion(parts: Parts) -> None:
    parts.letter(SQL, 99)

    replayed = await parts.service.replay(await parts.service.letters(), skip_unreadable=False)

    assert (replayed.sent, replayed.deleted) == ([], [99])


async def test_a_letter_without_a_readable_id_stays(parts: Parts) -> None:
    parts.letter(SQL, None)

    replayed = await parts.service.replay(await parts.service.letters(), skip_unreadable=False)

    assert len(replayed.unreadable) == 1
    assert len(await parts.service.letters()) == 1


async def test_a_letter_without_a_readable_id_is_settled_on_demand(parts: Parts) -> None:
    parts.letter(SQL, None)

    replayed = await parts.service.replay(await parts.service.letters(), skip_unreadable=True)

    assert len(replayed.skipped) == 1
    assert await parts.service.letters() == []


async def test_parking_copies_a_record_and_lets_the_sink_go_on_after_it(parts: Parts) -> None:
    sink = parts.connect.connectors[SQL]
    sink.task, sink.reason = FAILED, "java.sql.SQLException"

    (letter,) = await parts.service.park(SQL)

    assert (letter.offset, letter.reason) == (40, "java.sql.SQLException")
    assert sink.offsets == {PLACE: 41}
    assert sink.task is RUNNING
    assert await parts.service.letters(SQL) == [letter]


async def test_parking_keeps_a_copy_of_all_that_is_passed_over(parts: Parts) -> None:
    letters = await parts.service.park(SQL, through=44)

    assert [letter.offset for letter in letters] == [40, 41, 42, 43, 44]
    assert {letter.reason for letter in letters} == {PARKED}
    assert parts.connect.connectors[SQL].offsets == {PLACE: 45}


async def test_parking_what_the_sink_has_passed_changes_nothing(parts: Parts) -> None:
    with pytest.raises(InvalidData, match="40"):
        await parts.service.park(SQL, through=39)

    assert parts.connect.connectors[SQL].offsets == {PLACE: 40}
    assert parts.connect.connectors[SQL].task is RUNNING
    assert await parts.service.letters() == []


async def test_parking_passes_over_markers_of_transactions(parts: Parts) -> None:
    del parts.queue.records[PLACE][40]

    (letter,) = await parts.service.park(SQL)

    assert letter.offset == 41
    assert parts.connect.connectors[SQL].offsets == {PLACE: 42}


async def test_a_sink_never_goes_on_behind_the_end_of_the_topic(parts: Parts) -> None:
    await parts.service.park(SQL, through=10**9)

    assert parts.connect.connectors[SQL].offsets == {PLACE: 50}


async def test_nothing_is_parked_where_no_record_is_in_the_way(parts: Parts) -> None:
    parts.connect.connectors[SQL].offsets = {PLACE: 50}

    with pytest.raises(InvalidData, match="from offset 50 on"):
        await parts.service.park(SQL)

    assert parts.connect.connectors[SQL].offsets == {PLACE: 50}
    assert parts.connect.connectors[SQL].task is RUNNING


async def test_only_sinks_are_parked(parts: Parts) -> None:
    parts.connect.connectors[SQL].kind = "source"

    with pytest.raises(InvalidData, match="no sink"):
        await parts.service.park(SQL)

    assert parts.connect.connectors[SQL].state is RUNNING


async def test_a_sink_that_never_committed_is_parked_from_the_beginning(parts: Parts) -> None:
    parts.connect.connectors[SQL].offsets = {}

    (letter,) = await parts.service.park(SQL)

    assert letter.offset == 0
    assert parts.connect.connectors[SQL].offsets == {PLACE: 1}


async def test_a_sink_of_several_partitions_has_no_one_place(parts: Parts) -> None:
    parts.connect.connectors[SQL].offsets[TopicPartition(PLACE.topic, 1)] = 3

    with pytest.raises(ConnectorFailed, match="several partitions"):
        await parts.service.park(SQL)

    assert parts.connect.connectors[SQL].task is RUNNING


async def test_the_place_is_taken_once_the_sink_commits_no_more(parts: Parts) -> None:
    sink = parts.connect.connectors[SQL]
    parts.connect.lingering = 3
    parts.clock.meanwhile = lambda: sink.offsets.update({PLACE: sink.offsets[PLACE] + 1})

    (letter,) = await parts.service.park(SQL)

    assert letter.offset == 43
    assert sink.offsets == {PLACE: 44}


async def test_a_sink_that_does_not_stop_goes_on_where_it_was(parts: Parts) -> None:
    parts.connect.lingering = 10**6

    with pytest.raises(ConnectorFailed, match="does not stop"):
        await parts.service.park(SQL)

    assert parts.connect.connectors[SQL].offsets == {PLACE: 40}
    assert parts.connect.connectors[SQL].task is RUNNING
    assert await parts.service.letters() == []


async def test_connect_is_asked_again_until_it_takes_the_new_place(parts: Parts) -> None:
    parts.connect.refused = [ConnectUnavailable("a consumer is still there")] * 3

    await parts.service.park(SQL)

    assert parts.connect.connectors[SQL].offsets == {PLACE: 41}


async def test_the_copy_stays_where_the_place_cannot_be_set(parts: Parts) -> None:
    parts.connect.refused = [ConnectUnavailable("it answers no more")] * 10**4

    with pytest.raises(ConnectUnavailable):
        await parts.service.park(SQL)

    assert [letter.offset for letter in await parts.service.letters()] == [40]
    assert parts.connect.connectors[SQL].offsets == {PLACE: 40}
    assert parts.connect.connectors[SQL].task is RUNNING


async def test_a_letter_belongs_to_the_sink_whose_queue_it_is_in(parts: Parts) -> None:
    parts.queue.add(dead_letter_topic(SQL), PLACE, 7, connector="", prediction_id=1)

    await parts.service.replay(await parts.service.letters(), skip_unreadable=False)

    assert await parts.service.letters() == []


TOO_LONG = FailureCause("a value is too long", "widen it", Concerns.RECORD)
READ_ONLY = FailureCause("the database is read-only", "let it take writes", Concerns.PLACE)


def failing(parts: Parts, poison: dict[int, FailureCause | None]) -> FakeConnector:
    """Let the SQL sink read the topic and fail on the offsets of ``poison``."""
    sink = parts.connect.connectors[SQL]
    sink.reads, sink.poison, sink.offsets = range(50), poison, {PLACE: 0}
    sink.work()
    assert sink.task is FAILED
    return sink


async def test_the_record_that_fails_is_parked_and_no_other(parts: Parts) -> None:
    sink = failing(parts, {37: TOO_LONG})

    (letter,) = await parts.service.park(SQL)

    assert (letter.offset, letter.prediction_id) == (37, 370)
    assert (letter.reason, letter.cause) == ("SinkException", "a value is too long")
    assert sink_after(parts).offsets == {PLACE: 50}
    assert sink_after(parts).config == sink.config


def sink_after(parts: Parts) -> FakeConnector:
    found = parts.connect.connectors[SQL]
    assert found.task is RUNNING
    return found


async def test_several_bad_records_are_parked_in_one_call(parts: Parts) -> None:
    failing(parts, {3: TOO_LONG, 4: None, 20: TOO_LONG, 49: None})

    letters = await parts.service.park(SQL)

    assert [letter.offset for letter in letters] == [3, 4, 20, 49]
    assert [letter.cause for letter in letters] == ["a value is too long", ""] * 2
    assert sink_after(parts).offsets == {PLACE: 50}


@hypothesis.given(
    poison=st.sets(st.integers(0, 49), min_size=1, max_size=8),
    gaps=st.sets(st.integers(0, 49), max_size=20),
    batch=st.integers(1, 60),
)
@hypothesis.settings(deadline=None)
def test_whatever_fails_is_parked_and_nothing_else(
    poison: set[int], gaps: set[int], batch: int
) -> None:
    async def park() -> None:
        parts = Parts()
        reads = sorted(set(range(50)) - gaps)
        bad = sorted(poison - gaps)
        parts.queue.records[PLACE] = {offset: offset * 10 for offset in reads}
        sink = parts.connect.connectors[SQL]
        sink.config["consumer.override.max.poll.records"] = str(batch)
        sink.reads, sink.poison = reads, dict.fromkeys(bad, TOO_LONG)
        sink.offsets = {PLACE: 0}
        sink.work()
        hypothesis.assume(bad)

        letters = await parts.service.park(SQL)

        assert [letter.offset for letter in letters] == bad
        assert sink_after(parts).config["consumer.override.max.poll.records"] == str(batch)
        assert sink_after(parts).offsets[PLACE] > reads[-1]

    anyio.run(park)


async def test_no_more_is_parked_than_was_allowed(parts: Parts) -> None:
    failing(parts, {3: TOO_LONG, 20: TOO_LONG, 30: TOO_LONG})

    letters = await parts.service.park(SQL, at_most=2)

    assert [letter.offset for letter in letters] == [3, 20]
    assert parts.connect.connectors[SQL].task is FAILED


async def test_nothing_is_parked_for_what_the_sink_writes_to(parts: Parts) -> None:
    sink = failing(parts, dict.fromkeys(range(50), READ_ONLY))

    with pytest.raises(ConnectorFailed, match=r"read-only: .* let it take writes"):
        await parts.service.park(SQL)

    assert await parts.service.letters(SQL) == []
    assert sink.offsets == {PLACE: 0}


async def test_records_that_all_fail_for_an_unknown_cause_are_not_parked(parts: Parts) -> None:
    failing(parts, {7: TOO_LONG, **dict.fromkeys(range(10, 50))})

    with pytest.raises(ConnectorFailed, match="offset 10 on are not parked"):
        await parts.service.park(SQL)

    assert [letter.offset for letter in await parts.service.letters(SQL)] == [7]
    assert parts.connect.connectors[SQL].offsets == {PLACE: 10}


async def test_the_record_is_found_without_parking_it(parts: Parts) -> None:
    sink = failing(parts, {37: TOO_LONG})

    record, why = await parts.service.find(SQL)

    assert str(record) == "topic-0@37 (prediction 370)"
    assert why == "a value is too long"
    assert await parts.service.letters(SQL) == []
    assert sink.config == parts.connect.connectors[SQL].config


async def test_a_sink_that_runs_has_nothing_to_find(parts: Parts) -> None:
    with pytest.raises(InvalidData, match="does not fail"):
        await parts.service.find(SQL)


async def test_of_a_lake_that_names_nothing_nothing_tells_which_record_fails(
    parts: Parts,
) -> None:
    sink = failing(parts, {37: TOO_LONG})
    sink.config["connector.class"] = ICEBERG_SINK

    with pytest.raises(InvalidData, match="--through"):
        await parts.service.park(SQL)
    with pytest.raises(InvalidData, match="--through"):
        await parts.service.find(SQL)
    assert await parts.service.letters(SQL) == []

    letters = await parts.service.park(SQL, through=37)
    assert [letter.offset for letter in letters] == list(range(38))


LAKE = {"connector.class": ICEBERG_SINK, "iceberg.tables": "stroke.predictions_changes"}


def failing_lake(parts: Parts, poison: dict[int, FailureCause | None]) -> FakeConnector:
    """Let the lake's sink read the topic and fail on the offsets of ``poison``, which it names."""
    sink = parts.connect.connectors[S3]
    sink.config.update(LAKE)
    sink.names, sink.reads, sink.poison, sink.offsets = True, range(50), poison, {PLACE: 0}
    sink.work()
    assert sink.task is FAILED
    return sink


@pytest.mark.parametrize("bad", [[37], [0], [49], [3, 4, 30], [0, 1, 2, 3, 48, 49]])
async def test_what_the_lake_s_sink_names_is_parked_and_all_others_are_written_once(
    parts: Parts, bad: list[int]
) -> None:
    sink = failing_lake(parts, dict.fromkeys(bad, TOO_LONG))
    before = dict(sink.config)

    letters = await parts.service.park("lake-sink")

    assert [(letter.offset, letter.prediction_id) for letter in letters] == [
        (offset, offset * 10) for offset in bad
    ]
    assert sink.written == [offset for offset in range(50) if offset not in bad]
    assert (sink.task, sink.config, sink.offsets) == (RUNNING, before, {PLACE: 50})


async def test_what_the_lake_s_sink_names_is_found_without_stopping_it(parts: Parts) -> None:
    sink = failing_lake(parts, {37: TOO_LONG})

    record, why = await parts.service.find("lake-sink")

    assert (record.offset, why) == (37, "a value is too long")
    assert sink.puts == 0
    assert await parts.service.letters(S3) == []


async def test_a_lake_that_fails_on_one_record_after_the_other_is_not_at_fault_for_them(
    parts: Parts,
) -> None:
    sink = failing_lake(parts, dict.fromkeys(range(5, 9), None))

    with pytest.raises(ConnectorFailed, match="hardly at fault, and those from offset 5 on"):
        await parts.service.park("lake-sink")

    assert await parts.service.letters(S3) == []
    assert sink.offsets == {PLACE: 0}
    assert not any("route" in key for key in sink.config)


async def test_a_lake_with_more_bad_records_than_may_be_parked_keeps_all_of_them(
    parts: Parts,
) -> None:
    sink = failing_lake(parts, dict.fromkeys(range(5, 9), TOO_LONG))

    with pytest.raises(ConnectorFailed, match="more than 2 records"):
        await parts.service.park("lake-sink", at_most=2)

    assert await parts.service.letters(S3) == []
    assert sink.offsets == {PLACE: 0}

    assert len(await parts.service.park("lake-sink", at_most=4)) == 4


async def test_a_lake_that_refuses_its_place_has_nothing_parked(parts: Parts) -> None:
    failing_lake(parts, {7: READ_ONLY})

    with pytest.raises(ConnectorFailed, match="to park records does not help"):
        await parts.service.park("lake-sink")

    assert await parts.service.letters(S3) == []


async def test_one_that_was_restarted_a_moment_ago_is_waited_for(parts: Parts) -> None:
    sink = failing(parts, {37: TOO_LONG})
    sink.task = RUNNING

    def fails_once() -> None:
        sink.task = FAILED
        parts.clock.meanwhile = lambda: None

    parts.clock.meanwhile = fails_once
    (letter,) = await parts.service.park(SQL, patience=15)

    assert letter.offset == 37


async def test_a_record_that_connect_has_parked_already_is_not_the_one_that_fails(
    parts: Parts,
) -> None:
    sink = failing(parts, {37: TOO_LONG})
    sink.reads = [offset for offset in range(50) if offset not in {35, 36}]
    for offset in (35, 36):
        parts.queue.add(dead_letter_topic(SQL), PLACE, offset, connector=SQL)

    letters = await parts.service.park(SQL)

    assert [letter.offset for letter in letters] == [37]
