"""Topics and dead letters on a real broker, with keys of the real registry."""

from __future__ import annotations

import asyncio
import io
import itertools
import json
import secrets
import struct
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import fastavro
import httpx
import pytest
from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka import TopicPartition as KafkaPartition
from confluent_kafka.admin import AdminClient, NewPartitions  # type: ignore[attr-defined]

from builders.changes import Batches
from builders.control_events import COLUMNS, data_written, start_commit
from builders.predictions import NOON
from builders.truth import EVENTS
from builders.truth_as_avro import kafka_value, schema_text
from components.change_events import raw_records, transaction, until
from components.containers import free_port
from components.scripted_server import ScriptedServer
from components.stack import PipelineStack
from contracts.analyses import ChangeSourceContract
from contracts.doctor import RegistryStage, SchemaRegistryProbeContract
from contracts.erasure import (
    ErasablePlaceContract,
    RetentionContract,
    SearchedPlaceContract,
    ValueSearchContract,
)
from contracts.pipeline import (
    PARKABLE,
    ChangeTopicContract,
    DeadLetterQueueContract,
    TopicRecordsContract,
    Write,
)
from stroke.adapters.avro.envelopes import AvroEnvelopes
from stroke.adapters.iceberg.control_events import reader_of
from stroke.adapters.kafka.changes import KafkaChanges
from stroke.adapters.kafka.control_topics import ControlTopicPlace
from stroke.adapters.kafka.dead_letters import KafkaDeadLetterQueue
from stroke.adapters.kafka.erasure import ChangeTopicPlace, DeadLetterPlace
from stroke.adapters.kafka.log_files import new_file
from stroke.adapters.kafka.records import KafkaTopicRecords
from stroke.adapters.kafka.registry import SchemaRegistry
from stroke.adapters.kafka.retention import TopicRetention
from stroke.adapters.kafka.settings_of import topic_settings
from stroke.adapters.kafka.topics import KafkaChangeTopic
from stroke.adapters.kafka.value_search import TopicValueSearch
from stroke.application.erasure.ports import Retained
from stroke.application.erasure.values import SoughtValues
from stroke.application.pipeline.broker import Broker
from stroke.application.pipeline.kafka_connect_model import TopicPartition
from stroke.container.clock import utc_now
from stroke.domain.errors import BrokerUnavailable, ReplicaBehind

KEY = {
    "type": "record",
    "name": "Key",
    "namespace": "t",
    "fields": [{"name": "id", "type": "long"}],
}
CANARY = "Zoë Canary"
AT_ONCE = 0.05
"""How often a test looks for what a broker does within milliseconds."""

NOBODY = 0.2
"""Seconds to wait for an answer of a port at which nobody listens."""

BUSY = 120.0
"""Seconds to wait for an answer of the broker: a busy machine may let it wait."""


@pytest.fixture
def topic() -> str:
    return f"throw-away-{secrets.token_hex(4)}"


@pytest.fixture
async def dlq(topics: KafkaChangeTopic, topic: str) -> str:
    """Make the topic, as Connect would."""
    await topics.ensure_topic(topic, {})
    return topic


@pytest.fixture
def topics(pipeline: PipelineStack) -> KafkaChangeTopic:
    return KafkaChangeTopic(Broker(pipeline.bootstrap_servers), pipeline.registry_url, timeout=BUSY)


@pytest.fixture
def queue(pipeline: PipelineStack) -> KafkaDeadLetterQueue:
    return KafkaDeadLetterQueue(
        Broker(pipeline.bootstrap_servers), pipeline.registry_url, timeout=BUSY
    )


@pytest.fixture
def producer(pipeline: PipelineStack) -> Producer:
    """A producer whose records come in transactions, as the source connector's do."""
    producer = Producer(
        {
            "bootstrap.servers": pipeline.bootstrap_servers,
            "transactional.id": f"throw-away-{secrets.token_hex(4)}",
        }
    )
    producer.init_transactions()
    return producer


@pytest.fixture
def write(
    pipeline: PipelineStack, producer: Producer
) -> Callable[[str, Sequence[str | bytes | None]], None]:
    """Write records in a transaction."""

    def write(topic: str, values: Sequence[str | bytes | None]) -> None:
        with transaction(pipeline, producer, topic):
            for value in values:
                producer.produce(topic, value, b"key")

    return write


