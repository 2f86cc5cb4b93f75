"""What the lake keeps of predictions: events, in every object of the table's folder."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import datetime
from typing import IO, Any, Final, cast

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from fastavro import reader as avro_reader
from pyarrow.fs import FileSelector, FileType
from pyiceberg.io.pyarrow import PyArrowFileIO
from pyiceberg.table import Table

from stroke.adapters.iceberg.catalog import Lake, unavailable
from stroke.adapters.iceberg.erasure import erase_events
from stroke.application.erasure.ports import ErasablePlace, Trace
from stroke.domain.errors import ReplicaUnavailable
from stroke.domain.prediction import LARGEST_ID

_DELETED: Final = "d"
_IDS: Final = ("before.id", "after.id")
_TELLING: Final = ("before", "after", "op", "source")
_UNREADABLE: Final = (pa.ArrowInvalid, ValueError, LookupError, TypeError, EOFError)


class LakePlace(ErasablePlace):
    """The Iceberg table of ``lake``, with its history and with files that no snapshot has.

    A deletion that keeps the id and nothing else of the row stays, and is no trace: readers know by
    it that the row is gone.
    """

    name = "lake"

    def __init__(
        self,
        lake: Lake,
        *,
        now: Callable[[], datetime],
        on_progress: Callable[[int, int], None] = lambda _done, _total: None,
    ) -> None:
        self._lake = lake
        self._now = now
        self._on_progress = on_progress

    async def erase(self, ids: Collection[int]) -> int:
        return await asyncio.to_thread(self._erase, _storable(ids))

    async def find(self, ids: Collection[int]) -> list[Trace]:
        return await asyncio.to_thread(self._find, _storable(ids))

    def _erase(self, ids: Collection[int]) -> int:
        if self._lake.find() is None:
            return 0
        done = erase_events(self._lake, ids, now=self._now, on_progress=self._on_progress)
        return done.events

    def _find(self, ids: frozenset[int]) -> list[Trace]:
        table = self._lake.find()
        if table is None:
            return []
        found: set[Trace] = set()
        with unavailable(self._lake.identifier):
            objects = list(_data_objects(table))
            for done, path in enumerate(objects, start=1):
                found |= {Trace(number, path) for number in _traces(table, path, ids)}
                self._on_progress(done, len(objects))
        return sorted(found)


def _storable(ids: Collection[int]) -> frozenset[int]:
    return frozenset(number for number in ids if 0 < number <= LARGEST_ID)


def _data_objects(table: Table) -> Iterator[str]:
    """Give the address of each object with events, whether or not a snapshot has it."""
    if not isinstance(table.io, PyArrowFileIO):
        raise ReplicaUnavailable("the files of this table cannot be listed: it is not in S3")
    scheme, bucket, folder = PyArrowFileIO.parse_location(table.location())
    system = table.io.fs_by_scheme(scheme, bucket)
    for each in system.get_file_info(FileSelector(folder, recursive=True, allow_not_found=True)):
        is_data = "/metadata/" not in each.path and each.path.endswith((".parquet", ".avro"))
        if each.type == FileType.File and is_data:
            yield f"{scheme}://{each.path}"


def _traces(table: Table, path: str, ids: frozenset[int]) -> set[int]:
    try:
        with table.io.new_input(path).open() as stream:
            events = _in_avro(stream, ids) if path.endswith(".avro") else _in_parquet(stream, ids)
            return {_id(event) for event in events if _holds_more_than_the_id(event)}
    except FileNotFoundError:  # somebody compacts, or expires, at the same time
        return set()
    except _UNREADABLE as error:
        raise ReplicaUnavailable(
            f"{path} cannot be read, so that nobody knows whose events it holds: "
            "`stroke lake orphans --yes` deletes it if no snapshot has it"
        ) from error


def _in_avro(stream: Any, ids: frozenset[int]) -> Iterator[Mapping[str, Any]]:
    for event in avro_reader(cast("IO[bytes]", stream)):
        if isinstance(event, dict) and _id(event) in ids:
            yield event


def _in_parquet(stream: Any, ids: frozenset[int]) -> Iterator[Mapping[str, Any]]:
    wanted = pa.array(sorted(ids), pa.int64())
    file = pq.ParquetFile(stream)
    columns = [each for each in _TELLING if each in file.schema_arrow.names]
    for number in range(file.num_row_groups):
        # Few groups hold one of the ids, and their other columns are most of a file.
        if _about(file.read_row_group(number, list(_IDS)), wanted).true_count:
            group = file.read_row_group(number, columns)
            yield from group.filter(_about(group, wanted)).to_pylist()


def _about(events: pa.Table, ids: pa.Array) -> Any:
    """Return which events are about one of these ids."""
    whole = events.combine_chunks()
    parts = []
    for batch in whole.to_batches():
        after, before = (pc.struct_field(batch.column(each), "id") for each in ("after", "before"))
        about = pc.is_in(pc.coalesce(after, before), value_set=ids)
        parts.append(about.fill_null(fill_value=False))
    return pa.chunked_array(parts, pa.bool_()).combine_chunks()


def _holds_more_than_the_id(event: Mapping[str, Any]) -> bool:
    if event["op"] != _DELETED or event["after"] is not None:
        return True
    source = event.get("source") or {}
    row = event["before"] or {}
    rest = [value for name, value in row.items() if name != "id" and value is not None]
    return bool(rest) or source.get("query") is not None


def _id(event: Mapping[str, Any]) -> int:
    row = event["before"] if event["after"] is None else event["after"]
    return int(row["id"])
