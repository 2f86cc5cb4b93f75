"""Searches every file of a folder or a bucket: Parquet, Avro, DuckDB, text, and what is packed."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import fastavro
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import fs

from stroke.adapters.value_search.packed import BLOCK, UNREADABLE, unpacked
from stroke.application.erasure.ports import ValueSearch, ValueTrace
from stroke.application.erasure.values import FoundValues, SoughtValues
from stroke.domain.errors import InvalidData

_ROWS: Final = 20_000
_AT_ONCE: Final = 8 * 2**20  # bytes of a table, as far as their number is known before


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
            shown = f"{self._folder}/{sought.without(self._below(path))}"
            try:
                found.add(self._in_file(path, sought), shown)
            except FileNotFoundError:  # whoever keeps the folder has removed it meanwhile
                pass
            except UNREADABLE as error:
                raise InvalidData(f"{shown} cannot be read: it may hold what is sought") from error
            self._on_progress(done, len(paths))
        return found.listed()

    def _below(self, path: str) -> str:
        return path.removeprefix(self._folder).lstrip("/")

    def _listed(self) -> list[str]:
        selector = fs.FileSelector(self._folder, recursive=True, allow_not_found=True)
        try:
            found = self._system.get_file_info(selector)
        except OSError as error:
            raise InvalidData(f"{self._folder} cannot be listed") from error
        paths = sorted(each.path for each in found if each.type == fs.FileType.File)
        return [path for path in paths if not path.lstrip("/").startswith(self._without)]

    def _in_file(self, path: str, sought: SoughtValues) -> set[int]:
        found = sought.in_text(self._below(path))
        with self._system.open_input_file(path) as stream:
            for each in unpacked(stream, path):
                found |= sought.in_text(each.name) | _KINDS[each.kind](each.stream, sought)
        return found


def _in_parquet(stream: Any, sought: SoughtValues) -> set[int]:
    file = pq.ParquetFile(stream)
    found = sought.in_value(file.metadata.metadata) | sought.in_values(file.schema_arrow.names)
    for batch in file.iter_batches(_rows_at_once(file.metadata)):
        found |= _in_batch(batch, sought)
    return found


def _rows_at_once(metadata: pq.FileMetaData) -> int:
    """Return how many rows have ``_AT_ONCE`` bytes, were each as long as the others."""
    groups = map(metadata.row_group, range(metadata.num_row_groups))
    size = sum(group.total_byte_size for group in groups)
    rows = _AT_ONCE * int(metadata.num_rows) // max(1, int(size))
    return max(1, min(_ROWS, rows))


def _in_avro(stream: Any, sought: SoughtValues) -> set[int]:
    rows = fastavro.reader(stream)
    found = sought.in_value(rows.metadata)
    for row in rows:
        found |= sought.in_value(row)
    return found


def _in_duckdb(stream: Any, sought: SoughtValues) -> set[int]:
    import duckdb  # noqa: PLC0415 -- the pipeline alone is installed without it

    found: set[int] = set()
    with TemporaryDirectory() as folder:
        copy = Path(folder) / "copy.duckdb"
        with copy.open("wb") as output:
            shutil.copyfileobj(stream, output, BLOCK)
        try:
            with duckdb.connect(copy, read_only=True) as database:
                # No views: they may read what is elsewhere, and have what tables have.
                named = "SELECT schema_name, table_name FROM duckdb_tables() WHERE NOT internal"
                for names in database.execute(named).fetchall():
                    table = ".".join('"' + name.replace('"', '""') + '"' for name in names)
                    rows = database.sql(f"FROM {table}").to_arrow_reader(_ROWS)
                    for batch in rows:
                        found |= _in_batch(batch, sought)
        except duckdb.Error as error:
            raise ValueError(copy.name) from error
    return found


def _in_stream(stream: Any, sought: SoughtValues) -> set[int]:
    found: set[int] = set()
    end = b""
    while block := stream.read(BLOCK):
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
    if pa.types.is_timestamp(kind) or pa.types.is_time(kind):
        column = column.cast(pa.string())  # Python knows no nanoseconds
    if column.nbytes <= _AT_ONCE:  # what is larger is not copied
        with suppress(pa.ArrowNotImplementedError):  # of a type that is rare
            column = column.unique()
    return sought.in_values(each.as_py() for each in column)


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


_KINDS: Final[dict[str, Callable[[Any, SoughtValues], set[int]]]] = {
    "parquet": _in_parquet,
    "avro": _in_avro,
    "duckdb": _in_duckdb,
    "": _in_stream,
}
