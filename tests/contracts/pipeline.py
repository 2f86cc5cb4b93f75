"""Behaviour that every implementation of the pipeline's ports shares (see ``contracts``)."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Protocol

import pytest

from stroke.application.pipeline.consistency import DeadLetter, NextRecord
from stroke.application.pipeline.kafka_connect_model import (
    ConnectorConfig,
    ConnectorSpec,
    ConnectorState,
    TopicPartition,
)
from stroke.application.pipeline.ports import (
    ChangeTopic,
    ConnectorControl,
    ConnectorRegistry,
    ConnectorSpecs,
    DeadLetterQueue,
    SourceProgress,
    TopicRecords,
)
from stroke.domain.errors import (
    BrokerUnavailable,
    ConnectorFailed,
    ConnectorNotFound,
    ConnectUnavailable,
    InvalidConnector,
    InvalidData,
)

_COMES_TRUE_WITHIN = 90.0
ABSENT = "there-is-no-such-connector"
GTID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(:\d+(-\d+)?)+"
"""The transactions of one server, in MySQL's notation."""


class Connect(ConnectorRegistry, ConnectorControl, SourceProgress, Protocol):
    """All three ports of one Kafka Connect."""


async def comes_true(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait for what Connect does after it has answered; a fake has done it already."""
    deadline = time.monotonic() + _COMES_TRUE_WITHIN
    while not await condition():
        assert time.monotonic() < deadline, "it did not come true"
        await asyncio.sleep(0.2)


async def comes_to_be(connect: Connect, name: str, state: ConnectorState) -> None:
    async def is_so() -> bool:
        try:
            status = await connect.status(name)
        except ConnectorNotFound:  # the config is stored, the connector not started yet
            return False
        tasks = {task.state for task in status.tasks}
        wanted = set() if state is ConnectorState.STOPPED else {state}
        return status.state is state and tasks == wanted

    await comes_true(is_so)


@pytest.mark.anyio
class ConnectorRegistryContract:
    """Provide ``connect`` and ``away``, and ``name`` and ``config`` of a sink not there yet."""

    async def test_a_connector_is_kept_with_its_config(
        self, connect: ConnectorRegistry, name: str, config: ConnectorConfig
    ) -> None:
        assert await connect.config(name) is None

        await connect.put(name, config)

        assert name in await connect.names()
        assert await connect.config(name) == config

    async def test_another_config_replaces_the_first_one_wholly(
        self, connect: ConnectorRegistry, name: str, config: ConnectorConfig
    ) -> None:
        await connect.put(name, {**config, "batch.size": "7"})
        await connect.put(name, {**config, "errors.log.enable": "true"})

        assert await connect.config(name) == {**config, "errors.log.enable": "true"}

    async def test_a_removed_connector_is_gone(
        self, connect: ConnectorRegistry, name: str, config: ConnectorConfig
    ) -> None:
        await connect.put(name, config)
        await connect.remove(name)

        assert name not in await connect.names()
        assert await connect.config(name) is None
        with pytest.raises(ConnectorNotFound, match=name):
            await connect.remove(name)

    async def test_a_connector_that_was_never_there_cannot_be_removed(
        self, connect: ConnectorRegistry
    ) -> None:
        with pytest.raises(ConnectorNotFound, match=ABSENT):
            await connect.remove(ABSENT)

    async def test_a_good_config_is_found_good(
        self, connect: ConnectorRegistry, name: str, config: ConnectorConfig
    ) -> None:
        assert await connect.check(name, config) == []

    async def test_a_wrong_value_is_named_by_its_key_and_never_stored(
        self, connect: ConnectorRegistry, name: str, config: ConnectorConfig
    ) -> None:
        wrong = {**config, "tasks.max": "s3cret"}

        assert {x.field for x in await connect.check(name, wrong)} == {"tasks.max"}
        with pytest.raises(InvalidConnector, match=r"tasks\.max") as caught:
            await connect.put(name, wrong)
        assert "s3cret" not in str(caught.value)
        assert name not in await connect.names()

    async def test_a_class_without_a_plug_in_is_refused(
        self, connect: ConnectorRegistry, name: str, config: ConnectorConfig
    ) -> None:
        found = await connect.check(name, {**config, "connector.class": "no.such.Plugin"})

        assert [x.field for x in found] == ["connector.class"]

    async def test_a_class_declares_its_settings(
        self, connect: ConnectorRegistry, config: ConnectorConfig
    ) -> None:
        known = await connect.known_keys(config["connector.class"])

        assert {"tasks.max", "topics", "errors.tolerance"} <= known
        assert await connect.known_keys("no.such.Plugin") == frozenset()

    async def test_the_kafka_cluster_keeps_its_id(self, connect: ConnectorRegistry) -> None:
        first = await connect.cluster_id()

        assert first
        assert await connect.cluster_id() == first

    @pytest.mark.parametrize(
        "ask",
        [
            lambda away: away.cluster_id(),
            lambda away: away.names(),
            lambda away: away.config("a"),
            lambda away: away.known_keys("a.Class"),
            lambda away: away.check("a", {"connector.class": "a.Class"}),
            lambda away: away.put("a", {"connector.class": "a.Class"}),
            lambda away: away.remove("a"),
        ],
    )
    async def test_a_registry_that_is_away_is_said_to_be(
        self, away: Connect, ask: Callable[[ConnectorRegistry], Awaitable[object]]
    ) -> None:
        with pytest.raises(ConnectUnavailable):
            await ask(away)


@pytest.mark.anyio
class ConnectorControlContract:
    """Provide ``connect`` and ``away``, and ``name`` and ``config`` of a sink not there yet."""

    async def test_a_sink_comes_to_run_pauses_and_goes_on(
        self, connect: Connect, name: str, config: ConnectorConfig
    ) -> None:
        await connect.put(name, config)
        await comes_to_be(connect, name, ConnectorState.RUNNING)
        status = await connect.status(name)
        assert (status.name, status.kind, status.is_running) == (name, "sink", True)

        await connect.pause(name)
        await comes_to_be(connect, name, ConnectorState.PAUSED)
        await connect.resume(name)
        await comes_to_be(connect, name, ConnectorState.RUNNING)
        await connect.restart(name, only_failed=False)
        await comes_to_be(connect, name, ConnectorState.RUNNING)

    async def test_the_offsets_of_a_stopped_sink_can_be_set(
        self, connect: Connect, name: str, config: ConnectorConfig
    ) -> None:
        at = TopicPartition(config["topics"], 0)
        await connect.put(name, config)
        await comes_to_be(connect, name, ConnectorState.RUNNING)
        with pytest.raises(ConnectorFailed):
            await connect.set_offsets(name, {at: 0})

        await connect.stop(name)
        await comes_to_be(connect, name, ConnectorState.STOPPED)
        await connect.set_offsets(name, {at: 0})

        assert await connect.offsets(name) == {at: 0}
        assert await connect.source_position(name) is None

    @pytest.mark.parametrize(
        "act",
        [
            lambda connect: connect.status(ABSENT),
            lambda connect: connect.restart(ABSENT),
            lambda connect: connect.pause(ABSENT),
            lambda connect: connect.stop(ABSENT),
            lambda connect: connect.resume(ABSENT),
            lambda connect: connect.offsets(ABSENT),
            lambda connect: connect.set_offsets(ABSENT, {TopicPartition("t", 0): 1}),
        ],
    )
    async def test_a_connector_that_is_not_there_is_not_found(
        self, connect: Connect, act: Callable[[ConnectorControl], Awaitable[object]]
    ) -> None:
        with pytest.raises(ConnectorNotFound, match=ABSENT):
            await act(connect)

    @pytest.mark.parametrize(
        "act",
        [
            lambda away: away.status("a"),
            lambda away: away.restart("a"),
            lambda away: away.pause("a"),
            lambda away: away.stop("a"),
            lambda away: away.resume("a"),
            lambda away: away.offsets("a"),
            lambda away: away.set_offsets("a", {TopicPartition("t", 0): 1}),
        ],
    )
    async def test_a_worker_that_is_away_is_said_to_be(
        self, away: Connect, act: Callable[[ConnectorControl], Awaitable[object]]
    ) -> None:
        with pytest.raises(ConnectUnavailable):
            await act(away)


@pytest.mark.anyio
class SourceProgressContract:
    """Provide ``connect`` and ``away``, and ``source``: a source connector that has sent rows."""

    async def test_a_source_has_committed_a_gtid_set(
        self, connect: SourceProgress, source: str
    ) -> None:
        async def has_one() -> bool:
            return bool(await connect.source_position(source))

        await comes_true(has_one)
        position = await connect.source_position(source)
        assert re.fullmatch(rf"{GTID}(,{GTID})*", position or "")

    async def test_a_source_that_is_not_there_is_not_found(self, connect: SourceProgress) -> None:
        with pytest.raises(ConnectorNotFound, match=ABSENT):
            await connect.source_position(ABSENT)

    async def test_the_position_of_a_source_that_is_away_is_not_known(
        self, away: SourceProgress
    ) -> None:
        with pytest.raises(ConnectUnavailable):
            await away.source_position("a")


SPECS = {
    "lake": ("a-lake", {"topics": "changes", "control.topic": "control-{cluster_id}"}),
    "sink": ("a-sink", {"topics": "changes", "password": "${env:PASSWORD}"}),
}
"""Name and config of each connector by its file. ``{cluster_id}`` is a placeholder."""


class ConnectorSpecsContract:
    """Provide fixtures ``specs``, of ``SPECS``, and ``broken``, of files that are not as needed."""

    def test_each_file_names_its_connector(self, specs: ConnectorSpecs) -> None:
        assert specs.names() == {"lake": "a-lake", "sink": "a-sink"}

    @pytest.mark.parametrize("cluster", ["MkU3OEVBNTcwNTJENDM2Qg", "-A_b", "{cluster_id}"])
    def test_the_clusters_id_is_filled_in_and_nothing_else(
        self, specs: ConnectorSpecs, cluster: str
    ) -> None:
        assert specs.load("lake", cluster_id=cluster) == ConnectorSpec(
            "lake", "a-lake", {"topics": "changes", "control.topic": f"control-{cluster}"}
        )
        assert specs.load("sink", cluster_id=cluster) == ConnectorSpec("sink", *SPECS["sink"])

    @pytest.mark.parametrize("file", ["other", "a-sink", "sink.json", "../sink"])
    def test_a_file_that_is_not_there_is_said(self, specs: ConnectorSpecs, file: str) -> None:
        with pytest.raises(InvalidData, match=re.escape(file)):
            specs.load(file, cluster_id="c")

    def test_a_broken_file_is_said_whichever_is_asked_for(self, broken: ConnectorSpecs) -> None:
        with pytest.raises(InvalidData):
            broken.names()
        for file in SPECS:
            with pytest.raises(InvalidData):
                broken.load(file, cluster_id="c")


class Write(Protocol):
    """Commits records of these values (None is a tombstone) at once; a marker follows them."""

    def __call__(self, topic: str, values: Sequence[str | None]) -> None: ...


@pytest.mark.anyio
class ChangeTopicContract:
    """Provide ``topics``, ``away``, ``write``, and ``topic``: the name of one not there yet."""

    async def test_a_topic_that_is_not_there_has_no_partitions(
        self, topics: ChangeTopic, topic: str
    ) -> None:
        assert await topics.last_offsets(topic) == {}
        assert await topics.ensure_topic(topic, {}), "it was made by asking"

    async def test_a_topic_is_made_once_and_is_empty(self, topics: ChangeTopic, topic: str) -> None:
        assert await topics.ensure_topic(topic, {"cleanup.policy": "compact"})
        assert not await topics.ensure_topic(topic, {})

        assert await topics.last_offsets(topic) == {}

    async def test_a_topic_can_be_used_as_soon_as_it_is_made(
        self, topics: ChangeTopic, topic: str, write: Write
    ) -> None:
        for name in (f"{topic}-{number}" for number in range(10)):
            await topics.ensure_topic(name, {})
            assert await topics.limit(name) is not None
            write(name, ["a"])
            assert await topics.last_offsets(name) == {TopicPartition(name, 0): 0}

    async def test_the_last_record_counts_not_the_marker_after_it(
        self, topics: ChangeTopic, topic: str, write: Write
    ) -> None:
        await topics.ensure_topic(topic, {})
        write(topic, ["a", "b"])
        assert await topics.last_offsets(topic) == {TopicPartition(topic, 0): 1}

        write(topic, ["c"])

        assert await topics.last_offsets(topic) == {TopicPartition(topic, 0): 3}

    @pytest.mark.parametrize("tombstones", [1, 100, 1500])
    async def test_tombstones_do_not_count_however_many_follow(
        self, topics: ChangeTopic, topic: str, write: Write, tombstones: int
    ) -> None:
        await topics.ensure_topic(topic, {})
        write(topic, ["a", *[None] * tombstones])

        assert await topics.last_offsets(topic) == {TopicPartition(topic, 0): 0}

    async def test_a_topic_of_tombstones_has_no_last_record(
        self, topics: ChangeTopic, topic: str, write: Write
    ) -> None:
        await topics.ensure_topic(topic, {})
        write(topic, [None, None])

        assert await topics.last_offsets(topic) == {}

    async def test_the_limit_of_a_topic_that_is_there_can_be_raised(
        self, topics: ChangeTopic, topic: str
    ) -> None:
        assert await topics.limit(topic) is None
        await topics.ensure_topic(topic, {"retention.ms": "-1", "max.message.bytes": "2000000"})
        assert await topics.limit(topic) == 2_000_000

        await topics.set_limit(topic, 17_000_000)

        assert await topics.limit(topic) == 17_000_000

    async def test_a_topic_that_was_made_without_a_limit_has_the_brokers(
        self, topics: ChangeTopic, topic: str
    ) -> None:
        await topics.ensure_topic(topic, {})

        limit = await topics.limit(topic)
        assert limit is not None
        assert limit >= 1_048_588

    async def test_a_topic_whose_keys_are_no_ids_has_no_highest_id(
        self, topics: ChangeTopic, topic: str, write: Write
    ) -> None:
        assert await topics.highest_id(topic) is None
        await topics.ensure_topic(topic, {})
        assert await topics.highest_id(topic) is None
        write(topic, ["a", None])

        assert await topics.highest_id(topic) is None

    async def test_a_broker_that_is_away_is_said_to_be(self, away: ChangeTopic) -> None:
        with pytest.raises(BrokerUnavailable):
            await away.limit("changes")
        with pytest.raises(BrokerUnavailable):
            await away.set_limit("changes", 1)
        with pytest.raises(BrokerUnavailable):
            await away.last_offsets("changes")
        with pytest.raises(BrokerUnavailable):
            await away.highest_id("changes")
        with pytest.raises(BrokerUnavailable):
            await away.ensure_topic("changes", {})


@pytest.mark.anyio
class TopicRecordsContract:
    """Provide ``reader``, ``away``, and ``topic``: records 0, 2 and 3; 1 and 4 are markers."""

    async def test_the_last_records_are_given_oldest_first(
        self, reader: TopicRecords, topic: str
    ) -> None:
        assert [x.offset for x in await reader.records(topic, start=None, limit=2)] == [2, 3]
        assert [x.offset for x in await reader.records(topic, start=None, limit=9)] == [0, 2, 3]

    async def test_records_are_given_from_an_offset_on(
        self, reader: TopicRecords, topic: str
    ) -> None:
        assert [x.offset for x in await reader.records(topic, start=0, limit=2)] == [0, 2]
        assert [x.offset for x in await reader.records(topic, start=1, limit=9)] == [2, 3]
        assert await reader.records(topic, start=99, limit=9) == []

    async def test_keys_and_values_are_decoded_where_they_can_be(
        self, reader: TopicRecords, topic: str
    ) -> None:
        decoded, text, tombstone = await reader.records(topic, start=0, limit=9)

        assert (decoded.topic, decoded.partition) == (topic, 0)
        assert decoded.key == {"id": 7}
        assert decoded.value == {"id": 8}
        assert (text.key, text.value) == (None, "plain text")
        assert (tombstone.key, tombstone.value, tombstone.bytes) == ({"id": 7}, None, 0)
        assert text.bytes == len("plain text")

    async def test_a_topic_that_is_not_there_is_named_with_those_that_are(
        self, reader: TopicRecords, topic: str
    ) -> None:
        with pytest.raises(InvalidData, match=f"no topic {topic}-no; .*{topic}"):
            await reader.records(f"{topic}-no", start=None, limit=1)

    async def test_a_broker_that_is_away_cannot_be_read(
        self, away: TopicRecords, topic: str
    ) -> None:
        with pytest.raises(BrokerUnavailable):
            await away.records(topic, start=None, limit=1)


PARKABLE = {0: 11, 1: 12, 3: 13, 5: None}
"""What each record to park is about. Between them are transaction markers; 5 has no such key."""


@pytest.mark.anyio
class DeadLetterQueueContract:
    """Provide ``queue``, ``away``, ``source`` with ``PARKABLE``, and ``topic``: not there yet."""

    async def park(
        self,
        queue: DeadLetterQueue,
        source: TopicPartition,
        topic: str,
        first: int,
        last: int | None,
    ) -> list[DeadLetter]:
        return await queue.park(
            source, first=first, last=last, topic=topic, connector="a-sink", reason="java.Oops"
        )

    async def test_a_topic_that_is_not_there_has_no_letters(
        self, queue: DeadLetterQueue, topic: str
    ) -> None:
        assert await queue.letters(topic) == []

    async def test_a_letter_says_where_from_about_what_and_why(
        self, queue: DeadLetterQueue, source: TopicPartition, topic: str
    ) -> None:
        letters = await self.park(queue, source, topic, 1, 1)

        assert letters == [
            DeadLetter(
                letter=0,
                connector="a-sink",
                topic=source.topic,
                partition=source.partition,
                offset=1,
                stage="TASK_PUT",
                reason="java.Oops",
                prediction_id=12,
                settled=False,
            )
        ]
        assert await queue.letters(topic) == letters

    async def test_the_cause_of_a_letter_is_kept_in_words(
        self, queue: DeadLetterQueue, source: TopicPartition, topic: str
    ) -> None:
        (letter,) = await queue.park(
            source,
            first=1,
            last=1,
            topic=topic,
            connector="a-sink",
            reason="java.Oops",
            cause="a value is too long",
        )

        assert letter.cause == "a value is too long"
        assert await queue.letters(topic) == [letter]

    async def test_the_next_record_is_named_with_its_place_and_its_prediction(
        self, queue: DeadLetterQueue, source: TopicPartition, topic: str
    ) -> None:
        assert await queue.next_record(source, 0) == NextRecord(source, 0, 11)
        assert await queue.next_record(source, 2) == NextRecord(source, 3, 13)
        assert await queue.next_record(source, 4) == NextRecord(source, 5, None)
        assert await queue.next_record(source, 6) is None
        assert await queue.letters(topic) == []

    async def test_without_an_end_the_first_record_from_there_on_is_parked(
        self, queue: DeadLetterQueue, source: TopicPartition, topic: str
    ) -> None:
        (letter,) = await self.park(queue, source, topic, 2, None)  # 2 is a marker

        assert (letter.offset, letter.prediction_id) == (3, 13)

    async def test_all_records_of_a_range_are_parked_in_order(
        self, queue: DeadLetterQueue, source: TopicPartition, topic: str
    ) -> None:
        letters = await self.park(queue, source, topic, 1, 5)

        assert [(x.letter, x.offset, x.prediction_id) for x in letters] == [
            (0, 1, 12),
            (1, 3, 13),
            (2, 5, None),
        ]
        assert await queue.letters(topic) == letters

    @pytest.mark.parametrize(("first", "last"), [(6, None), (6, 99), (2, 2)])
    async def test_where_no_record_is_no_letter_is_written(
        self,
        queue: DeadLetterQueue,
        source: TopicPartition,
        topic: str,
        first: int,
        last: int | None,
    ) -> None:
        assert await self.park(queue, source, topic, first, last) == []

        assert await queue.letters(topic) == []

    async def test_letters_are_settled_in_any_order_and_stay(
        self, queue: DeadLetterQueue, source: TopicPartition, topic: str
    ) -> None:
        first, second, third = await self.park(queue, source, topic, 0, 3)

        await queue.settle(topic, [third])
        await queue.settle(topic, [first, third])
        await queue.settle(topic, [])

        assert await queue.letters(topic) == [
            replace(first, settled=True),
            second,
            replace(third, settled=True),
        ]

    async def test_a_record_that_is_parked_again_is_another_letter(
        self, queue: DeadLetterQueue, source: TopicPartition, topic: str
    ) -> None:
        await queue.settle(topic, await self.park(queue, source, topic, 0, 0))
        (again,) = await self.park(queue, source, topic, 0, 0)

        assert [(x.letter, x.settled) for x in await queue.letters(topic)] == [
            (0, True),
            (1, False),
        ]
        assert again.letter == 1

    async def test_a_queue_that_is_away_is_said_to_be(
        self,
        queue: DeadLetterQueue,
        away: DeadLetterQueue,
        source: TopicPartition,
        topic: str,
    ) -> None:
        letters = await self.park(queue, source, topic, 0, 0)

        with pytest.raises(BrokerUnavailable):
            await away.letters(topic)
        with pytest.raises(BrokerUnavailable):
            await self.park(away, source, topic, 0, 0)
        with pytest.raises(BrokerUnavailable):
            await away.settle(topic, letters)