@pytest.fixture
def register(pipeline: PipelineStack, topic: str) -> Callable[[Any], int]:
    """Give a schema an id at the registry."""

    def register(schema: Any) -> int:
        return registered(pipeline.registry_url, f"{topic}.{schema['name']}", schema)

    return register


@pytest.fixture
def key_of(register: Callable[[Any], int]) -> Callable[[int], bytes]:
    """Write keys as the source connector does: 0, the schema's id at the registry, Avro."""
    schema_id = register(KEY)
    return lambda prediction_id: framed(schema_id, KEY, {"id": prediction_id})


def registered(registry_url: str, subject: str, schema: Any) -> int:
    answer = httpx.post(
        f"{registry_url}/apis/ccompat/v7/subjects/{subject}/versions",
        json={"schema": json.dumps(schema)},
        headers={"Content-Type": "application/vnd.schemaregistry.v1+json"},
        timeout=10,
    )
    return int(answer.raise_for_status().json()["id"])


def framed(schema_id: int, schema: Any, value: dict[str, object]) -> bytes:
    body = io.BytesIO()
    fastavro.schemaless_writer(body, schema, value)
    return struct.pack(">bI", 0, schema_id) + body.getvalue()


class Registered(RegistryStage):
    """The registry of the platform, which keeps what is registered."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.registry: SchemaRegistry = SchemaRegistry(url, timeout=30)

    def register(self, subject: str, *columns: str) -> None:
        fields = [{"name": name, "type": "long", "default": 0} for name in columns]
        registered(self._url, subject, {"type": "record", "name": "Row", "fields": fields})


class TestSchemaRegistry(SchemaRegistryProbeContract):
    @pytest.fixture
    def registered(self, pipeline: PipelineStack) -> Registered:
        return Registered(pipeline.registry_url)

    @pytest.fixture(params=["nobody", "s3", (200, b"<html>"), (200, {"status": "UP"}), (500, b"")])
    def away(
        self, request: pytest.FixtureRequest, pipeline: PipelineStack
    ) -> Iterator[SchemaRegistry]:
        if request.param == "nobody":
            yield SchemaRegistry(f"http://127.0.0.1:{free_port()}", timeout=30)
        elif request.param == "s3":  # knows no such path
            yield SchemaRegistry(pipeline.s3_endpoint, timeout=30)
        else:
            with ScriptedServer(request.param) as server:
                yield SchemaRegistry(server.url, timeout=30)

    def test_a_schema_is_given_by_its_id_and_others_are_not_found(
        self, pipeline: PipelineStack, key_of: Callable[[int], bytes]
    ) -> None:
        (schema_id,) = struct.unpack(">I", key_of(1)[1:5])
        registry = SchemaRegistry(pipeline.registry_url, timeout=30)

        assert json.loads(registry.schema(schema_id))["fields"][0]["name"] == "id"
        with pytest.raises(LookupError, match="no schema has the id 2147483646"):
            registry.schema(2**31 - 2)

    def test_another_server_has_no_schemas_to_be_missed(self) -> None:
        with ScriptedServer((200, [])) as server, pytest.raises(BrokerUnavailable):
            SchemaRegistry(server.url, timeout=30).schema(1)


class TestKafkaChangeTopic(ChangeTopicContract):
    @pytest.fixture
    def away(self) -> KafkaChangeTopic:
        return KafkaChangeTopic(Broker(f"127.0.0.1:{free_port()}"), timeout=NOBODY)

    async def test_what_was_aborted_or_is_not_committed_yet_does_not_count(
        self,
        topics: KafkaChangeTopic,
        topic: str,
        write: Write,
        pipeline: PipelineStack,
        producer: Producer,
    ) -> None:
        await topics.ensure_topic(topic, {})
        write(topic, ["a"])
        producer.begin_transaction()
        for _ in range(200):
            producer.produce(topic, "aborted")
        producer.flush()
        producer.abort_transaction()
        with transaction(pipeline, producer, topic):
            producer.produce(topic, "b")
            producer.flush()

            assert await topics.last_offsets(topic) == {TopicPartition(topic, 0): 0}

        assert await topics.last_offsets(topic) == {TopicPartition(topic, 0): 203}

    async def test_a_broker_that_is_away_is_named(self) -> None:
        address = f"127.0.0.1:{free_port()}"
        away = KafkaChangeTopic(Broker(address), timeout=NOBODY)

        with pytest.raises(BrokerUnavailable, match=address):
            await away.last_offsets("topic")
        with pytest.raises(BrokerUnavailable, match=address):
            await away.ensure_topic("topic", {})


class TestKafkaTopicRecords(TopicRecordsContract):
    @pytest.fixture
    def reader(
        self,
        pipeline: PipelineStack,
        topics: KafkaChangeTopic,
        topic: str,
        producer: Producer,
        key_of: Callable[[int], bytes],
    ) -> KafkaTopicRecords:
        asyncio.run(topics.ensure_topic(topic, {}))
        with transaction(pipeline, producer, topic):
            producer.produce(topic, key_of(8), key_of(7))
        with transaction(pipeline, producer, topic):
            producer.produce(topic, "plain text", None)
            producer.produce(topic, None, key_of(7))
        return KafkaTopicRecords(
            Broker(pipeline.bootstrap_servers), pipeline.registry_url, timeout=BUSY
        )

    @pytest.fixture
    def away(self, pipeline: PipelineStack) -> KafkaTopicRecords:
        return KafkaTopicRecords(
            Broker(f"127.0.0.1:{free_port()}"), pipeline.registry_url, timeout=NOBODY
        )


class InDeadLetters:
    """Letters about predictions, one of which is dealt with, and one that is nobody's."""

    def __init__(
        self,
        pipeline: PipelineStack,
        producer: Producer,
        topic: str,
        key_of: Callable[[int], bytes],
    ) -> None:
        self.pipeline, self.producer, self.topic, self.key_of = pipeline, producer, topic, key_of
        self.queue = KafkaDeadLetterQueue(
            Broker(pipeline.bootstrap_servers), pipeline.registry_url, timeout=BUSY
        )
        self.place = DeadLetterPlace(
            Broker(pipeline.bootstrap_servers),
            pipeline.registry_url,
            [topic],
            queue=self.queue,
            timeout=BUSY,
        )

    async def put(self, *ids: int) -> None:
        records = [(self.key_of(each), f"{CANARY} {each}", [("seen", b"\xff")]) for each in ids]
        await asyncio.to_thread(self.produce, [*records, (b"\x00none of ours", "no row", [])])

    def produce(self, records: Sequence[tuple[bytes, str, Any]]) -> None:
        with transaction(self.pipeline, self.producer, self.topic):
            for key, value, headers in records:
                self.producer.produce(self.topic, value, key, headers=headers)

    async def values(self) -> list[bytes | None]:
        found = await asyncio.to_thread(raw_records, self.pipeline, self.topic)
        return [each.value() for each in found]


