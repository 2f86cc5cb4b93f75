"""Directories of Avro files with change events, as a source of analyses."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, field
from multiprocessing import get_context
from typing import Any, Final

import pyarrow as pa
from pyarrow import fs

from stroke.adapters.avro.containers import MAX_BLOCK_BYTES, read_head, read_part
from stroke.adapters.avro.envelopes import EnvelopeReader
from stroke.adapters.avro.schemas import NotAvro
from stroke.application.analyses.changes import Counts, changes_schema
from stroke.application.analyses.ports import CannotContinue, ChangeSource, Position, SourceRead
from stroke.domain.errors import InvalidData, ReplicaUnavailable
from stroke.domain.object_stores import advice

PART_BYTES: Final = 32 * 1024 * 1024
"""How much of an object is read at a time; so much a process holds, and its events."""

_BATCH_RECORDS: Final = 4_000
_SUFFIX: Final = ".avro"
_OTHERS: Final = (".keys.avro", ".headers.avro")  # what the sink writes next to its values
_PARTITION: Final = re.compile(r"(?:\+(\d+)\+\d+\.avro$)|(?:/partition=(\d+)/)")
_TOPIC: Final = re.compile(r"(?:^|/)([^/]+)/partition=\d+/")
_NAMED: Final = 20  # objects that cannot be read
_SETTINGS: Final = "STROKE_LAKE_"  # of endpoint and keys


@dataclass(frozen=True, slots=True)
class Part:
    """A part of an object, for a process to read."""

    files: fs.FileSystem
    path: str
    start: int
    end: int
    max_block_bytes: int = MAX_BLOCK_BYTES


@dataclass(slots=True)
class Found:
    """What a part holds: its events, and what was skipped.

    An object that is no Avro file counts as one of ``unreadable_objects`` in its first part.
    """

    batches: list[pa.RecordBatch] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts)
    broken_places: int = 0
    unreadable_objects: int = 0

    def skipped(self) -> dict[str, int]:
        """Return the counts by their names in a position."""
        return asdict(self.counts) | {
            "broken_places": self.broken_places,
            "unreadable_objects": self.unreadable_objects,
        }


@dataclass(slots=True)
class _Total:
    """What was found in all parts so far."""

    found: Found = field(default_factory=Found)
    unreadable: list[str] = field(default_factory=list)

    def add(self, part: Part, found: Found) -> None:
        self.found.counts.add(found.counts)
        self.found.broken_places += found.broken_places
        self.found.unreadable_objects += found.unreadable_objects
        if found.unreadable_objects:
            self.unreadable.append(part.path)

    def position(self, place: Mapping[str, Any]) -> dict[str, Any]:
        return {**place, **self.found.skipped(), "unreadable": self.unreadable[:_NAMED]}


class AvroChanges(ChangeSource[Iterator[pa.RecordBatch]]):
    """The events in all Avro files of ``folder`` of ``files``, read by ``workers`` processes.

    Files are those that Kafka Connect's S3 sink writes. What is not an event is counted in the
    position, and nothing that a file holds ends it: tombstones, records that are no change
    of a row, values of another kind, places that are broken, and objects that are no Avro files.
    ``with_data`` adds the column ``prediction_data``.
    """

    def __init__(
        self,
        files: fs.FileSystem,
        folder: str,
        *,
        workers: int = 2,
        part_bytes: int = PART_BYTES,
        max_block_bytes: int = MAX_BLOCK_BYTES,
        with_data: bool = False,
    ) -> None:
        self._files = files
        self._with_data = with_data
        self._folder = folder.rstrip("/")
        self._is_local = isinstance(files, fs.LocalFileSystem)
        self._place = self._folder if self._is_local else f"s3://{self._folder}"
        self._workers = workers
        self._part_bytes = part_bytes
        self._max_block_bytes = max_block_bytes

    def read(
        self, since: Position | None = None, *, with_name: bool
    ) -> SourceRead[Iterator[pa.RecordBatch]]:
        if since is not None:
            raise CannotContinue("files have no history")
        parts, place = self.plan()
        total = _Total()
        rows = self._batches(parts, total, with_name=with_name)
        return SourceRead(rows, lambda: total.position(place))

    def plan(self) -> tuple[list[Part], dict[str, Any]]:
        """Return the parts to read, and what they are parts of.

        Raises ``ReplicaUnavailable`` or ``InvalidData``.
        """
        objects = self._objects()
        parts = [
            Part(
                self._files,
                found.path,
                start,
                min(start + self._part_bytes, found.size),
                self._max_block_bytes,
            )
            for found in objects
            for start in range(0, max(found.size, 1), self._part_bytes)
        ]
        return parts, {"folder": self._folder, "objects": len(objects)}

    def _objects(self) -> list[fs.FileInfo]:
        selector = fs.FileSelector(self._folder, recursive=True)
        try:
            listed = self._files.get_file_info(selector)
        except OSError as error:
            if self._is_local:
                said = f"{self._place} cannot be listed: is it there, and may it be read?"
            else:
                said = advice(error, self._place, _SETTINGS)
            raise ReplicaUnavailable(said) from error
        objects = [
            found
            for found in sorted(listed, key=lambda found: found.path)
            if found.is_file and found.path.endswith(_SUFFIX) and not found.path.endswith(_OTHERS)
        ]
        if not objects:
            raise InvalidData(
                f"{self._place} has no {_SUFFIX} files: name the folder in which Kafka Connect's "
                "S3 sink keeps the topic"
            )
        topics = sorted({m[1] for found in objects if (m := _TOPIC.search(found.path))})
        if len(topics) > 1:
            raise InvalidData(
                f"{self._place} has files of more than one topic: name one of its folders "
                f"({', '.join(topics)})"
            )
        return objects

    def _batches(
        self, parts: Sequence[Part], total: _Total, *, with_name: bool
    ) -> Iterator[pa.RecordBatch]:
        for part, found in self._found(parts, with_name=with_name):
            total.add(part, found)
            yield from found.batches

    def _found(self, parts: Sequence[Part], *, with_name: bool) -> Iterator[tuple[Part, Found]]:
        """Yield what each part holds, read in processes, a few ahead."""
        with_data = self._with_data
        if len(parts) == 1 or self._workers == 1:
            for part in parts:
                yield part, read(part, with_name=with_name, with_data=with_data)
            return
        pending: deque[tuple[Part, Future[Found]]] = deque()
        # A fork would take over locks of pyarrow's threads, closed for ever.
        pool = ProcessPoolExecutor(self._workers, mp_context=get_context("spawn"))
        try:
            for part in parts:
                reading = pool.submit(read, part, with_name=with_name, with_data=with_data)
                pending.append((part, reading))
                if len(pending) > self._workers:
                    yield _result(*pending.popleft())
            while pending:
                yield _result(*pending.popleft())
        finally:
            pool.shutdown(cancel_futures=True)


def read(part: Part, *, with_name: bool, with_data: bool = False) -> Found:
    """Read a part of an object. Raises ``ReplicaUnavailable``."""
    found = Found()
    try:
        with part.files.open_input_file(part.path) as file:
            _read_into(found, file, part, changes_schema(with_name=with_name, with_data=with_data))
    except OSError as error:
        raise ReplicaUnavailable(
            f"{part.path} cannot be read: is it still there, and may it be read?"
        ) from error
    return found


def _read_into(found: Found, file: pa.NativeFile, part: Part, shape: pa.Schema) -> None:
    def broken() -> None:
        found.broken_places += 1

    try:
        head = read_head(file)
    except NotAvro:
        found.unreadable_objects = int(part.start == 0)
        return
    envelopes = EnvelopeReader(head.schema, shape, partition=_partition(part.path))
    records = list[Any]()
    most = part.max_block_bytes
    for block in read_part(file, head, part.start, part.end, broken=broken, max_block_bytes=most):
        records += block
        if len(records) >= _BATCH_RECORDS:
            found.batches.append(envelopes.batch(records))
            records = []
    found.batches.append(envelopes.batch(records))
    found.counts = envelopes.counts


def _partition(path: str) -> int:
    """Return the Kafka partition that a path names, 0 for none."""
    named = _PARTITION.search(path)
    return int(named[1] or named[2]) if named else 0


def _result(part: Part, found: Future[Found]) -> tuple[Part, Found]:
    try:
        return part, found.result()
    except BrokenProcessPool as error:
        raise InvalidData(
            f"a process that read {part.path} was ended: is there enough memory?"
        ) from error
