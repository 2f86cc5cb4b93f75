"""Kafka Connect, a topic, a lake and their dead letters, kept in dicts."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from fakes.failing import Failing
from stroke.application.pipeline.consistency import (
    Comparison,
    DeadLetter,
    Lineage,
    NextRecord,
    TopicRecord,
)
from stroke.application.pipeline.failure_causes import FailureCause
from stroke.application.pipeline.kafka_connect_model import (
    ConnectorConfig,
    ConnectorSpec,
    ConnectorState,
    ConnectorStatus,
    TaskStatus,
    TopicPartition,
)
from stroke.application.pipeline.ports import (
    ChangeLog,
    ChangeTopic,
    ConnectorControl,
    ConnectorRegistry,
    ConnectorSpecs,
    DeadLetterQueue,
    PipelineObserver,
    SourceProgress,
    TopicRecords,
)
from stroke.domain.errors import (
    ConnectorFailed,
    ConnectorNotFound,
    InvalidConnector,
    InvalidData,
    StrokeError,
    Violation,
)

WORKER = "worker:8083"
RUNNING, FAILED = ConnectorState.RUNNING, ConnectorState.FAILED


class FakeClock:
    """Time passes while somebody sleeps. ``meanwhile`` runs at each sleep."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.meanwhile: Callable[[], None] = lambda: None

    def __call__(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        self.meanwhile()


@dataclass
class FakeConnector:
    """One connector. ``cured`` says whether a restart lets it run.

    A sink with ``reads`` takes these offsets, a batch after the other, whenever it runs. It fails
    on a batch with an offset of ``poison``, for the cause given there, and commits what came
    before the batch. With ``names`` it names the record, and its config may route some to no table.
    """

    config: dict[str, str]
    kind: str = "sink"
    state: ConnectorState = RUNNING
    task: ConnectorState | None = RUNNING
    reason: str = ""
    cause: FailureCause | None = None
    cured: bool = True
    offsets: dict[TopicPartition, int] = field(default_factory=dict)
    restarts: list[bool] = field(default_factory=list)
    puts: int = 0
    position: str | None = None
    reads: Sequence[int] = ()
    poison: dict[int, FailureCause | None] = field(default_factory=dict)
    names: bool = False
    record: tuple[TopicPartition, int] | None = None
    written: list[int] = field(default_factory=list)

    def work(self) -> None:
        """Take what is before it."""
        routed = [value for key, value in self.config.items() if key.endswith("route-regex")]
        for place, committed in self.offsets.items():
            size = int(self.config.get("consumer.override.max.poll.records", "500"))
            todo = [offset for offset in self.reads if offset >= committed]
            for batch in (todo[i : i + size] for i in range(0, len(todo), size)):
                wanted = [
                    offset
                    for offset in batch
                    if all(re.fullmatch(pattern, str(offset)) for pattern in routed)
                ]
                bad = [offset for offset in wanted if offset in self.poison]
                if bad:
                    self.record = (place, bad[0]) if self.names else None
                    self.task, self.reason = FAILED, self.reason or "SinkException"
                    self.cause = self.poison[bad[0]]
                    taken = [offset for offset in self.reads if offset < batch[0]]
                    self.offsets[place] = max([committed, *(offset + 1 for offset in taken)])
                    return
                self.written += wanted
                self.offsets[place] = batch[-1] + 1


class FakeConnect(Failing, ConnectorRegistry, ConnectorControl, SourceProgress):
    """One worker. Of a class in ``known`` it declares these settings; ``tasks.max`` is a number.

    ``starts_as`` is what a connector that is put comes to be. ``failing`` makes every call raise,
    each of ``refused`` one ``set_offsets``. Of a stopped connector the tasks are still there for
    ``lingering`` looks, and of those in ``gone``, which were removed, the state.
    """

    def __init__(self, known: Mapping[str, frozenset[str]], *, cluster: str = "cluster-1") -> None:
        self.known = known
        self.gone: dict[str, FakeConnector] = {}
        self.cluster = cluster
        self.connectors: dict[str, FakeConnector] = {}
        self.checked: list[str] = []
        self.starts_as = FakeConnector({})
        self.refused: list[StrokeError] = []
        self.lingering = 0

    async def cluster_id(self) -> str:
        self.raise_if_failing()
        return self.cluster

    async def names(self) -> list[str]:
        self.raise_if_failing()
        return sorted(self.connectors)

    async def config(self, name: str) -> ConnectorConfig | None:
        self.raise_if_failing()
        return dict(self.connectors[name].config) if name in self.connectors else None

    async def known_keys(self, connector_class: str) -> frozenset[str]:
        self.raise_if_failing()
        return self.known.get(connector_class, frozenset())

    async def check(self, name: str, config: ConnectorConfig) -> list[Violation]:
        self.raise_if_failing()
        self.checked.append(name)
        if config.get("connector.class") not in self.known:
            return [Violation("connector.class", "is of no plug-in")]
        if not config.get("tasks.max", "1").isdigit():
            return [Violation("tasks.max", "is refused")]
        return []

    async def put(self, name: str, config: ConnectorConfig) -> None:
        found = await self.check(name, config)
        if found:
            raise InvalidConnector(name, tuple(found))
        if name not in self.connectors:
            self.connectors[name] = replace(
                self.starts_as, config={}, offsets={}, restarts=[], puts=0, poison={}
            )
        known = self.connectors[name]
        known.config, known.puts = dict(config), known.puts + 1
        if known.state not in {ConnectorState.STOPPED, ConnectorState.PAUSED}:
            known.state, known.task = self.starts_as.state, self.starts_as.task
            known.reason, known.cause = self.starts_as.reason, self.starts_as.cause
            known.cured = self.starts_as.cured

    async def remove(self, name: str) -> None:
        self._of(name)
        del self.connectors[name]

    async def status(self, name: str) -> ConnectorStatus:
        found = self.gone[name] if name in self.gone else self._of(name)
        tasks = () if found.task is None else (_task_of(found),)
        if found.state is ConnectorState.STOPPED and self.lingering:
            self.lingering -= 1
            tasks = (TaskStatus(0, RUNNING, WORKER),)
        return ConnectorStatus(name, found.kind, found.state, WORKER, tasks)

    async def restart(self, name: str, *, only_failed: bool = True) -> None:
        found = self._of(name)
        found.restarts.append(only_failed)
        if found.cured and FAILED in {found.state, found.task}:
            found.state, found.task, found.reason = RUNNING, RUNNING, ""

    async def pause(self, name: str) -> None:
        self._of(name).state = self._of(name).task = ConnectorState.PAUSED

    async def stop(self, name: str) -> None:
        found = self._of(name)
        if found.task is FAILED and not found.poison:
            # It failed on what comes next, and does so again.
            found.reads = sorted(found.offsets.values())
            found.poison = dict.fromkeys(found.reads, found.cause)
        found.state, found.task = ConnectorState.STOPPED, None

    async def resume(self, name: str) -> None:
        found = self._of(name)
        found.state = found.task = RUNNING
        found.work()

    async def offsets(self, name: str) -> dict[TopicPartition, int]:
        return dict(self._of(name).offsets)

    async def set_offsets(self, name: str, offsets: Mapping[TopicPartition, int]) -> None:
        found = self._of(name)
        if found.state is not ConnectorState.STOPPED:
            raise ConnectorFailed(f"{name} is not stopped")
        if self.refused:
            raise self.refused.pop()
        found.offsets.update(offsets)

    async def source_position(self, name: str) -> str | None:
        return self._of(name).position

    def _of(self, name: str) -> FakeConnector:
        self.raise_if_failing()
        if name not in self.connectors:
            raise ConnectorNotFound(name)
        return self.connectors[name]


def _task_of(found: FakeConnector) -> TaskStatus:
    assert found.task is not None
    record = found.record if found.task is FAILED else None
    return TaskStatus(0, found.task, WORKER, found.reason, found.cause, record)


class FakeSpecs(Failing, ConnectorSpecs):
    """Connectors by the name of their file. ``{cluster_id}`` in a value is filled in."""

    def __init__(self, **files: tuple[str, Mapping[str, str]]) -> None:
        self.files = files

    def names(self) -> dict[str, str]:
        self.raise_if_failing()
        return {file: name for file, (name, _) in self.files.items()}

    def load(self, file: str, *, cluster_id: str) -> ConnectorSpec:
        self.raise_if_failing()
        if file not in self.files:
            raise InvalidData(f"{file} is not there")
        name, config = self.files[file]
        filled = {key: value.replace("{cluster_id}", cluster_id) for key, value in config.items()}
        return ConnectorSpec(file, name, filled)


class FakeTopics(Failing, ChangeTopic):
    """Topics with their config; ``last`` is the offset of each one's last record."""

    def __init__(self) -> None:
        self.made: dict[str, dict[str, str]] = {}
        self.last: dict[TopicPartition, int] = {}
        self.ids: dict[str, int] = {}
        self._ends: dict[str, int] = {}

    async def highest_id(self, topic: str) -> int | None:
        self.raise_if_failing()
        return self.ids.get(topic)

    def write(self, topic: str, values: Sequence[str | None]) -> None:
        """Commit records at once; a marker follows them."""
        start = self._ends.get(topic, 0)
        for offset, value in enumerate(values, start):
            if value is not None:
                self.last[TopicPartition(topic, 0)] = offset
        self._ends[topic] = start + len(values) + 1

    async def last_offsets(self, topic: str) -> dict[TopicPartition, int]:
        self.raise_if_failing()
        return {at: offset for at, offset in self.last.items() if at.topic == topic}

    async def ensure_topic(self, topic: str, config: Mapping[str, str]) -> bool:
        self.raise_if_failing()
        is_new = topic not in self.made
        self.made.setdefault(topic, dict(config))
        return is_new

    async def limit(self, topic: str) -> int | None:
        self.raise_if_failing()
        made = self.made.get(topic)
        return None if made is None else int(made.get("max.message.bytes", 1_048_588))

    async def set_limit(self, topic: str, most: int) -> None:
        self.raise_if_failing()
        self.made[topic]["max.message.bytes"] = str(most)


class FakeLake(Failing, ChangeLog):
    """A table that is there once it was ensured, or ``written`` says up to where it was written."""

    def __init__(self) -> None:
        self.is_there = False
        self.written: Lineage | None = None

    async def ensure_table(self) -> bool:
        self.raise_if_failing()
        is_new = not self.is_there and self.written is None
        self.is_there = True
        return is_new

    async def lineage(self) -> Lineage | None:
        self.raise_if_failing()
        return Lineage(None, {}) if self.is_there and self.written is None else self.written


class FakeTopicRecords(Failing, TopicRecords):
    """Records by topic."""

    def __init__(self) -> None:
        self.topics: dict[str, list[TopicRecord]] = {}

    async def records(self, topic: str, *, start: int | None, limit: int) -> list[TopicRecord]:
        self.raise_if_failing()
        if topic not in self.topics:
            raise InvalidData(f"Kafka has no topic {topic}; there are {', '.join(self.topics)}")
        found = [x for x in self.topics[topic] if start is None or x.offset >= start]
        return found[-limit:] if start is None else found[:limit]


class FakeDeadLetters(Failing, DeadLetterQueue):
    """Letters by topic. ``records`` are what can be parked: by offset, each one's prediction."""

    def __init__(self) -> None:
        self.by_topic: dict[str, list[DeadLetter]] = {}
        self.records: dict[TopicPartition, dict[int, int | None]] = {}

    def add(
        self,
        topic: str,
        source: TopicPartition,
        offset: int,
        *,
        connector: str = "sink",
        stage: str = "TRANSFORMATION",
        reason: str = "DataException",
        prediction_id: int | None = None,
        cause: str = "",
    ) -> DeadLetter:
        found = self.by_topic.setdefault(topic, [])
        letter = DeadLetter(
            letter=len(found),
            connector=connector,
            topic=source.topic,
            partition=source.partition,
            offset=offset,
            stage=stage,
            reason=reason,
            prediction_id=prediction_id,
            settled=False,
            cause=cause,
        )
        found.append(letter)
        return letter

    async def letters(self, topic: str) -> list[DeadLetter]:
        self.raise_if_failing()
        return list(self.by_topic.get(topic, []))

    async def park(
        self,
        source: TopicPartition,
        *,
        first: int,
        last: int | None,
        topic: str,
        connector: str,
        reason: str,
        cause: str = "",
    ) -> list[DeadLetter]:
        self.raise_if_failing()
        records = sorted(x for x in self.records.get(source, {}).items() if x[0] >= first)
        chosen = records[:1] if last is None else [x for x in records if x[0] <= last]
        return [
            self.add(
                topic,
                source,
                offset,
                connector=connector,
                stage="TASK_PUT",
                reason=reason,
                prediction_id=prediction_id,
                cause=cause,
            )
            for offset, prediction_id in chosen
        ]

    async def next_record(self, source: TopicPartition, first: int) -> NextRecord | None:
        self.raise_if_failing()
        records = self.records.get(source, {})
        offset = min((x for x in records if x >= first), default=None)
        return None if offset is None else NextRecord(source, offset, records[offset])

    async def settle(self, topic: str, letters: Sequence[DeadLetter]) -> None:
        self.raise_if_failing()
        numbers = {letter.letter for letter in letters}
        self.by_topic[topic] = [
            replace(x, settled=x.settled or x.letter in numbers)
            for x in self.by_topic.get(topic, [])
        ]


class FakePipelineObserver(PipelineObserver):
    """Keeps all restarts, and the last of the other events for each name."""

    def __init__(self) -> None:
        self.running: dict[str, bool] = {}
        self.restarts: list[str] = []
        self.not_healed: dict[str, int] = {}
        self.failed: dict[str, str] = {}
        self.sinks: dict[str, tuple[int, bool]] = {}
        self.gap: int | None = None
        self.comparisons: dict[str, Comparison] = {}

    def connector(self, name: str, *, running: bool) -> None:
        self.running[name] = running

    def restarted(self, name: str) -> None:
        self.restarts.append(name)

    def unhealed(self, name: str, *, restarts: int) -> None:
        self.not_healed[name] = restarts

    def sink_failed(self, name: str, cause: str) -> None:
        self.failed[name] = cause

    def sink(self, name: str, *, lag: int, stalled: bool) -> None:
        self.sinks[name] = (lag, stalled)

    def lake_gap(self, records: int) -> None:
        self.gap = records

    def verified(self, comparisons: Sequence[Comparison]) -> None:
        self.comparisons |= {comparison.replica: comparison for comparison in comparisons}