class TestDeadLetterPlace(ErasablePlaceContract):
    @pytest.fixture
    async def stage(
        self,
        pipeline: PipelineStack,
        producer: Producer,
        dlq: str,
        key_of: Callable[[int], bytes],
    ) -> InDeadLetters:
        return InDeadLetters(pipeline, producer, dlq, key_of)

    async def test_letters_of_others_stay_as_they_were_and_settled_ones_settled(
        self, stage: InDeadLetters
    ) -> None:
        await stage.put(6, 7, 8, 9)
        await stage.queue.settle(stage.topic, (await stage.queue.letters(stage.topic))[:1])

        assert await stage.place.erase([7, 8]) == 2

        letters = await stage.queue.letters(stage.topic)
        about = {each.prediction_id: each.settled for each in letters}
        assert about == {6: True, 9: False, None: False}
        six, nine, nobodys = f"{CANARY} 6".encode(), f"{CANARY} 9".encode(), b"no row"
        assert sorted(filter(None, await stage.values())) == sorted([six, nine, nobodys])
        [copy] = [
            each
            for each in await asyncio.to_thread(raw_records, stage.pipeline, stage.topic)
            if each.value() == six
        ]
        assert (copy.key(), copy.headers()) == (stage.key_of(6), [("seen", b"\xff")])

    async def test_an_erasure_that_was_killed_before_the_removal_is_finished_by_the_next(
        self, stage: InDeadLetters, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await stage.put(6, 7)

        def killed(*_: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr("stroke.adapters.kafka.erasure.remove_before", killed)
            with pytest.raises(KeyboardInterrupt):
                stage.place._erase(stage.topic, frozenset({7}))

        assert await stage.place.erase([7]) == 1

        letters = await stage.queue.letters(stage.topic)
        assert [each.prediction_id for each in letters] == [6, None]

    async def test_what_is_removed_is_in_a_file_of_its_own_which_the_broker_removes(
        self, stage: InDeadLetters
    ) -> None:
        await stage.put(7)
        await stage.place.erase([7])

        [left] = await stage.queue.letters(stage.topic)
        assert await stage.values() == [b"no row"]
        where = f"/var/lib/kafka/data/{stage.topic}-0/*.log"
        listed = stage.pipeline.compose("exec", "-T", "kafka", "sh", "-c", f"ls {where}").split()
        begin = [int(each.rpartition("/")[2].removesuffix(".log")) for each in listed]
        # The broker removes a file when the next one begins at the first record that is left.
        assert left.letter in begin

    async def test_where_no_letter_is_left_a_mark_is_which_is_none(
        self, stage: InDeadLetters
    ) -> None:
        await asyncio.to_thread(stage.produce, [(stage.key_of(7), CANARY, [])])
        await stage.place.erase([7])

        assert await stage.values() == [None]
        assert await stage.queue.letters(stage.topic) == []
        await stage.put(8)
        await stage.place.erase([8])
        assert await stage.values() == [b"no row"]


class InTopic:
    """Events of predictions, with tombstones."""

    def __init__(self, letters: InDeadLetters) -> None:
        pipeline = letters.pipeline
        self.put = letters.put
        self.place = ChangeTopicPlace(
            Broker(pipeline.bootstrap_servers), pipeline.registry_url, letters.topic, timeout=BUSY
        )


class TestChangeTopicPlace(SearchedPlaceContract):
    @pytest.fixture
    async def stage(
        self,
        pipeline: PipelineStack,
        producer: Producer,
        dlq: str,
        key_of: Callable[[int], bytes],
    ) -> InTopic:
        return InTopic(InDeadLetters(pipeline, producer, dlq, key_of))

    async def test_each_event_says_until_when_it_is_kept(self, stage: InTopic) -> None:
        await stage.put(7)
        now = utc_now()

        [trace] = await stage.place.find([7])

        assert trace.until is not None
        # The broker's retention and the time that it writes to one file, a week each.
        assert timedelta(days=13) < trace.until - now < timedelta(days=15)


class InTopics:
    """A letter for each text, in its value, its key or its headers."""

    def __init__(self, pipeline: PipelineStack, producer: Producer, topic: str) -> None:
        self.pipeline, self.producer, self.topic = pipeline, producer, topic
        self.search = TopicValueSearch(
            Broker(pipeline.bootstrap_servers), pipeline.registry_url, timeout=BUSY
        )

    async def put(self, *texts: str) -> None:
        await asyncio.to_thread(self._put, texts)

    def _put(self, texts: Sequence[str]) -> None:
        with transaction(self.pipeline, self.producer, self.topic):
            for number, value in enumerate(texts):
                at = number % 3
                headers: Any = [("why", value.encode() if at == 2 else None)]
                self.producer.produce(
                    self.topic, value if at == 0 else "", value if at == 1 else "", headers=headers
                )


class TestTopicValueSearch(ValueSearchContract):
    @pytest.fixture
    async def stage(
        self, pipeline: PipelineStack, producer: Producer, dlq: str
    ) -> AsyncIterator[InTopics]:
        yield InTopics(pipeline, producer, dlq)
        admin = AdminClient({"bootstrap.servers": pipeline.bootstrap_servers})
        admin.delete_topics([dlq])[dlq].result(BUSY)  # the next one searches all topics, too

    async def test_keys_values_and_headers_are_searched_and_say_until_when(
        self, stage: InTopics
    ) -> None:
        names = [f"{CANARY} of {stage.topic} {number}" for number in range(3)]
        await stage.put(*names)

        found = await stage.search.find_values(SoughtValues(names))

        assert [(trace.value, trace.where) for trace in found] == [
            (number + 1, f"{stage.topic}, partition 0, offset {number}") for number in range(3)
        ]
        assert all(trace.until is not None for trace in found)

    async def test_all_partitions_are_searched_though_one_of_them_goes_on_growing(
        self, stage: InTopics, pipeline: PipelineStack
    ) -> None:
        settings: dict[str, Any] = {"bootstrap.servers": pipeline.bootstrap_servers}
        admin = AdminClient(settings)
        admin.create_partitions([NewPartitions(stage.topic, 3)])[stage.topic].result(BUSY)
        name = f"{CANARY} of {stage.topic}"
        sender, over = Producer(settings), threading.Event()

        def grow() -> None:
            while not over.is_set():
                sender.produce(stage.topic, "nobody", partition=0)
                sender.flush(BUSY)

        for number in range(3):
            until(
                lambda: _is_sent(sender, stage.topic, number, name),  # noqa: B023
                within=60,
                what="a record in a new partition",
                every=AT_ONCE,
            )
        with ThreadPoolExecutor(1) as beside:
            growing = beside.submit(grow)
            try:
                found = await stage.search.find_values(SoughtValues([name]))
            finally:
                over.set()
            growing.result()

        places = {trace.where.rpartition(",")[0] for trace in found}
        assert places == {f"{stage.topic}, partition {number}" for number in range(3)}


def _is_sent(sender: Producer, topic: str, partition: int, value: str) -> bool:
    """Send a record; a client hears of a new partition after some time."""
    try:
        sender.produce(topic, value, partition=partition)
    except KafkaException:
        sender.poll(AT_ONCE)
        return False
    return sender.flush(BUSY) == 0


class InControlTopic:
    """Records of a sink about a file for each prediction, and how far its coordinator is."""

    def __init__(self, pipeline: PipelineStack, producer: Producer, topic: str) -> None:
        self.pipeline, self.producer, self.topic = pipeline, producer, topic
        self.settings: dict[str, str | int | float | bool] = {
            "bootstrap.servers": pipeline.bootstrap_servers
        }
        self.place = ControlTopicPlace(
            Broker(pipeline.bootstrap_servers),
            topic,
            reader=lambda: reader_of(COLUMNS),
            wait=0,
            timeout=BUSY,
        )

    async def put(self, *ids: int) -> None:
        records = [data_written(each, each, name=f"{CANARY} {each}") for each in ids]
        await asyncio.to_thread(self.produce, [*records, start_commit()])

    def produce(self, records: Sequence[bytes]) -> None:
        with transaction(self.pipeline, self.producer, self.topic):
            for value in records:
                self.producer.produce(self.topic, value, secrets.token_hex(8))

    def commit(self, offset: int, *, connector: str = "lake") -> None:
        """Write down that the coordinator of a sink has committed all below an offset."""
        group = f"connect-{connector}-{self.topic}-coord"
        place = KafkaPartition(self.topic, 0, offset)
        consumer = Consumer(self.settings | {"group.id": group})

        def committed() -> bool:
            try:
                return bool(consumer.commit(offsets=[place], asynchronous=False))
            except KafkaException:  # the first of a group waits for its coordinator
                return False

        try:
            until(committed, within=60, what="the sink's offset", every=AT_ONCE)
        finally:
            consumer.close()

    async def offsets(self) -> list[int | None]:
        found = await asyncio.to_thread(raw_records, self.pipeline, self.topic)
        return [each.offset() for each in found]


class Committed(InControlTopic):
    """The same, of a sink that has committed all of it."""

    async def put(self, *ids: int) -> None:
        await super().put(*ids)
        await asyncio.to_thread(self._commit_all)

    def _commit_all(self) -> None:
        consumer = Consumer(self.settings | {"group.id": self.topic})
        try:
            _, end = consumer.get_watermark_offsets(KafkaPartition(self.topic, 0), timeout=30)
        finally:
            consumer.close()
        self.commit(end)


class TestControlTopicPlace(ErasablePlaceContract):
    """Records about others are gone with those that are meant: nothing needs them."""

    takes_others = True

    @pytest.fixture
    async def stage(self, pipeline: PipelineStack, producer: Producer, dlq: str) -> Committed:
        return Committed(pipeline, producer, dlq)


@pytest.mark.anyio
class TestControlTopics:
    @pytest.fixture
    async def stage(self, pipeline: PipelineStack, producer: Producer, dlq: str) -> InControlTopic:
        return InControlTopic(pipeline, producer, dlq)

    async def test_what_the_sink_has_committed_is_removed_and_nothing_else(
        self, stage: InControlTopic
    ) -> None:
        await stage.put(6, 7)  # 0 to 2, and the end of their transaction
        await stage.put(8)  # 4 and 5
        stage.commit(5)
        stage.commit(4, connector="of-an-earlier-name")

        assert await stage.place.erase([7]) == 1

        assert await stage.offsets() == [4, 5]
        assert await stage.place.find([6, 7]) == []
        assert [each.prediction_id for each in await stage.place.find([8])] == [8]
        assert await stage.place.erase([7]) == 0

    async def test_what_the_sink_has_not_committed_stays_and_is_said(
        self, stage: InControlTopic
    ) -> None:
        await stage.put(6, 7)
        with pytest.raises(ReplicaBehind, match="has not committed"):
            await stage.place.erase([7])
        stage.commit(1)
        with pytest.raises(ReplicaBehind):
            await stage.place.erase([7])

        assert await stage.offsets() == [1, 2]
        stage.commit(2)
        assert await stage.place.erase([7]) == 1
        assert await stage.offsets() == [2]

    async def test_the_broker_removes_the_file_once_the_sink_has_gone_on(
        self, stage: InControlTopic, topics: KafkaChangeTopic
    ) -> None:
        await stage.put(7)  # 0 and 1
        waiting = ControlTopicPlace(
            Broker(stage.pipeline.bootstrap_servers),
            stage.topic,
            reader=lambda: reader_of(COLUMNS),
            wait=60,
            timeout=BUSY,
        )
        erasing = asyncio.create_task(waiting.erase([7]))
        admin = AdminClient(stage.settings)
        await asyncio.to_thread(
            until,
            lambda: (topic_settings(admin, stage.topic, 20) or {}).get("segment.ms") == "1",
            within=60,
            what="a new file at the next record",
            every=AT_ONCE,
        )
        # Again and again, as the sink does: a commit before the erasure looks for one is not it.
        for offset in itertools.count(4, step=2):
            await asyncio.to_thread(stage.produce, [start_commit()])  # 3, and so on
            await asyncio.to_thread(stage.commit, offset)
            if (await asyncio.wait([erasing], timeout=3))[0]:
                break

        assert await erasing == 1

        assert await stage.offsets() == []
        settings = topic_settings(admin, stage.topic, 20)
        assert settings is not None
        assert settings["segment.ms"] != "1"
        where = f"/var/lib/kafka/data/{stage.topic}-0/*.log"
        listed = stage.pipeline.compose("exec", "-T", "kafka", "sh", "-c", f"ls {where}").split()
        begin = [int(each.rpartition("/")[2].removesuffix(".log")) for each in listed]
        assert 3 in begin

    async def test_a_cluster_without_such_a_topic_keeps_nothing(
        self, stage: InControlTopic
    ) -> None:
        none = ControlTopicPlace(
            Broker(stage.pipeline.bootstrap_servers),
            f"none-{stage.topic}",
            reader=lambda: reader_of(COLUMNS),
            wait=0,
            timeout=BUSY,
        )
        assert await none.find([7]) == []
        assert await none.erase([7]) == 0


@pytest.mark.anyio
@pytest.mark.parametrize("kind", ["dead letters", "control topics"])
async def test_an_erasure_undoes_what_a_killed_one_left_even_where_it_finds_nothing(
    pipeline: PipelineStack, producer: Producer, dlq: str, key_of: Callable[[int], bytes], kind: str
) -> None:
    stage = (
        InDeadLetters(pipeline, producer, dlq, key_of)
        if kind == "dead letters"
        else Committed(pipeline, producer, dlq)
    )
    await stage.put(6)
    admin = AdminClient({"bootstrap.servers": pipeline.bootstrap_servers})
    with new_file(admin, dlq, 20):  # a killed run never leaves it
        assert await stage.place.erase([7]) == 0

        settings = topic_settings(admin, dlq, 20)
        assert settings is not None
        assert settings["segment.ms"] != "1"
    assert [each.prediction_id for each in await stage.place.find([6])] == [6]


class TestKafkaDeadLetterQueue(DeadLetterQueueContract):
    async def test_the_keys_of_a_topic_tell_its_highest_id(
        self, pipeline: PipelineStack, source: TopicPartition
    ) -> None:
        topics = KafkaChangeTopic(
            Broker(pipeline.bootstrap_servers), pipeline.registry_url, timeout=BUSY
        )

        assert await topics.highest_id(source.topic) == max(filter(None, PARKABLE.values()))

    @pytest.fixture
    def away(self, pipeline: PipelineStack) -> KafkaDeadLetterQueue:
        return KafkaDeadLetterQueue(
            Broker(f"127.0.0.1:{free_port()}"), pipeline.registry_url, timeout=NOBODY
        )

    @pytest.fixture
    async def source(
        self,
        pipeline: PipelineStack,
        topics: KafkaChangeTopic,
        topic: str,
        producer: Producer,
        key_of: Callable[[int], bytes],
    ) -> TopicPartition:
        place = TopicPartition(f"{topic}.source", 0)
        await topics.ensure_topic(place.topic, {})
        for offsets in ((0, 1), (3,), (5,)):
            with transaction(pipeline, producer, place.topic):
                for offset in offsets:
                    number = PARKABLE[offset]
                    key = b"\x00none of ours" if number is None else key_of(number)
                    producer.produce(place.topic, CANARY, key, headers={"seen": b"\xff"})
        return place

    async def test_a_copy_is_the_record_with_where_it_is_from(
        self,
        pipeline: PipelineStack,
        queue: KafkaDeadLetterQueue,
        source: TopicPartition,
        topic: str,
    ) -> None:
        await self.park(queue, source, topic, 3, 3)

        (original,) = [x for x in raw_records(pipeline, source.topic) if x.offset() == 3]
        (copy,) = raw_records(pipeline, topic)
        assert (copy.key(), copy.value()) == (original.key(), original.value())
        assert copy.headers() == [
            ("seen", b"\xff"),
            ("__connect.errors.topic", source.topic.encode()),
            ("__connect.errors.partition", b"0"),
            ("__connect.errors.offset", b"3"),
            ("__connect.errors.connector.name", b"a-sink"),
            ("__connect.errors.stage", b"TASK_PUT"),
            ("__connect.errors.exception.class.name", b"java.Oops"),
        ]

    async def test_a_tombstone_is_parked_as_one(
        self,
        pipeline: PipelineStack,
        queue: KafkaDeadLetterQueue,
        topics: KafkaChangeTopic,
        topic: str,
        write: Write,
    ) -> None:
        place = TopicPartition(f"{topic}.source", 0)
        await topics.ensure_topic(place.topic, {})
        write(place.topic, [None])

        await self.park(queue, place, topic, 0, None)

        (copy,) = raw_records(pipeline, topic)
        assert (copy.key(), copy.value()) == (b"key", None)

    async def test_a_letter_of_connect_is_shown_without_what_its_message_quotes(
        self,
        pipeline: PipelineStack,
        queue: KafkaDeadLetterQueue,
        dlq: str,
        producer: Producer,
        key_of: Callable[[int], bytes],
    ) -> None:
        texts = {
            "topic": "changes",
            "partition": "0",
            "offset": "42",
            "connector.name": "a-sink",
            "task.id": "0",
            "stage": "TRANSFORMATION",
            "class.name": "stroke.connect.transforms.RequireColumnTypes",
            "exception.class.name": "org.apache.kafka.connect.errors.DataException",
            "exception.message": f"bad value {CANARY}",
            "exception.stacktrace": f"at {CANARY}",
        }
        headers: list[tuple[str, str | bytes | None]] = [
            (f"__connect.errors.{name}", text.encode()) for name, text in texts.items()
        ]
        with transaction(pipeline, producer, dlq):
            producer.produce(dlq, CANARY, key_of(7), headers=headers)
            producer.produce(dlq, CANARY, None)  # not of Connect

        first, second = await queue.letters(dlq)

        assert (first.topic, first.partition, first.offset) == ("changes", 0, 42)
        assert (first.connector, first.stage, first.prediction_id) == (
            "a-sink",
            "TRANSFORMATION",
            7,
        )
        assert first.reason == "org.apache.kafka.connect.errors.DataException"
        assert (second.topic, second.partition, second.offset) == ("", -1, -1)
        assert "Canary" not in repr([first, second])

    async def test_a_key_that_is_not_of_ours_names_no_prediction(
        self,
        *,
        pipeline: PipelineStack,
        queue: KafkaDeadLetterQueue,
        dlq: str,
        producer: Producer,
        register: Callable[[Any], int],
        key_of: Callable[[int], bytes],
    ) -> None:
        other = {
            "type": "record",
            "name": "Other",
            "fields": [{"name": "id", "type": "string"}, {"name": "at", "type": "double"}],
        }
        other_id = register(other)
        keys = [
            None,
            b"",
            b"\x00\x00",
            b"\x01" + key_of(1)[1:],  # another format
            b"\x00\x7f\xff\xff\xff\x02",  # no such schema
            key_of(1)[:5],  # cut off
            framed(other_id, other, {"id": CANARY, "at": 1.0}),
            framed(other_id, other, {"id": CANARY, "at": 1.0})[:-1],
        ]
        with transaction(pipeline, producer, dlq):
            for key in [*keys, key_of(2**62)]:
                producer.produce(dlq, CANARY, key)

        letters = await queue.letters(dlq)

        assert [letter.prediction_id for letter in letters] == [None] * len(keys) + [2**62]

    async def test_more_records_than_are_sent_at_a_time_keep_their_order(
        self, queue: KafkaDeadLetterQueue, topics: KafkaChangeTopic, topic: str, write: Write
    ) -> None:
        place = TopicPartition(f"{topic}.source", 0)
        await topics.ensure_topic(place.topic, {})
        write(place.topic, [str(number) for number in range(25_000)])

        letters = await self.park(queue, place, topic, 0, 24_999)

        assert [(x.letter, x.offset) for x in letters] == [(n, n) for n in range(25_000)]

    async def test_nothing_is_written_where_the_registry_is_away(
        self, pipeline: PipelineStack, source: TopicPartition, topic: str
    ) -> None:
        address = f"http://127.0.0.1:{free_port()}"
        lost = KafkaDeadLetterQueue(Broker(pipeline.bootstrap_servers), address, timeout=5)

        with pytest.raises(BrokerUnavailable, match=address):
            await self.park(lost, source, topic, 0, 0)

        assert await lost.letters(topic) == []

    async def test_a_broker_that_is_away_is_named(self, pipeline: PipelineStack) -> None:
        address = f"127.0.0.1:{free_port()}"
        away = KafkaDeadLetterQueue(Broker(address), pipeline.registry_url, timeout=NOBODY)

        with pytest.raises(BrokerUnavailable, match=address):
            await away.letters("topic")


class TestKafkaChanges(ChangeSourceContract[Batches]):
    @pytest.fixture
    def source(
        self,
        pipeline: PipelineStack,
        topics: KafkaChangeTopic,
        topic: str,
        write: Callable[[str, Sequence[bytes]], None],
    ) -> KafkaChanges:
        asyncio.run(topics.ensure_topic(topic, {}))
        write(topic, [kafka_value(change) for change in EVENTS])
        return changes_on(pipeline.bootstrap_servers, topic)

    @pytest.fixture
    def gone(self, topic: str) -> KafkaChanges:
        return changes_on(f"127.0.0.1:{free_port()}", topic, timeout=NOBODY)


def changes_on(bootstrap_servers: str, topic: str, *, timeout: float = BUSY) -> KafkaChanges:
    return KafkaChanges(
        Broker(bootstrap_servers),
        topic,
        schema_of=schema_text,
        envelopes=AvroEnvelopes(),
        timeout=timeout,
    )


class TestTopicRetention(RetentionContract):
    @pytest.fixture
    async def retention(
        self, pipeline: PipelineStack, topics: KafkaChangeTopic, topic: str
    ) -> TopicRetention:
        await topics.ensure_topic(topic, {"retention.ms": "86400000", "segment.ms": "3600000"})
        return TopicRetention(Broker(pipeline.bootstrap_servers), topic, timeout=BUSY)

    async def test_a_record_stays_while_its_file_is_written_to_and_then_for_the_retention(
        self, retention: TopicRetention, topic: str
    ) -> None:
        [kept] = await retention.retained(NOON, now=NOON)
        assert kept == Retained(f"Kafka's topic {topic}", NOON + timedelta(days=1, hours=1))

    @pytest.mark.parametrize("settings", [{"retention.ms": "-1"}, {"cleanup.policy": "compact"}])
    async def test_a_topic_that_keeps_records_for_ever_has_no_end(
        self,
        pipeline: PipelineStack,
        topics: KafkaChangeTopic,
        topic: str,
        settings: dict[str, str],
    ) -> None:
        await topics.ensure_topic(topic, settings)
        kept = await TopicRetention(
            Broker(pipeline.bootstrap_servers), topic, timeout=BUSY
        ).retained(NOON, now=NOON)
        assert [each.until for each in kept] == [None]

    async def test_a_topic_that_is_not_there_keeps_nothing(self, pipeline: PipelineStack) -> None:
        retention = TopicRetention(
            Broker(pipeline.bootstrap_servers), "no-such-topic", timeout=BUSY
        )
        assert await retention.retained(NOON, now=NOON) == []

    async def test_a_broker_that_is_away_is_said(self) -> None:
        retention = TopicRetention(Broker(f"127.0.0.1:{free_port()}"), "changes", timeout=NOBODY)
        with pytest.raises(BrokerUnavailable):
            await retention.retained(NOON, now=NOON)
