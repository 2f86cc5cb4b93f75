"""Parquet files whose metadata or pages lie, or are traps: bounded before anything is decoded."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.parquet_files import (
    BYTE_ARRAY,
    DELTA_PACKED,
    DICTIONARY,
    FIXED,
    INT64,
    Page,
    packed_deltas,
    references,
    texts,
    written,
)
from stroke.adapters.arrow.parquet_batches import bounded_batches, readable_parquet
from stroke.adapters.arrow.parquet_pages import DamagedPages, groups_of
from stroke.application.predictions.file_rows import ParquetLimits
from stroke.domain.errors import InvalidData

MEGABYTE = 1_000_000
LIMIT = 4 * MEGABYTE
HUGE = 2**31 - 1
DAMAGED = "pages of a column are not as its metadata say|it is damaged, write it anew"
TOO_LARGE = r"more than the [0-9,]+ that are allowed \(STROKE_FILES_MAX_DECODED_BYTES\)"


class Watched(pq.ParquetFile):  # type: ignore[misc]  # pyarrow has no types
    """A file that knows whether any of its rows were asked for."""

    has_decoded = False

    def iter_batches(self, **wanted: Any) -> Any:
        self.has_decoded = True
        return super().iter_batches(**wanted)


def batches(path: Path, limit: int = LIMIT) -> list[pa.RecordBatch]:
    with readable_parquet(path), Watched(path) as file:
        return list(bounded_batches(path, file, limits=ParquetLimits(limit)))


def text_page(text: bytes, count: int = 1, **said: Any) -> Page:
    return Page(texts(*[text] * count), count, **said)


REFUSED = {
    "a page that unpacks to more than is said": (
        [text_page(b"x" * 1000, 40_000)],
        {"rows": 40_000, "unpacked": 100},
        TOO_LARGE,
    ),
    "pages that unpack to more than is said": (
        [text_page(b"x" * 1000, 1000)] * 3,
        {"rows": 3000, "unpacked": 100},
        DAMAGED,
    ),
    "a page that says it unpacks to two gigabytes": (
        [text_page(b"x", 3, unpacked=HUGE)],
        {"rows": 3},
        TOO_LARGE,
    ),
    "a page that is longer than the file": (
        [text_page(b"x", 3, packed=HUGE)],
        {"rows": 3},
        DAMAGED,
    ),
    "a page of less than nothing": ([text_page(b"x", 3, unpacked=-1)], {"rows": 3}, DAMAGED),
    "a page that goes backwards": ([text_page(b"x", 3, packed=-9)], {"rows": 3}, DAMAGED),
    "a page of more values than the column": (
        [Page(texts(b"x"), HUGE)],
        {"rows": 3},
        f"{TOO_LARGE}|{DAMAGED}",
    ),
    "a page of fewer values than the column": ([text_page(b"x", 2)], {"rows": 3}, DAMAGED),
    "a page of less than no values": ([Page(texts(b"x"), -3)], {"rows": 3}, DAMAGED),
    "numbers without end in some bytes": (
        [Page(packed_deltas(HUGE), HUGE, DELTA_PACKED)],
        {"rows": HUGE, "kind": INT64},
        TOO_LARGE,
    ),
    "lengths without end in some bytes": (
        [Page(packed_deltas(HUGE), HUGE, 6)],
        {"rows": HUGE},
        TOO_LARGE,
    ),
    "a dictionary of more values than it holds": (
        [Page(texts(b"x"), 100_000, is_dictionary=True), Page(references(3), 3, DICTIONARY)],
        {"rows": 3},
        DAMAGED,
    ),
    "a dictionary whose text is longer than itself": (
        [
            Page(b"\xff\xff\xff\x7f" + b"x" * 300, 1, is_dictionary=True),
            Page(references(3), 3, DICTIONARY),
        ],
        {"rows": 3},
        DAMAGED,
    ),
    "a value of two gigabytes by its type": (
        [Page(b"", 3)],
        {"rows": 3, "kind": FIXED, "length": HUGE},
        TOO_LARGE,
    ),
    "a column that begins where no page does": (
        [text_page(b"x" * 40, 3)],
        {"rows": 4},
        DAMAGED,
    ),
}


@pytest.mark.parametrize("trap", REFUSED)
def test_a_trap_is_refused_before_a_row_is_decoded(tmp_path: Path, trap: str) -> None:
    pages, said, words = REFUSED[trap]
    path = written(tmp_path / "p.parquet", pages, **said)  # type: ignore[arg-type]
    assert path.stat().st_size < 10_000
    with Watched(path) as file:
        with pytest.raises(InvalidData, match=words):
            list(bounded_batches(path, file, limits=ParquetLimits(LIMIT)))
        assert not file.has_decoded


def test_of_a_column_that_is_not_packed_the_bytes_that_are_there_count(tmp_path: Path) -> None:
    pages = [text_page(b"x" * 1000, 5000, unpacked=10)]
    path = written(tmp_path / "p.parquet", pages, rows=5000, packs=False)
    with Watched(path) as file:
        with pytest.raises(InvalidData, match=TOO_LARGE):
            list(bounded_batches(path, file, limits=ParquetLimits(LIMIT)))
        assert not file.has_decoded


@pytest.mark.parametrize(
    "footer",
    [
        b"\x19" * 5000,  # lists in a list
        b"\x1c" * 5000,  # structs in a struct
        b"\x29\xfc\xff\xff\xff\xff\x7f",  # a list that says it is endless
        b"\x49\x15\x02\x00",  # row groups that are numbers
        b"\x4b\x00",  # a map
        b"\x00",
        b"",
    ],
)
def test_metadata_that_mean_nothing_are_damaged_or_hold_no_rows(footer: bytes) -> None:
    content = b"PAR1" + footer + len(footer).to_bytes(4, "little") + b"PAR1"
    try:
        assert groups_of(io.BytesIO(content)) == []
    except DamagedPages:
        return
    assert footer == b"\x00"


@pytest.mark.parametrize("says_dictionary", [True, False])
def test_a_dictionary_is_found_by_its_page_and_not_by_the_metadata(
    tmp_path: Path, says_dictionary: bool
) -> None:
    pages = [
        Page(texts(b"x" * MEGABYTE), 1, is_dictionary=True),
        Page(references(100), 100, DICTIONARY),
    ]
    path = written(
        tmp_path / "p.parquet", pages, rows=100, kind=BYTE_ARRAY, says_dictionary=says_dictionary
    )
    found = batches(path, 64 * MEGABYTE)
    assert sum(batch.num_rows for batch in found) == 100
    assert max(batch.nbytes for batch in found) < 20 * MEGABYTE


def test_texts_that_repeat_the_one_before_are_read_a_few_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "p.parquet"
    pq.write_table(
        pa.table({"note": ["x" * 100_000] * 300}),
        path,
        use_dictionary=False,
        column_encoding={"note": "DELTA_BYTE_ARRAY"},
    )
    assert path.stat().st_size < 200_000
    found = batches(path, 64 * MEGABYTE)
    assert sum(batch.num_rows for batch in found) == 300
    assert max(batch.nbytes for batch in found) < 20 * MEGABYTE


def test_short_texts_that_share_a_beginning_are_read_in_large_batches(tmp_path: Path) -> None:
    path = tmp_path / "p.parquet"
    table = pa.table({"note": [f"patient number {at:07}" for at in range(20_000)]})
    pq.write_table(table, path, use_dictionary=False, column_encoding={"note": "DELTA_BYTE_ARRAY"})
    found = batches(path)
    assert pa.Table.from_batches(found) == table
    assert len(found) == 1


def test_wide_values_of_fixed_length_are_read_a_few_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "p.parquet"
    wide = pa.array([b"x" * 400_000] * 100, pa.binary(400_000))
    pq.write_table(pa.table({"note": wide}), path, compression="zstd")
    found = batches(path, 64 * MEGABYTE)
    assert sum(batch.num_rows for batch in found) == 100
    assert max(batch.nbytes for batch in found) < 20 * MEGABYTE


def test_long_texts_behind_a_full_dictionary_are_read_a_few_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "p.parquet"
    notes = [f"{at}" for at in range(1000)] + [f"{at:06}" + "x" * 300_000 for at in range(100)]
    pq.write_table(
        pa.table({"note": notes}), path, dictionary_pagesize_limit=2000, compression="zstd"
    )
    found = batches(path, 64 * MEGABYTE)
    assert [value.as_py() for batch in found for value in batch.column(0)] == notes
    assert max(batch.nbytes for batch in found) < 20 * MEGABYTE


def test_one_row_that_repeats_a_value_without_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.parquet"
    lists = pa.array([["x" * 50_000] * 2000, *[["y"]] * 500], pa.list_(pa.string()))
    pq.write_table(pa.table({"note": lists}), path, compression="zstd")
    assert path.stat().st_size < 10_000
    with Watched(path) as file:
        with pytest.raises(InvalidData, match=TOO_LARGE):
            list(bounded_batches(path, file, limits=ParquetLimits(64 * MEGABYTE)))
        assert not file.has_decoded


@pytest.mark.parametrize("codec", ["none", "snappy", "gzip", "zstd", "brotli", "lz4"])
@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_files_of_every_packing_come_back_whole(tmp_path: Path, codec: str, version: str) -> None:
    path = tmp_path / "p.parquet"
    table = pa.table(
        {
            "text": [f"text {at % 700}" for at in range(3000)],
            "long": [f"{at % 3}" * 500 for at in range(3000)],
            "lists": [["a" * 400, None][: at % 3] for at in range(3000)],
            "number": [at / 7 for at in range(3000)],
        }
    )
    pq.write_table(
        table,
        path,
        compression=codec,
        data_page_version=version,
        data_page_size=4096,
        row_group_size=1100,
    )
    assert pa.Table.from_batches(batches(path)).to_pylist() == table.to_pylist()


CHANGE = """
import sys
from pathlib import Path
from stroke.adapters.arrow.parquet_batches import bounded_batches, opened_parquet, readable_parquet
from stroke.application.predictions.file_rows import ParquetLimits
from stroke.domain.errors import InvalidData

