"""What analyses keep of predictions in a folder: rows of results, and states of runs on Spark."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection, Iterator
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import fs

from stroke.adapters.results.atomic_files import WholeFiles
from stroke.application.analyses.views import MEASURED
from stroke.application.erasure.ports import ErasablePlace, Trace
from stroke.domain.errors import InvalidData
from stroke.domain.prediction import LARGEST_ID

_RESULTS: Final = re.compile(r"stroke_analytics_\w+\.parquet")
# The tables of a state with a row per prediction. Its events say the id and nothing else.
_WORDS: Final = re.compile(r"state-[A-Za-z0-9]+/words/[^/_.][^/]*\.parquet")
_DELETED: Final = "d"


class ResultsPlace(ErasablePlace):
    """The ``folder`` of ``system`` that analyses write results to, or keep Spark's state in.

    A row of a result goes. The last change of a prediction in a state becomes a deletion with the
    id and nothing else of the row, so that the next run goes on from the state. A run that writes
    at the same time may bring rows back: ``find`` says so. Calls raise ``InvalidData`` where files
    cannot be read or written. ``address`` is what people call the folder.
    """

    def __init__(self, system: fs.FileSystem, folder: str, *, address: str) -> None:
        self._name = f"analyses in {address}"
        self._system = system
        self._folder = folder.rstrip("/")

    @property
    def name(self) -> str:
        return self._name

    async def erase(self, ids: Collection[int]) -> int:
        return await asyncio.to_thread(self._erase, _storable(ids))

    async def find(self, ids: Collection[int]) -> list[Trace]:
        return await asyncio.to_thread(self._find, _storable(ids))

    def _find(self, ids: pa.Array) -> list[Trace]:
        return sorted(
            Trace(number, path)
            for path, table, of_whom in self._files(ids)
            for number in set(table.column(_id_of(table)).filter(of_whom).to_pylist())
        )

    def _erase(self, ids: pa.Array) -> int:
        removed = 0
        for path, table, of_whom in self._files(ids):
            self._replace(path, _without(table, of_whom))
            removed += of_whom.true_count
        return removed

    def _files(self, ids: pa.Array) -> Iterator[tuple[str, pa.Table, pa.BooleanArray]]:
        """Give each file that keeps something of these, and which of its rows do."""
        if not len(ids):
            return
        for path in self._listed():
            try:
                table = pq.read_table(path, filesystem=self._system, partitioning=None)
            except FileNotFoundError:  # a run ended, and removed the state before its own
                continue
            except (OSError, pa.ArrowException) as error:
                raise InvalidData(f"{path} cannot be read: it may hold erased rows") from error
            if _id_of(table) is None:
                continue
            table = table.combine_chunks()
            of_whom = _of_whom(table, ids)
            if of_whom.true_count:
                yield path, table, of_whom

    def _listed(self) -> list[str]:
        selector = fs.FileSelector(self._folder, recursive=True, allow_not_found=True)
        try:
            found = self._system.get_file_info(selector)
        except OSError as error:
            raise InvalidData(f"{self._folder} cannot be listed") from error
        paths = (each.path for each in found if each.type == fs.FileType.File)
        below = {path: path.removeprefix(self._folder).lstrip("/") for path in paths}
        return sorted(
            path
            for path, name in below.items()
            if _RESULTS.fullmatch(name) or _WORDS.fullmatch(name)
        )

    def _replace(self, path: str, table: pa.Table) -> None:
        folder, _, name = path.rpartition("/")
        if isinstance(self._system, fs.LocalFileSystem):
            # Hadoop's checksum of what was there: without it, Spark reads the new file.
            checksum = f"{folder}/.{name}.crc"
            if self._system.get_file_info(checksum).type == fs.FileType.File:
                self._system.delete_file(checksum)
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd")
        WholeFiles(self._system, folder).put(name, sink.getvalue())


def _id_of(table: pa.Table) -> str | None:
    return next((name for name in ("id", "prediction_id") if name in table.column_names), None)


def _of_whom(table: pa.Table, ids: pa.Array) -> pa.BooleanArray:
    column = table.column(_id_of(table))
    about: Any = pc.fill_null(pc.is_in(column.cast(pa.int64()), value_set=ids), fill_value=False)
    if "op" in table.column_names:
        holds: Any = pc.not_equal(table.column("op"), _DELETED)
        for name in _measured(table):
            holds = pc.or_(holds, pc.is_valid(table.column(name)))
        about = pc.and_(about, pc.fill_null(holds, fill_value=True))
    return about.combine_chunks() if isinstance(about, pa.ChunkedArray) else about


def _without(table: pa.Table, of_whom: pa.BooleanArray) -> pa.Table:
    if "op" not in table.column_names:
        return table.filter(pc.invert(of_whom))
    for name in ("op", *_measured(table)):
        at = table.schema.get_field_index(name)
        kind = table.schema.field(name)
        nothing = pa.scalar(_DELETED if name == "op" else None, kind.type)
        left = pc.if_else(of_whom, nothing, table.column(name))
        table = table.set_column(at, kind, left)
    return table


def _measured(table: pa.Table) -> list[str]:
    return [name for name in table.column_names if name in MEASURED]


def _storable(ids: Collection[int]) -> pa.Array:
    wanted = sorted(number for number in set(ids) if 0 < number <= LARGEST_ID)
    return pa.array(wanted, pa.int64())
