"""Dead letters: listed, sent again as MySQL holds the rows now, or parked."""

from __future__ import annotations

import pytest

from fakes.pipeline import (
    FAILED,
    RUNNING,
    FakeClock,
    FakeConnect,
    FakeConnector,
    FakeDeadLetters,
)
from fakes.verification import FakeSource
from stroke.application.pipeline.dead_letters import PARKED, DeadLetterService, dead_letter_topic
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
        self.connect = FakeConnect({})
        self.clock = FakeClock()
        for name in (SQL, S3):
            self.connect.connectors[name] = FakeConnector({}, offsets={PLACE: 40})
        self.queue.records[PLACE] = {offset: offset * 10 for offset in range(50)}
        self.service = DeadLetterService(
            self.queue,
            self.source,
            self.connect,
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


async def test_what_was_dealt_with_is_listed_only_on_demand(parts: Parts) -> None:
    parts.letter(SQL, 1)
    await parts.service.replay(await parts.service.letters(), skip_unreadable=False)

    assert await parts.service.letters() == []
    assert [each.settled for each in await parts.service.letters(settled=True)] == [True]


async def test_a_row_that_exists_is_sent_again_once(parts: Parts) -> None:
    parts.letter(SQL, 3)
    parts.letter(S3, 3)

    told = await parts.service.replay(await parts.service.letters(), skip_unreadable=False)

    assert (told.sent, told.deleted) == ([3], [])
    assert parts.source.sent == [[3]]


async def test_of_a_row_that_is_gone_the_deletion_is_told(parts: Parts) -> None:
    parts.letter(SQL, 99)

    told = await parts.service.replay(await parts.service.letters(), skip_unreadable=False)

    assert (told.sent, told.deleted) == ([], [99])


async def test_a_letter_without_a_readable_id_stays(parts: Parts) -> None:
    parts.letter(SQL, None)

    told = await parts.service.replay(await parts.service.letters(), skip_unreadable=False)

    assert len(told.unreadable) == 1
    assert len(await parts.service.letters()) == 1


async def test_a_letter_without_a_readable_id_is_settled_on_demand(parts: Parts) -> None:
    parts.letter(SQL, None)

    told = await parts.service.replay(await parts.service.letters(), skip_unreadable=True)

    assert len(told.skipped) == 1
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