path = Path(sys.argv[1])
honest = path.read_bytes()
begin = len(honest) - 8 - int.from_bytes(honest[-8:-4], "little")
refused = 0
for place in range(begin, len(honest) - 8):
    path.write_bytes(honest[:place] + bytes([honest[place] ^ 1]) + honest[place + 1 :])
    try:
        with readable_parquet(path), opened_parquet(path) as file:
            list(bounded_batches(path, file, limits=ParquetLimits(4_000_000)))
    except InvalidData:
        refused += 1
print(refused)
"""


def test_no_byte_of_the_metadata_that_is_another_ends_the_process(tmp_path: Path) -> None:
    path = tmp_path / "p.parquet"
    table = pa.table({"note": ["a", None, "bc"] * 40, "codes": [[1], [], [2, 3]] * 40})
    pq.write_table(table, path, store_schema=False)
    command = [sys.executable, "-c", CHANGE, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-500:]
    assert int(done.stdout) > 100


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("honest") / "p.parquet"
    table = pa.table({"note": ["a", None, "bc"] * 40, "codes": [[1], [], [2, 3]] * 40})
    pq.write_table(table, path, store_schema=False, write_statistics=False)
    return path.read_bytes()


@settings(max_examples=150)
@given(at=st.floats(0, 1, exclude_max=True), byte=st.integers(0, 255))
def test_whatever_byte_of_the_pages_is_another_they_are_refused_or_read_within_the_limit(
    honest: bytes, tmp_path_factory: pytest.TempPathFactory, at: float, byte: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "changed.parquet"
    pages = len(honest) - 8 - int.from_bytes(honest[-8:-4], "little")
    place = int(at * pages)
    path.write_bytes(honest[:place] + bytes([byte]) + honest[place + 1 :])
    try:
        found = batches(path)
    except InvalidData:
        return
    assert sum(batch.nbytes for batch in found) < LIMIT
