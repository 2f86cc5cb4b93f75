from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from builders.predictions import patient_json
from fakes.predictions import FakeColumnarRiskModel
from stroke.adapters.arrow.files import score_file
from stroke.adapters.arrow.parquet_batches import (
    LIMITS,
    bounded_batches,
    opened_parquet,
    readable_parquet,
)
from stroke.application.predictions.file_rows import ParquetLimits
from stroke.application.predictions.file_scoring import Format
from stroke.domain.errors import InvalidData

MEGABYTE = 1_000_000
SCORE = """
import io, sys
from pathlib import Path
import pyarrow as pa
sys.path.insert(0, sys.argv[2])
from fakes.predictions import FakeColumnarRiskModel
from stroke.adapters.arrow.files import score_file
from stroke.application.predictions.file_scoring import Format

class Nowhere(io.RawIOBase):
    def writable(self):
        return True
    def write(self, content):
        return len(content)

counts = score_file(
    Path(sys.argv[1]), Nowhere(), Format.PARQUET, FakeColumnarRiskModel(),
    contributions=False, reject=print, advance=lambda _: None,
)
print(counts.rows, counts.scored, pa.default_memory_pool().max_memory() // 1024**2)
"""


def write(path: Path, rows: int, *, dictionary: bool = True, **columns: Any) -> Path:
    table = {name: pa.array([value] * rows) for name, value in patient_json().items()}
    pq.write_table(
        pa.table({**table, **columns}),
        path,
        compression="zstd",
        store_schema=False,
        use_dictionary=dictionary,
    )
    return path


def repeated(value: str, rows: int) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), [value])


def batches(path: Path, limit: int = LIMITS.decoded) -> list[pa.RecordBatch]:
    with opened_parquet(path) as file:
        return list(bounded_batches(path, file, limits=ParquetLimits(limit)))


def varint(number: int) -> bytes:
    """Return a number as the footer of a Parquet file has it (Thrift's compact protocol)."""
    left, found = number * 2, []
    while left > 0x7F:
        found.append(left & 0x7F | 0x80)
        left >>= 7
    return bytes([*found, left])


def footers(path: Path, number: int, other: int) -> list[bytes]:
    """Return the file with ``other`` in the place of ``number``, for each place in its footer."""
    content = path.read_bytes()
    size = int.from_bytes(content[-8:-4], "little")
    before, footer = content[: -8 - size], content[-8 - size : -8]
    old, new = varint(number), varint(other)
    found = []
    for at in range(len(footer)):
        if footer.startswith(old, at):
            changed = footer[:at] + new + footer[at + len(old) :]
            found.append(before + changed + len(changed).to_bytes(4, "little") + b"PAR1")
    return found


@pytest.mark.parametrize("claimed", [10, 999, 1001, 100_000, 10_000_000])
def test_a_number_of_rows_that_is_wrong_anywhere_in_the_metadata_loses_no_row(
    tmp_path: Path, claimed: int
) -> None:
    path = write(tmp_path / "whole.parquet", 1000)
    places = footers(path, 1000, claimed)
    refusals = []
    for content in places:
        path.write_bytes(content)
        try:
            with readable_parquet(path):
                found = batches(path)
        except InvalidData as refusal:
            refusals.append(str(refusal))
        else:  # what was changed is no number of rows: a size, or a statistic
            assert sum(batch.num_rows for batch in found) == 1000
    assert len(refusals) >= 2 + len(patient_json())
    assert all("it is damaged" in each or "is it one, whole" in each for each in refusals)


def test_a_file_whose_rows_take_more_than_its_metadata_say_is_refused(tmp_path: Path) -> None:
    texts = pa.array([f"{at:06}" * 2_000 for at in range(1000)])
    path = write(tmp_path / "p.parquet", 1000, dictionary=False, note=texts)
    true_size = pq.read_metadata(path).row_group(0).column(len(patient_json()))
    [*lies] = footers(path, true_size.total_uncompressed_size, 3)
    assert lies
    for content in lies:
        path.write_bytes(content)
        with pytest.raises(InvalidData), readable_parquet(path):
            batches(path, 4 * MEGABYTE)


def test_a_small_file_of_large_values_is_read_a_few_rows_at_a_time(tmp_path: Path) -> None:
    path = write(tmp_path / "p.parquet", 100, note=repeated("x" * MEGABYTE, 100))
    assert path.stat().st_size < 8_000
    found = batches(path)
    assert sum(batch.num_rows for batch in found) == 100
    assert max(batch.nbytes for batch in found) < 20 * MEGABYTE


def test_a_file_of_3_kilobytes_does_not_take_3_gigabytes(tmp_path: Path) -> None:
    path = write(tmp_path / "p.parquet", 1000, note=repeated("x" * MEGABYTE, 1000))
    tests = Path(__file__).parents[3]
    command = [sys.executable, "-c", SCORE, str(path), str(tests)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    rows, scored, mib = map(int, done.stdout.split())
    assert (rows, scored) == (1000, 1000)
    assert mib < 400  # all of them at once take a gigabyte


@pytest.mark.parametrize(
    ("dictionary", "column"),
    [
        (True, repeated("x" * (8 * MEGABYTE), 3)),
        (True, pa.array([[1] * (2 * MEGABYTE)] * 3)),
        (False, pa.array(["x" * (3 * MEGABYTE)] * 3)),
    ],
)
def test_what_is_too_large_at_once_is_refused_by_the_setting(
    tmp_path: Path, dictionary: bool, column: pa.Array
) -> None:
    path = write(tmp_path / "p.parquet", 3, dictionary=dictionary, note=column)
    with pytest.raises(InvalidData, match=r"allowed \(STROKE_FILES_MAX_DECODED_BYTES\)"):
        batches(path, 4 * MEGABYTE)
    with pytest.raises(InvalidData, match="unpacks to"):
        score_file(
            path,
            io.BytesIO(),
            Format.PARQUET,
            FakeColumnarRiskModel(),
            contributions=False,
            reject=lambda _: None,
            advance=lambda _: None,
            limits=ParquetLimits(4 * MEGABYTE),
        )


def test_ordinary_files_are_read_in_large_batches_across_row_groups(tmp_path: Path) -> None:
    path = tmp_path / "p.parquet"
    table = pa.table({"name": [f"name {n}" for n in range(50_000)], "age": [1.0] * 50_000})
    pq.write_table(table, path, row_group_size=500)
    found = batches(path)
    assert pa.Table.from_batches(found) == table
    assert len(found) == 1


@pytest.mark.parametrize("dictionary", [True, False])
def test_any_column_comes_back(tmp_path: Path, dictionary: bool) -> None:
    path = tmp_path / "p.parquet"
    table = pa.table(
        {
            "text": ["a", None, "b" * 1000] * 50,
            "none": pa.nulls(150, pa.string()),
            "empty": [""] * 150,
            "nested": [{"a": "x", "b": [1, 2]}] * 150,
            "list": [["a", "b"], [], None] * 50,
            "binary": [b"\0", b"", None] * 50,
            "flag": [True, False, None] * 50,
            "category": pa.array(["a", "b", None] * 50).dictionary_encode(),
            "dotted.name": ["x"] * 150,
        }
    )
    pq.write_table(table, path, use_dictionary=dictionary, row_group_size=70)
    assert pa.Table.from_batches(batches(path)).to_pylist() == table.to_pylist()


def test_a_file_without_rows_has_no_batches_but_its_columns(tmp_path: Path) -> None:
    path = tmp_path / "p.parquet"
    pq.write_table(pa.table({"a": pa.array([], pa.string())}), path)
    assert sum(batch.num_rows for batch in batches(path)) == 0
