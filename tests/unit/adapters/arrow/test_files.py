from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from builders.columnar import csv_text
from builders.predictions import patient_json
from fakes.predictions import FakeColumnarRiskModel
from stroke.adapters.arrow.files import score_file
from stroke.application.predictions.file_scoring import Format, ScoringTally
from stroke.domain.errors import InvalidData

ADDED = ["probability", "risk_category", "contributing_factors", "model_version"]


class Scored:
    """What scoring one file gave."""

    def __init__(
        self, source: Path, into: Format, *, contributions: bool = False, **limits: Any
    ) -> None:
        sink, self.rejects, self.done = io.BytesIO(), list[tuple[int, str]](), list[int]()
        self.counts: ScoringTally = score_file(
            source,
            sink,
            into,
            FakeColumnarRiskModel(),
            contributions=contributions,
            reject=self.rejects.append,
            advance=self.done.append,
            **limits,
        )
        self.content = sink.getvalue()

    @property
    def table(self) -> pa.Table:
        return pq.read_table(io.BytesIO(self.content))

    @property
    def rows(self) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(self.content.decode(), newline="")))


def parquet(path: Path, *changes: dict[str, Any], **options: Any) -> Path:
    table = pa.Table.from_pylist([{**patient_json(), **change} for change in changes])
    pq.write_table(table, path, **options)
    return path


def test_parquet_goes_to_parquet_with_its_columns_as_they_were(tmp_path: Path) -> None:
    seen = [{"age": float(age), "seen": bytes([age])} for age in range(100)]
    source = parquet(tmp_path / "patients.parquet", *seen, row_group_size=7)
    done = Scored(source, Format.PARQUET)
    given, table = pq.read_table(source), done.table
    assert table.select(given.schema.names) == given
    assert table.schema.names == [*given.schema.names, *ADDED]
    assert table.column("probability").null_count == 0
    assert (done.counts, done.rejects) == (ScoringTally(100, 100, 0, {"full": 100}), [])
    assert done.done[-1] == source.stat().st_size


def test_rejected_rows_are_named_by_their_number_in_the_file(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [{"age": 40.0 + number} for number in range(10)]
    rows[2] |= {"bmi": None}
    rows[7] |= {"age": 130.0}
    done = Scored(parquet(tmp_path / "p.parquet", *rows), Format.PARQUET, batch_rows=3)
    assert done.rejects == [
        (3, "bmi must be a number"),
        (8, "age must be 0 to 120 years"),
    ]
    assert done.counts == ScoringTally(10, 8, 2, {"full": 8})
    assert done.table.column("age").to_pylist() == [40, 41, 43, 44, 45, 46, 48, 49]


def test_csv_becomes_parquet_with_numbers_where_there_are_measurements(tmp_path: Path) -> None:
    source = tmp_path / "p.csv"
    source.write_bytes(
        csv_text(
            {"note": 'a "b",\nc', "age": "+80"},
            {"bmi": "N/A"},
            {"note": " 007 ", "hypertension": "1.0"},
            extra=("note",),
            newline="\r\n",
        )
        + csv_text({"note": "x"}, extra=("note",)).splitlines()[1].replace(b",x", b',5" wide')
    )
    done = Scored(source, Format.PARQUET)
    assert done.rejects == [(4, "bmi must be a number")]
    rows = done.table.to_pylist()
    assert [row["note"] for row in rows] == ['a "b",\nc', " 007 ", '5" wide']
    assert [row["age"] for row in rows] == [80.0, 45.5, 45.5]
    assert [row["hypertension"] for row in rows] == [0, 1, 0]
    assert done.table.schema.field("hypertension").type == pa.int64()
    assert done.done[-1] == source.stat().st_size


def read_csv(content: bytes) -> pa.Table:
    return pacsv.read_csv(io.BytesIO(content))


@pytest.mark.parametrize("contributions", [False, True])
def test_every_way_gives_the_same_scores(tmp_path: Path, contributions: bool) -> None:
    rows = [{"age": age / 2, "name": f'"Ā", {age}'} for age in range(241)]
    of_csv, of_parquet = tmp_path / "p.csv", parquet(tmp_path / "p.parquet", *rows)
    of_csv.write_bytes(csv_text(*rows))
    results = []
    for source in (of_csv, of_parquet):
        for into in Format:
            done = Scored(source, into, contributions=contributions)
            table = (
                done.table if into is Format.PARQUET else pacsv.read_csv(io.BytesIO(done.content))
            )
            names = sorted(table.column_names)
            results.append({name: table.column(name).to_pylist() for name in names})
    assert all(result == results[0] for result in results)
    assert ("log_odds_age" in results[0]) == contributions


def test_an_empty_file_of_patients_is_an_empty_file_of_scores(tmp_path: Path) -> None:
    source = tmp_path / "p.csv"
    source.write_bytes(csv_text())
    assert Scored(source, Format.PARQUET).table.num_rows == 0
    empty = tmp_path / "p.parquet"
    pq.write_table(pa.Table.from_pylist([patient_json()])[:0], empty)
    assert Scored(empty, Format.CSV).rows == []


def test_what_csv_cannot_hold_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    source = parquet(tmp_path / "p.parquet", {"visits": [1, 2]})
    assert Scored(source, Format.PARQUET).table.column("visits").to_pylist() == [[1, 2]]
    with pytest.raises(InvalidData, match=r"write to a name in \.parquet"):
        Scored(source, Format.CSV)


def test_what_is_no_parquet_file_is_refused(tmp_path: Path) -> None:
    source = parquet(tmp_path / "p.parquet", *[{"age": float(age)} for age in range(100)])
    whole = source.read_bytes()
    for spoilt in (b"", b"age\n1\n", whole[:-8], b"PAR1" + b"\xff" * 900 + whole[904:]):
        source.write_bytes(spoilt)
        with pytest.raises(InvalidData, match="is it one, whole"):
            Scored(source, Format.PARQUET)


def test_columns_of_the_same_name_do_not_become_a_table(tmp_path: Path) -> None:
    source = tmp_path / "p.csv"
    source.write_bytes(csv_text({"a": 1}, extra=("a",)).replace(b",a\n", b",country\n"))
    with pytest.raises(InvalidData, match="country"):
        Scored(source, Format.PARQUET)
    source.write_bytes(csv_text({"a": 1, "b": 2}, extra=("a", "b")).replace(b",a,b\n", b",a,a\n"))
    with pytest.raises(InvalidData, match="of the same name"):
        Scored(source, Format.PARQUET)


def test_the_end_of_a_name_says_what_a_file_is() -> None:
    assert Format.of(Path("a.b/P.Parquet")) is Format.PARQUET
    with pytest.raises(InvalidData, match=r"p\.xlsx is neither"):
        Format.of(Path("p.xlsx"))
