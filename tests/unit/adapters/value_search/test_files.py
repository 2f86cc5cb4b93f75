"""Values searched for in files of every kind that a bucket or a folder may have."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow.fs import LocalFileSystem

from contracts.erasure import ValueSearchContract, values_in
from stroke.adapters.value_search.files import FolderValueSearch
from stroke.application.erasure.values import SoughtValues
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


def as_zip(texts: list[str]) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.txt", b"nobody")
        archive.writestr("b.parquet", as_parquet(texts))
    return sink.getvalue()


def as_tar(texts: list[str]) -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w:gz") as archive:
        for name, content in (("a", b"nobody"), ("rows.gz", as_gzip(texts))):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return sink.getvalue()


def as_duckdb(texts: list[str]) -> bytes:
    """A table in a schema, beside a view of what is not there any more."""
    with TemporaryDirectory() as folder:
        file, rows = Path(folder) / "x", Path(folder) / "rows.csv"
        rows.write_text("a\n1\n")
        with duckdb.connect(file) as database:
            database.execute('CREATE SCHEMA s; CREATE TABLE s."a ""b" (name TEXT)')
            database.execute(f"CREATE VIEW v AS FROM read_csv('{rows}')")
            database.executemany('INSERT INTO s."a ""b" VALUES (?)', [[text] for text in texts])
        return file.read_bytes()


def as_lz4(texts: list[str]) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "lz4") as stream:
        stream.write(as_text(texts))
    return bytes(sink.getvalue())


CONTENTS: dict[str, Callable[[list[str]], bytes]] = {
    "text": as_text,
    "gzip": as_gzip,
    "two gzips": lambda texts: gzip.compress(b"first") + as_gzip(texts),
    "bzip2": lambda texts: bz2.compress(as_text(texts)),
    "xz": lambda texts: lzma.compress(as_text(texts)),
    "lz4": as_lz4,
    "zstandard": lambda texts: bytes(pa.Codec("zstd").compress(as_text(texts))),
    "zip": as_zip,
    "tar": as_tar,
    "parquet": as_parquet,
    "packed parquet": lambda texts: gzip.compress(as_parquet(texts)),
    "avro": as_avro,
    "packed avro": lambda texts: gzip.compress(as_avro(texts)),
    "duckdb": as_duckdb,
    "utf-16": lambda texts: "\n".join(texts).encode("utf-16"),
}


@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.parametrize("name", ["file", ".hidden", "file.txt", "file.PART"])
async def test_a_file_is_read_by_what_it_is(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_bytes(CONTENTS[content]([NAME, "Müller"]))
    search = FolderValueSearch("a folder", LocalFileSystem(), str(tmp_path))
    assert await values_in(search, NAME, "MÜLLER", "Canary-8") == {NAME, "MÜLLER"}


@pytest.mark.parametrize(
    ("name", "content"), [("0.PARQUET", as_parquet), ("0.Avro", as_avro), ("0.GZ", as_gzip)]
)
async def test_the_case_of_an_ending_is_nothing(tmp_path: Path, name: str, content: Any) -> None:
    (tmp_path / name).write_bytes(content([NAME]))
    search = FolderValueSearch("a folder", LocalFileSystem(), str(tmp_path))
    assert await values_in(search, NAME) == {NAME}


async def test_what_a_file_says_of_itself_is_searched(tmp_path: Path) -> None:
    rows = pa.table({"x": [1]}).replace_schema_metadata({"made of": NAME})
    pq.write_table(rows, tmp_path / "0.parquet")
    search = FolderValueSearch("a folder", LocalFileSystem(), str(tmp_path))
    assert await values_in(search, NAME) == {NAME}


async def test_the_name_of_a_file_is_searched_and_not_said(tmp_path: Path) -> None:
    (tmp_path / "chart of").mkdir()
    (tmp_path / "chart of" / f"{NAME}.pdf").write_bytes(b"")
    (tmp_path / f"{NAME}.gz").write_bytes(gzip.compress(b""))
    search = FolderValueSearch("a folder", LocalFileSystem(), str(tmp_path))
    found = await search.find_values(SoughtValues([NAME]))
    assert [trace.where for trace in found] == [
        f"{tmp_path}/[value 1]",
        f"{tmp_path}/chart of/[value 1]",
    ]

    (tmp_path / f"{NAME}.gz").write_bytes(b"no gzip")
    with pytest.raises(InvalidData, match="may hold what is sought") as refused:
        await search.find_values(SoughtValues([NAME]))
    assert NAME not in str(refused.value)


async def test_the_name_of_a_file_in_an_archive_is_searched(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(f"{NAME}.txt", b"")
    search = FolderValueSearch("a folder", LocalFileSystem(), str(tmp_path))
    assert await values_in(search, NAME) == {NAME}


@pytest.mark.parametrize(
    "column",
    [
        pa.array([1], pa.int64()).cast(pa.timestamp("ns")),
        pa.array([1], pa.int64()).cast(pa.timestamp("us", tz="Europe/Berlin")),
    ],
    ids=lambda column: str(column.type),
)
async def test_a_day_is_found_in_a_moment(tmp_path: Path, column: Any) -> None:
    pq.write_table(pa.table({"x": column}), tmp_path / "0.parquet")
    search = FolderValueSearch("a folder", LocalFileSystem(), str(tmp_path))
    assert await values_in(search, "1970-01-01", "1970-01-02") == {"1970-01-01"}


async def test_a_float_of_32_bits_is_found(tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": pa.array([228.69], pa.float32())}), tmp_path / "0.parquet")
    search = FolderValueSearch("a folder", LocalFileSystem(), str(tmp_path))
    assert await values_in(search, "228.69", "228.7") == {"228.69"}


async def test_an_empty_file_has_nothing(tmp_path: Path) -> None:
    for name in ("a.parquet", "a.avro", "a.gz", "a"):
        (tmp_path / name).write_bytes(b"")
    search = FolderValueSearch("a folder", LocalFileSystem(), str(tmp_path))
    assert await values_in(search, NAME) == set()


@pytest.mark.parametrize(
    "content",
    [
        as_gzip([NAME] * 100)[:-9],
        as_zip([NAME])[:-30],
        as_tar([NAME])[:-30],
        lzma.compress(b"x" * 999)[:-9],
        bz2.compress(b"x" * 999)[:-9],
        b"7z\xbc\xaf\x27\x1c of nobody",
        b"Rar!\x1a\x07 of nobody",
        gzip.compress(gzip.compress(gzip.compress(gzip.compress(gzip.compress(as_gzip([])))))),
    ],
)
async def test_what_cannot_be_unpacked_is_not_called_empty(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    search = FolderValueSearch("a folder", LocalFileSystem(), str(tmp_path))
    with pytest.raises(InvalidData, match="may hold what is sought"):
        await values_in(search, NAME)


@pytest.mark.parametrize("name", ["a.parquet", "a.avro", "a.duckdb", "a.gz"])
async def test_a_file_that_cannot_be_read_is_not_called_empty(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"PAR1 no more")
    search = FolderValueSearch("a folder", LocalFileSystem(), str(tmp_path))
    with pytest.raises(InvalidData, match="may hold what is sought"):
        await values_in(search, NAME)
