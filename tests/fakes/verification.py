"""A pipeline of dicts: a source, copies, and how far each has got."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from fakes.failing import Failing
from stroke.application.pipeline.consistency import ReplicaChunk, Row, SourceChunk, row_digest
from stroke.application.pipeline.kafka_connect_model import TopicPartition
from stroke.application.pipeline.ports import Replica, SourceOfTruth

TOPIC = "changes"
PARTITION = TopicPartition(TOPIC, 0)
# The ids that a row may have had: as far above the highest as MySqlSource believes.
REACH = 1_000_000


class _Rows(Failing):
    """Digests by id. ``after_reading`` runs when a chunk was read."""

    def __init__(self, rows: Mapping[int, bytes]) -> None:
        self.rows = dict(rows)
        self.read: list[tuple[int, int, int]] = []
        self.after_reading: Callable[[], None] = lambda: None

    async def bounds(self) -> tuple[int, int] | None:
        self.raise_if_failing()
        return (min(self.rows), max(self.rows)) if self.rows else None

    async def count(self) -> int:
        self.raise_if_failing()
        return len(self.rows)

    def digests(self, first: int, last: int) -> dict[int, bytes]:
        self.raise_if_failing()
        found = {number: row for number, row in self.rows.items() if first <= number <= last}
        self.read.append((first, last, len(found)))
        self.after_reading()
        return found


class FakeSource(_Rows, SourceOfTruth):
    """Positions are numbers. What is sent again reaches ``copies`` but for the ``stuck`` ids."""

    def __init__(self, rows: Mapping[int, bytes]) -> None:
        super().__init__(rows)
        self.commits = 7
        self.copies: list[FakeReplica] = []
        self.sent: list[list[int]] = []
        self.sent_deletes: list[int] = []
        self.unsent: set[int] = set()
        self.stuck: set[int] = set()
        self.unknown: dict[str, str] = {}
        self.gives: int | None = max(self.rows, default=0) + 1

    async def uncompared(self) -> dict[str, str]:
        self.raise_if_failing()
        return dict(self.unknown)

    async def boundary(self, first: int, count: int) -> int | None:
        self.raise_if_failing()
        beyond = sorted(number for number in self.rows if number >= first)
        return beyond[count - 1] if len(beyond) >= count else None

    async def chunk(self, first: int, last: int) -> SourceChunk:
        return SourceChunk(self.digests(first, last))

    async def position(self) -> str:
        self.raise_if_failing()
        return str(self.commits)

    async def includes(self, position: str, wanted: str) -> bool:
        self.raise_if_failing()
        return int(position or 0) >= int(wanted or 0)

    async def next_id(self) -> int | None:
        self.raise_if_failing()
        return None if self.gives is None else max(self.gives, max(self.rows, default=0) + 1)

    async def continue_at(self, number: int) -> None:
        self.raise_if_failing()
        self.gives = max(number, max(self.rows, default=0) + 1)

    async def bring_back(self, rows: Mapping[int, Row]) -> list[int]:
        self.raise_if_failing()
        new = sorted(rows.keys() - self.rows.keys())
        self.rows |= {number: row_digest({"id": number, **rows[number]}) for number in new}
        return new

    async def send_again(self, ids: Sequence[int]) -> None:
        self.raise_if_failing()
        self.sent.append(list(ids))
        for copy in self.copies:
            copy.rows |= {n: self.rows[n] for n in ids if n in self.rows and n not in self.stuck}

    async def send_deletes(self, ids: Sequence[int]) -> list[int]:
        self.raise_if_failing()
        passed_over = self.rows.keys() | self.unsent
        possible = range(1, max(self.rows, default=0) + REACH + 1)
        again = [n for n in sorted(set(ids)) if n in possible and n not in passed_over]
        following = await self.next_id()
        for number in again:
            if following is not None and number == following:
                following += 1
        self.gives = following
        self.sent_deletes += again
        for copy in self.copies:
            copy.rows = {n: row for n, row in copy.rows.items() if n not in again}
        return again


class FakeReplica(_Rows, Replica):
    """Has reached everything unless ``at`` says otherwise. ``failing`` makes every call raise.

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
        self.keeps_history = name == "s3"
        self.twice = twice
        self.at = 10**9
        self.whole: dict[int, Row] = {}

    async def chunk(self, first: int, last: int) -> ReplicaChunk:
        found = self.digests(first, last)
        if self._seen is not None:
            found = {n: row for n, row in self._seen.items() if first <= n <= last}
        return ReplicaChunk(found, sum(first <= number <= last for number in self.twice))

    async def read_rows(self, first: int, last: int) -> dict[int, Row]:
        present = (await self.chunk(first, last)).digests
        return {number: self.whole[number] for number in present}

    async def reached(self, offsets: Mapping[TopicPartition, int]) -> bool:
        self.raise_if_failing()
        if self._seen is not None:
            self._seen = dict(self.rows)
        return all(place == PARTITION and self.at >= offset for place, offset in offsets.items())
