"""A pipeline of dicts: a source, copies, and how far each has got."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from stroke.application.pipeline.consistency import ReplicaChunk, SourceChunk
from stroke.application.pipeline.kafka_connect_model import TopicPartition
from stroke.application.pipeline.ports import ChangeTopic, Replica, SourceOfTruth, SourceProgress
from stroke.domain.errors import StrokeError

TOPIC = "changes"
PARTITION = TopicPartition(TOPIC, 0)
SOURCE_CONNECTOR = "source"


class Clock:
    """Time that passes only while somebody sleeps. ``meanwhile`` runs at each sleep."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.meanwhile: Callable[[], None] = lambda: None

    def now(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        self.meanwhile()


class _Rows:
    """Digests by id. ``after_reading`` runs when a chunk was read."""

    def __init__(self, rows: Mapping[int, bytes]) -> None:
        self.rows = dict(rows)
        self.read: list[tuple[int, int, int]] = []
        self.after_reading: Callable[[], None] = lambda: None

    async def bounds(self) -> tuple[int, int] | None:
        return (min(self.rows), max(self.rows)) if self.rows else None

    def digests(self, first: int, last: int) -> dict[int, bytes]:
        found = {number: row for number, row in self.rows.items() if first <= number <= last}
        self.read.append((first, last, len(found)))
        self.after_reading()
        return found


class FakeSource(_Rows, SourceOfTruth):
    """Positions are numbers. What is sent again reaches ``copies`` but for the ``stuck`` ids."""

    def __init__(self, rows: Mapping[int, bytes]) -> None:
        super().__init__(rows)
        self.copies: list[FakeReplica] = []
        self.sent: list[list[int]] = []
        self.told: list[int] = []
        self.untold: set[int] = set()
        self.stuck: set[int] = set()

    async def boundary(self, first: int, count: int) -> int | None:
        beyond = sorted(number for number in self.rows if number >= first)
        return beyond[count - 1] if len(beyond) >= count else None

    async def chunk(self, first: int, last: int) -> SourceChunk:
        return SourceChunk(self.digests(first, last))

    async def position(self) -> str:
        return "7"

    async def includes(self, position: str, wanted: str) -> bool:
        return int(position) >= int(wanted)

    async def send_again(self, ids: Sequence[int]) -> None:
        self.sent.append(list(ids))
        for copy in self.copies:
            copy.rows |= {n: self.rows[n] for n in ids if n in self.rows and n not in self.stuck}

    async def send_deletes(self, ids: Sequence[int]) -> list[int]:
        told = [number for number in ids if number not in self.rows | dict.fromkeys(self.untold)]
        self.told += told
        for copy in self.copies:
            copy.rows = {n: row for n, row in copy.rows.items() if n not in told}
        return told


class FakeReplica(_Rows, Replica):
    """Has reached everything unless ``at`` says otherwise. ``failing`` makes ``reached`` raise.

    One that ``lags`` is read as of the last ``reached``.
    """

    def __init__(
        self,
        rows: Mapping[int, bytes],
        *,
        name: str = "sql",
        twice: Sequence[int] = (),
        lags: bool = False,
    ) -> None:
        super().__init__(rows)
        self._seen = dict(rows) if lags else None
        self.name = name
        self.twice = twice
        self.at = 10**9
        self.failing: StrokeError | None = None

    async def chunk(self, first: int, last: int) -> ReplicaChunk:
        found = self.digests(first, last)
        if self._seen is not None:
            found = {n: row for n, row in self._seen.items() if first <= n <= last}
        return ReplicaChunk(found, sum(first <= number <= last for number in self.twice))

    async def reached(self, offsets: Mapping[TopicPartition, int]) -> bool:
        if self.failing is not None:
            raise self.failing
        if self._seen is not None:
            self._seen = dict(self.rows)
        return all(self.at >= offset for offset in offsets.values())


class FakeChangeTopic(ChangeTopic):
    """One partition, whose last record is at ``last``."""

    def __init__(self) -> None:
        self.last = 41

    async def last_offsets(self, topic: str) -> dict[TopicPartition, int]:
        return {PARTITION: self.last} if topic == TOPIC else {}

    async def ensure_topic(self, topic: str, config: Mapping[str, str]) -> bool:
        return False


class FakeSentPosition(SourceProgress):
    """A source connector that has committed ``position``."""

    def __init__(self) -> None:
        self.position: str | None = "7"
        self.failing: StrokeError | None = None

    async def source_position(self, name: str) -> str | None:
        if self.failing is not None:
            raise self.failing
        return self.position if name == SOURCE_CONNECTOR else None
