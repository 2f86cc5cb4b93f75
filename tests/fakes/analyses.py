"""Fakes of the ports of the analyses: all in memory, done the simple way."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import pyarrow as pa

from builders.changes import Batches, batches
from builders.truth import Change, latest_of
from fakes.failing import Failing
from stroke.application.analyses.changes import Counts
from stroke.application.analyses.ports import (
    AnalyticsEngine,
    CannotContinue,
    ChangeHistory,
    ChangeSource,
    CheckpointStore,
    EnvelopeFormat,
    Envelopes,
    Loaded,
    Position,
    Progress,
    ResultStore,
    SavedState,
    SourceRead,
    StatePointer,
)
from stroke.application.analyses.queries import Analysis
from stroke.application.analyses.runs import AnalyticsRun, Reached
from stroke.application.analyses.views import EVENTS, MEASURED, MISSING

_GROUPED = {
    "risk-distribution": "risk_category",
    "risk-by-gender": "gender",
    "risk-by-smoking-status": "smoking_status",
    "risk-by-country": "country",
    "risk-by-province": "province",
    "model-versions": "model_version",
}


class FakeChangeSource(ChangeSource[Batches], Failing):
    """Has ``changes``, to which more may be added; a position is how many of them were read.

    ``fails_at`` is the row at which reading raises ``failing``; None raises at once.
    """

    def __init__(self, changes: Sequence[Change] = (), *, has_events: bool = True) -> None:
        self.changes = list(changes)
        self.has_events = has_events
        self.fails_at: int | None = None
        self.reads: list[Position | None] = []

    def read(self, since: Position | None = None, *, with_name: bool) -> SourceRead[Batches]:
        if self.fails_at is None:
            self.raise_if_failing()
        first = 0
        if since is not None:
            known = since.get("read")
            is_known = type(known) is int and 0 <= known <= len(self.changes)
            if since.keys() != {"read"} or not is_known:
                raise CannotContinue("it was of another source")
            first = since["read"]
        self.reads.append(since)
        new, end = self.changes[first:], len(self.changes)
        rows = self._rows(new, with_name=with_name)
        return SourceRead(rows, lambda: {"read": end}, len(new), has_events=self.has_events)

    def _rows(self, changes: Sequence[Change], *, with_name: bool) -> Batches:
        for at, batch in enumerate(batches(changes, size=1, with_name=with_name)):
            if at == self.fails_at:
                self.raise_if_failing()
            yield batch


class FakeCheckpoints(CheckpointStore, Failing):
    """Keeps the bytes of the last checkpoint, None for none. ``failing`` is for ``save`` alone."""

    def __init__(self) -> None:
        self.kept: bytes | None = None
        self.is_unreadable = False

    def load(self, folder: Path) -> Path | None:
        if self.is_unreadable:
            raise CannotContinue("what the last run kept cannot be read")
        if self.kept is None:
            return None
        copy = folder / "copy"
        copy.write_bytes(self.kept)
        return copy

    def save(self, checkpoint: Path) -> None:
        self.raise_if_failing()
        self.kept = checkpoint.read_bytes()


class Saved:
    """What engines of several runs save: the changes, and the position they are of."""

    def __init__(self) -> None:
        self.last: tuple[Sequence[Change], Position] | None = None
        self.is_damaged = False


class FakeEngine(AnalyticsEngine[Batches]):
    """Answers ``operations`` and ``latest-snapshot``; its checkpoints are in ``saved``."""

    def __init__(self, saved: Saved | None = None) -> None:
        self.saved = saved
        self.is_closed = False
        self._changes: list[Change] = []
        self._has_names = False

    def resume(self) -> Position | None:
        if self.saved is None or self.saved.last is None:
            return None
        if self.saved.is_damaged:
            raise CannotContinue("what the last run kept cannot be read")
        changes, position = self.saved.last
        self._changes = list(changes)
        return position

    def load(self, read: SourceRead[Batches], *, with_name: bool, on_progress: Progress) -> Loaded:
        self._changes, self._has_names = [], with_name
        return self._take(read, on_progress)

    def extend(self, read: SourceRead[Batches], *, on_progress: Progress) -> Loaded:
        began = self._began()
        loaded = self._take(read, on_progress)
        if any(self._began()[cluster] < first for cluster, first in began.items()):
            raise CannotContinue("an event is older than the first known of its Kafka cluster")
        return loaded

    def query(self, analysis: Analysis) -> pa.Table:
        if analysis.name == "operations":
            return pa.Table.from_pylist(self._operations())
        latest = sorted(latest_of(self._changes).items())
        if analysis.name in _GROUPED:
            return pa.Table.from_pylist(
                _grouped(_GROUPED[analysis.name], [row for _, row in latest])
            )
        rows = [{"id": number, "probability": row["probability"]} for number, row in latest]
        schema = pa.schema([("id", pa.int64()), ("probability", pa.float64())])
        return pa.Table.from_pylist(rows, schema)

    def save(self, position: Position) -> None:
        if self.saved is not None and not self._has_names:
            self.saved.last = (list(self._changes), json.loads(json.dumps(position)))
            self.saved.is_damaged = False

    def close(self) -> None:
        self.is_closed = True

    def _take(self, read: SourceRead[Batches], on_progress: Progress) -> Loaded:
        events = 0
        for batch in read.rows:
            events += batch.num_rows
            on_progress("reading", events, read.total)
            self._changes += batch.to_pylist()
        places: dict[tuple[str, int], int] = {}
        for change in self._changes:
            at = (change["cluster"], change["kafka_partition"])
            places[at] = max(change["place"], places.get(at, change["place"]))
        reached = [Reached(*at, place) for at, place in sorted(places.items())]
        return Loaded(events, len(latest_of(self._changes)), reached if read.has_events else ())

    def _began(self) -> Mapping[str, int]:
        began: dict[str, int] = {}
        for change in self._changes:
            first = began.get(change["cluster"], change["ts_us"])
            began[change["cluster"]] = min(first, change["ts_us"])
        return began

    def _operations(self) -> list[dict[str, Any]]:
        events = {tuple(change[name] for name in EVENTS) for change in self._changes}
        counted = Counter(event[0] for event in events)
        ids = {op: {event[1] for event in events if event[0] == op} for op in counted}
        return [
            {"op": op, "events": counted[op], "predictions": len(ids[op])} for op in sorted(counted)
        ]


def _grouped(column: str, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return how many rows each label of a column has, and their mean probability."""
    groups: dict[str, list[float]] = {}
    for row in rows:
        label = MISSING if row[column] is None else row[column]
        groups.setdefault(label, []).append(row["probability"])
    return [
        {column: label, "predictions": len(each), "mean_probability": fmean(each)}
        for label, each in sorted(groups.items())
    ]


