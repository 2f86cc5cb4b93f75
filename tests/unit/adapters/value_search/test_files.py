"""Values searched for in files of every kind that a bucket or a folder may have."""

from __future__ import annotations

import gzip
import io
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow.fs import LocalFileSystem

from contracts.erasure import ValueSearchContract, values_in
from stroke.adapters.value_search.files import FolderValueSearch
from stroke.domain.errors import InvalidData

pytestmark = pytest.mark.anyio
NAME = "Canary-7341"


def as_text(texts: list[str]) -> bytes:
    return "\n".join(texts).encode()


def as_gzip(texts: list[str]) -> bytes:
    return gzip.compress(as_text(texts))


def as_parquet(texts: list[str]) -> bytes:
    """Rows as those of the lake: in structures."""
    sink = io.BytesIO()
    events = pa.table({"op": ["c"] * len(texts), "after": [{"id": 7, "name": t} for t in texts]})
    pq.write_table(events, sink)
    return sink.getvalue()


def as_avro(texts: list[str], codec: str = "deflate") -> bytes:
    schema: Any = {"type": "record", "name": "r", "fields": [{"name": "name", "type": "string"}]}
    sink = io.BytesIO()
    fastavro.writer(sink, schema, [{"name": text} for text in texts], codec=codec)
    return sink.getvalue()


class InFolder:
    """A file with texts, beside one without."""

    def __init__(self, folder: Path, name: str, content: Any) -> None:
        self.folder, self.file, self.content = folder, folder / "a" / name, content
        self.search = FolderValueSearch("a folder", LocalFileSystem(), str(folder))

    async def put(self, *texts: str) -> None:
        self.file.parent.mkdir(parents=True)
        self.file.write_bytes(self.content(list(texts)))
        (self.folder / "other.json").write_text("{}")


KINDS = {
    "rows.csv": as_text,
    "dump.sql.gz": as_gzip,
    "0.parquet": as_parquet,
    "0.avro": as_avro,
    "manifest.avro": partial(as_avro, codec="zstandard"),
}


class TestFolder(ValueSearchContract):
    @pytest.fixture(params=KINDS)
    def stage(self, request: pytest.FixtureRequest, tmp_path: Path) -> InFolder:
        return InFolder(tmp_path / "bucket", request.param, KINDS[request.param])


class InDuckDb:
    """A row for each text in a file of DuckDB."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "latest.duckdb"
        self.search = FolderValueSearch("a checkpoint", LocalFileSystem(), str(folder))

    async def put(self, *texts: str) -> None:
        with duckdb.connect(self.file) as database:
            database.execute("CREATE TABLE words (name TEXT)")
            database.executemany("INSERT INTO words VALUES (?)", [[text] for text in texts])


class TestDuckDb(ValueSearchContract):
    @pytest.fixture
    def stage(self, tmp_path: Path) -> InDuckDb:
        return InDuckDb(tmp_path)


@pytest.mark.parametrize(
    "column",
    [
        pa.array([[NAME]]),
        pa.array([NAME]).dictionary_encode(),
        pa.array([NAME.encode()]),
        pa.array([[(NAME, 1)]], pa.map_(pa.string(), pa.int64())),
        pa.array([[("a", NAME)]], pa.map_(pa.string(), pa.string())),
        pa.array([{"a": [{"b": NAME}]}]),
        pa.array([NAME, None], pa.large_string()),
    ],
    ids=lambda column: str(column.type),
)
async def test_every_type_of_column_is_searched(tmp_path: Path, column: Any) -> None:
    pq.write_table(pa.table({"x": column}), tmp_path / "0.parquet")
    search = FolderValueSearch("a folder", LocalFileSystem(), str(tmp_path))
    assert await values_in(search, NAME, "Canary-8") == {NAME}


@pytest.mark.parametrize(
    "column",
    [
        pa.array([7341], pa.uint16()),
        pa.array([1, 7341]),
        pa.array([7341.0, None]),
        pa.array([Decimal("7341.00")]),
        pa.array([2**64 - 1, 7341], pa.uint64()),
    ],
    ids=lambda column: str(column.type),
)
async def test_a_number_is_found_where_it_is_equal(tmp_path: Path, column: Any) -> None:
    pq.write_table(pa.table({"x": column}), tmp_path / "0.parquet")
    search = FolderValueSearch("a folder", LocalFileSystem(), str(tmp_path))
    sought = ("7341", "734", "7341.0", "7341.5", "99999999999999999999")
    assert await values_in(search, *sought) == {"7341", "7341.0"}


async def test_a_date_is_found(tmp_path: Path) -> None:
    column = pa.array(["1956-03-04"]).cast(pa.date32())
    pq.write_table(pa.table({"born": column}), tmp_path / "0.parquet")
    search = FolderValueSearch("a folder", LocalFileSystem(), str(tmp_path))
    assert await values_in(search, "1956-03-04", "1956-03-05") == {"1956-03-04"}


async def test_a_value_at_the_border_of_two_blocks_is_found(tmp_path: Path) -> None:
    content = b"x" * (4 * 2**20 - 3) + "M\u00fcller".encode() + b"y" * 100
    (tmp_path / "long.txt").write_bytes(content)
    search = FolderValueSearch("a folder", LocalFileSystem(), str(tmp_path))
    assert await values_in(search, "M\u00fcller", "Mueller") == {"M\u00fcller"}


async def test_folders_that_are_left_out_are_not_searched(tmp_path: Path) -> None:
    for folder in ("backups/mysql", "backups/mysql-not", "warehouse"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "file").write_text(NAME)
    left_out = [f"{tmp_path}/backups/mysql"]
    search = FolderValueSearch("a folder", LocalFileSystem(), str(tmp_path), without=left_out)
    assert await values_in(search, NAME) == {NAME}
    for folder in ("backups/mysql-not", "warehouse"):
        (tmp_path / folder / "file").unlink()
    assert await values_in(search, NAME) == set()


@pytest.mark.parametrize("name", ["a.parquet", "a.avro", "a.duckdb", "a.gz"])
async def test_a_file_that_cannot_be_read_is_not_called_empty(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"PAR1 no more")
    search = FolderValueSearch("a folder", LocalFileSystem(), str(tmp_path))
    with pytest.raises(InvalidData, match="may hold what is sought"):
        await values_in(search, NAME)
