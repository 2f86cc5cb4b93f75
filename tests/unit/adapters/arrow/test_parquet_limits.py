"""Small Parquet files that would take very much: refused early, and ordinary ones are not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stroke.adapters.arrow.parquet_batches import bounded_batches, opened_parquet
from stroke.adapters.arrow.parquet_rows import opened_parquet_rows
from stroke.application.predictions.file_rows import ParquetLimits
from stroke.domain.errors import InvalidData

MEBIBYTE = 1024 * 1024
LIMITS = ParquetLimits(decoded=8 * MEBIBYTE, total=16 * MEBIBYTE, columns=60)
TOO_MUCH = r"more than 16,777,216 bytes \(STROKE_FILES_MAX_TOTAL_BYTES\)"


def written(path: Path, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), path, compression="zstd", store_schema=False)
    return path


def read(path: Path, limits: ParquetLimits = LIMITS) -> int:
    with opened_parquet(path, limits) as file:
        return sum(batch.num_rows for batch in bounded_batches(path, file, limits=limits))


def of_dictionary(places: list[int | None], *texts: str) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(places, pa.int32()), pa.array(texts))


@pytest.mark.parametrize("store_schema", [True, False])
@pytest.mark.parametrize("row_group_size", [5_000, 20_000])
def test_one_long_text_in_very_many_rows_is_refused_before_a_row_is_read(
    tmp_path: Path, store_schema: bool, row_group_size: int
) -> None:
    path = tmp_path / "p.parquet"
    table = pa.table({"name": of_dictionary([0] * 20_000, "x" * 100_000)})
    pq.write_table(table, path, store_schema=store_schema, row_group_size=row_group_size)

    with opened_parquet(path, LIMITS) as file:
        batches = bounded_batches(path, file, limits=LIMITS)
        with pytest.raises(InvalidData, match=TOO_MUCH):
            next(batches)


def test_long_texts_that_are_written_out_are_counted_while_they_are_read(tmp_path: Path) -> None:
    """A text that repeats the one before it takes no dictionary."""
    path = tmp_path / "p.parquet"
    table = pa.table({"name": ["x" * 10_000] * 4_000})
    pq.write_table(
        table,
        path,
        use_dictionary=False,
        column_encoding={"name": "DELTA_BYTE_ARRAY"},
        compression="zstd",
    )

    with pytest.raises(InvalidData, match=TOO_MUCH):
        read(path, LIMITS._replace(decoded=64 * MEBIBYTE))


@pytest.mark.parametrize("store_schema", [True, False])
def test_one_long_text_among_many_rows_is_read(tmp_path: Path, store_schema: bool) -> None:
    path = tmp_path / "p.parquet"
    places = [0, *[1] * 3_000, *[None] * 10]
    name = of_dictionary(places, "x" * 50_000, "Ana")
    pq.write_table(pa.table({"name": name}), path, store_schema=store_schema)

    assert read(path) == len(places)


def test_very_many_rows_that_are_all_alike_are_read(tmp_path: Path) -> None:
    name = of_dictionary([0] * 1_000_000, "Never smoked, or so they say")
    path = written(tmp_path / "p.parquet", name=name)

    assert read(path) == 1_000_000


@pytest.mark.parametrize(("columns", "is_read"), [(60, True), (61, False)])
def test_a_table_has_so_many_columns_and_no_more(
    tmp_path: Path, columns: int, is_read: bool
) -> None:
    path = written(tmp_path / "p.parquet", **{f"c{number}": [1.0] for number in range(columns)})
    if is_read:
        assert read(path) == 1
        return
    too_wide = r"61 columns, more than the 60 that are allowed \(STROKE_FILES_MAX_COLUMNS\)"
    with pytest.raises(InvalidData, match=too_wide):
        read(path)
    with (
        pytest.raises(InvalidData, match="STROKE_FILES_MAX_COLUMNS"),
        opened_parquet_rows(path, (), (), limits=LIMITS),
    ):
        pass


def test_columns_within_columns_count(tmp_path: Path) -> None:
    path = written(tmp_path / "p.parquet", a=[{f"c{number}": 1.0 for number in range(60)}])

    with pytest.raises(InvalidData, match="61 columns"):
        read(path)


def test_metadata_of_very_many_row_groups_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.parquet"
    table = pa.table({f"c{number}": [1.0] * 300 for number in range(60)})
    pq.write_table(table, path, row_group_size=1)

    with pytest.raises(InvalidData, match=r"bytes of metadata, .* larger row groups"):
        read(path)