class FakeResults(ResultStore, Failing):
    """Keeps the rows of each analysis by its table, and the records of all runs."""

    def __init__(self) -> None:
        self.tables: dict[str, list[dict[str, Any]]] = {}
        self.runs: list[dict[str, Any]] = []

    def write(self, analysis: Analysis, rows: pa.Table) -> None:
        self.raise_if_failing()
        self.tables[analysis.table] = rows.to_pylist()

    def record(self, run: AnalyticsRun) -> None:
        self.raise_if_failing()
        self.runs.append(run.as_json())


class FakePointer(StatePointer, Failing):
    """Keeps the last state; ``failing`` is for ``write`` alone."""

    def __init__(self) -> None:
        self.kept: tuple[SavedState, str] | None = None
        self.is_unreadable = False

    def read(self, shape: str) -> SavedState | None:
        if self.is_unreadable:
            raise CannotContinue("what the last run kept cannot be read")
        if self.kept is None:
            return None
        state, known = self.kept
        if known != shape:
            raise CannotContinue("another version of stroke kept what the last run read")
        return state

    def write(self, state: SavedState, shape: str) -> None:
        self.raise_if_failing()
        self.kept, self.is_unreadable = (state, shape), False


class FakeHistory(ChangeHistory, Failing):
    """A log of so many ``snapshots``; those before ``expired_before`` are no longer known."""

    def __init__(self) -> None:
        self.snapshots = 0
        self.expired_before = 0

    def now(self) -> Position:
        self.raise_if_failing()
        return {"table": "changes", "snapshot_id": self.snapshots or None}

    def check_follows(self, since: Position, now: Position) -> None:
        self.raise_if_failing()
        if since == now:
            return
        known = since.get("snapshot_id", -1)
        known = 0 if known is None else known
        if since.get("table") != "changes" or type(known) is not int:
            raise CannotContinue("it was of another table")
        if not self.expired_before <= known <= self.snapshots:
            raise CannotContinue("what followed the snapshot has expired")


class FakeEnvelopes(Envelopes):
    """Reads envelopes with an operation and a row of the columns of ``shape``."""

    def __init__(self, shape: pa.Schema, partition: int) -> None:
        self.counts = Counts()
        self._shape = shape
        self._partition = partition

    def batch(self, records: Sequence[Any], offsets: Sequence[int] | None = None) -> pa.RecordBatch:
        places = list(range(len(records))) if offsets is None else list(offsets)
        rows = [
            row for at, each in zip(places, records, strict=True) if (row := self._row(each, at))
        ]
        self.counts.events += len(rows)
        return pa.RecordBatch.from_pylist(rows, self._shape)

    def _row(self, record: Any, place: int) -> dict[str, Any] | None:
        if record is None:
            self.counts.tombstones += 1
            return None
        row = record["before"] if record["op"] == "d" else record["after"]
        if row is None or record["op"] not in {"c", "r", "u", "d"}:
            self.counts.strange_records += 1
            return None
        found = {} if record["op"] == "d" else {n: row.get(n) for n in (*MEASURED, "name")}
        found |= {"timestamp_us": row.get("timestamp"), "ts_us": 1_000 * record["ts_ms"]}
        found |= {"op": record["op"], "prediction_id": row["id"], "turn": 0}
        found |= {"cluster": "", "kafka_partition": self._partition, "place": place}
        return {name: found.get(name) for name in self._shape.names}


class FakeEnvelopeFormat(EnvelopeFormat):
    """Knows no schemas: every envelope says what it is."""

    def envelopes(self, schema: Any, shape: pa.Schema, *, partition: int) -> FakeEnvelopes:
        return FakeEnvelopes(shape, partition)
