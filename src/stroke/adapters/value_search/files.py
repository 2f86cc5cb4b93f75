"""Searches every file of a folder or a bucket: Parquet, Avro, DuckDB, text, and what is packed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import fastavro
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import fs

from stroke.application.erasure.ports import ValueSearch, ValueTrace
from stroke.application.erasure.values import FoundValues, SoughtValues
from stroke.domain.errors import InvalidData

_ROWS: Final = 20_000
_BLOCK: Final = 4 * 2**20
_UNREADABLE: Final = (OSError, pa.ArrowException, ValueError, LookupError, EOFError)


class FolderValueSearch(ValueSearch):
    """All files below ``folder`` of ``system`` but those below the folders ``without``.

    ``on_progress`` receives how many files are done, and how many there are. Calls raise
    ``InvalidData`` where the folder cannot be listed, or a file in it cannot be read.
    """

    def __init__(
        self,
        name: str,
        system: fs.FileSystem,
        folder: str,
        *,
        without: Collection[str] = (),
        on_progress: Callable[[int, int], None] = lambda _done, _total: None,
    ) -> None:
        self._name = name
        self._system = system
        self._folder = folder.rstrip("/")
        self._without = tuple(f"{each.strip('/')}/" for each in without)
        self._on_progress = on_progress

    @property
    def name(self) -> str:
        return self._name

    async def find_values(self, sought: SoughtValues) -> list[ValueTrace]:
        return await asyncio.to_thread(self._find, sought)

    def _find(self, sought: SoughtValues) -> list[ValueTrace]:
        found = FoundValues()
        paths = self._listed()
        for done, path in enumerate(paths, start=1):
            try:
                found.add(self._in_file(path, sought), path)
            except FileNotFoundError:  # whoever keeps the folder has removed it meanwhile
                pass
            except _UNREADABLE as error:
                raise InvalidData(f"{path} cannot be read: it may hold what is sought") from error
            self._on_progress(done, len(paths))
        return found.listed()

    def _listed(self) -> list[str]:
        selector = fs.FileSelector(self._folder, recursive=True, allow_not_found=True)
        try:
            found = self._system.get_file_info(selector)
        except OSError as error:
            raise InvalidData(f"{self._folder} cannot be listed") from error
        paths = sorted(each.path for each in found if each.type == fs.FileType.File)
        return [path for path in paths if not path.lstrip("/").startswith(self._without)]

    def _in_file(self, path: str, sought: SoughtValues) -> set[int]:
        ending = path.rpartition(".")[2]
        if ending == "parquet":
            with self._system.open_input_file(path) as stream:
                batches = pq.ParquetFile(stream).iter_batches(_ROWS)
                return {number for batch in batches for number in _in_batch(batch, sought)}
        if ending == "avro":
            with self._system.open_input_stream(path) as stream:
                return sought.in_values(fastavro.reader(stream))
        if ending == "duckdb":
            return self._in_duckdb(path, sought)
        with self._system.open_input_stream(path, compression="detect") as stream:
            return _in_stream(stream, sought)

    def _in_duckdb(self, path: str, sought: SoughtValues) -> set[int]:
        import duckdb  # noqa: PLC0415 -- the pipeline alone is installed without it

        found: set[int] = set()
        with TemporaryDirectory() as folder:
            copy = Path(folder) / "copy.duckdb"
            with self._system.open_input_stream(path) as stream, copy.open("wb") as output:
                while block := stream.read(_BLOCK):
                    output.write(block)
            try:
                with duckdb.connect(copy, read_only=True) as database:
                    for (table,) in database.execute("SHOW TABLES").fetchall():
                        rows = database.table(table).to_arrow_reader(_ROWS)
                        found |= {number for batch in rows for number in _in_batch(batch, sought)}
            except duckdb.Error as error:
                raise ValueError(path) from error
        return found


def _in_stream(stream: Any, sought: SoughtValues) -> set[int]:
    found: set[int] = set()
    end = b""
    while block := stream.read(_BLOCK):
        found |= sought.in_bytes(end + block)
        end = (end + block)[-sought.longest :]
    return found


def _in_batch(batch: pa.RecordBatch, sought: SoughtValues) -> set[int]:
    found: set[int] = set()
    for column in batch.columns:
        for leaf in _leaves(column):
            found |= _in_column(leaf, sought)
    return found


def _leaves(column: Any) -> Iterator[pa.Array]:
    """Give the columns without a structure of which a column is made."""
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    if isinstance(column, pa.DictionaryArray):
        column = column.dictionary_decode()
    if isinstance(column, pa.StructArray):
        for part in column.flatten():
            yield from _leaves(part)
    elif isinstance(column, pa.MapArray):
        yield from _leaves(column.keys)
        yield from _leaves(column.items)
    elif pa.types.is_nested(column.type):
        yield from _leaves(column.flatten())
    else:
        yield column


def _in_column(column: Any, sought: SoughtValues) -> set[int]:
    kind = column.type
    if pa.types.is_null(kind) or pa.types.is_boolean(kind):
        return set()
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return {
            number
            for value, numbers in sought.numbers.items()
            if _has_number(column, kind, value)
            for number in numbers
        }
    return sought.in_values(column.unique().to_pylist())


def _has_number(column: Any, kind: pa.DataType, value: Decimal) -> bool:
    if pa.types.is_integer(kind):
        try:
            wanted = pa.scalar(int(value), kind)
        except (OverflowError, pa.ArrowInvalid):  # no number of this type
            return False
        if value != int(value):
            return False
        same: Any = pc.equal(column, wanted)
    else:
        same = pc.equal(column.cast(pa.float64()), pa.scalar(float(value), pa.float64()))
    return bool(pc.any(same).as_py())
