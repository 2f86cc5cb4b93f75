"""Files of formulas: neutral wherever CSV is written, and read back as they were."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.predictions import FakeColumnarRiskModel
from stroke.adapters.arrow.files import score_file
from stroke.adapters.arrow.formulas import copied_row, neutral_batch, restored_batch
from stroke.application.predictions.cells import copied, neutral, split
from stroke.application.predictions.file_scoring import Format
from stroke.domain.features import RAW_FEATURES

FORMULAS = [
    "=1+1",
    "+x",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    "\uff1d1",
    "\ufe661",
    "\u207a1",
    "\u00a0=1",
    "\u3000=1",
    "\u200b=1",
    "\u00ad=1",
    "\u061c\u2066=1",
    "\ufe0f\u3164@x",
    "\U000e0020=1",
    "\u1680\u180e=1",
    "Zo\u00a0=1",
    "\u5c71\u7530",
    "'=1",
    "''=1",
    "-5",
    "Jean-Luc",
    "",
]
PATIENT = ["Male", "67", "0", "1", "228.69", "36.6", "formerly smoked"]
SCORES = b"probability,risk_category,contributing_factors,model_version"
TEXTS = st.text(alphabet="'=+-@\t 1aé\uff1d\ufe63\u207a\u3000\u00a0\u200b\u5c71.,\"\n", max_size=6)


def rows_of(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode(), newline="")))


def scored(source: Path, into: Format) -> bytes:
    sink = io.BytesIO()
    rejected: list[object] = []
    score_file(
        source,
        sink,
        into,
        FakeColumnarRiskModel(),
        contributions=False,
        reject=rejected.append,
        advance=lambda _: None,
    )
    assert rejected == []
    return sink.getvalue()


def csv_of(path: Path, notes: list[str], name: str = "note") -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*RAW_FEATURES, name])
        writer.writerows([*PATIENT, note] for note in notes)
    return path


def parquet_of(path: Path, notes: list[str]) -> Path:
    columns = {n: [value] * len(notes) for n, value in zip(RAW_FEATURES, PATIENT, strict=True)}
    pq.write_table(pa.table({**columns, "note": notes}), path)
    return path


def test_a_scored_csv_has_no_formula_that_its_input_had(tmp_path: Path) -> None:
    source = csv_of(tmp_path / "in.csv", FORMULAS)
    rows = rows_of(scored(source, Format.CSV))
    assert [row["note"] for row in rows] == [copied(note) for note in FORMULAS]
    assert all(row["age"] == "67" for row in rows)


def test_a_scored_csv_that_is_scored_again_does_not_change(tmp_path: Path) -> None:
    once = scored(csv_of(tmp_path / "in.csv", FORMULAS), Format.CSV)
    (again := tmp_path / "again.csv").write_bytes(once)
    again.write_bytes(once.replace(SCORES, b"a,b,c,d"))
    notes = [row["note"] for row in rows_of(scored(again, Format.CSV))]
    assert notes == [row["note"] for row in rows_of(once)]


def test_parquet_becomes_csv_and_parquet_again_unchanged(tmp_path: Path) -> None:
    made = scored(parquet_of(tmp_path / "in.parquet", FORMULAS), Format.CSV)
    assert [row["note"] for row in rows_of(made)] == [neutral(note) for note in FORMULAS]
    (back := tmp_path / "back.csv").write_bytes(made.replace(SCORES, b"a,b,c,d"))
    table = pq.read_table(io.BytesIO(scored(back, Format.PARQUET)))
    assert table.column("note").to_pylist() == FORMULAS


@pytest.mark.parametrize("into", list(Format))
def test_the_name_of_a_column_may_be_a_formula_too(tmp_path: Path, into: Format) -> None:
    made = scored(csv_of(tmp_path / "in.csv", ["x"], name="=1+1"), into)
    if into is Format.CSV:
        assert "'=1+1" in rows_of(made)[0]
    else:
        assert "=1+1" in pq.read_schema(io.BytesIO(made)).names


def test_a_row_without_a_formula_is_copied_byte_by_byte(tmp_path: Path) -> None:
    source = tmp_path / "in.csv"
    text = ",".join([*RAW_FEATURES, "note", "day"]) + "\n"
    text += ",".join([*PATIENT, '"Jean-Luc, Zoë-Marie ""x"""', " 2026-11-29T10:00:00+01:00"]) + "\n"
    text += ",".join([*PATIENT, "-5.25", '"+3"']) + "\n"
    source.write_text(text)
    lines = scored(source, Format.CSV).decode().splitlines()
    for given_line, written in zip(text.splitlines(), lines, strict=True):
        assert written.startswith(f"{given_line},")


@given(st.lists(TEXTS, min_size=1, max_size=4))
def test_a_row_keeps_its_cells_but_for_formulas(notes: list[str]) -> None:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow([*notes, "end"])
    written = [cell.text for cell in split(copied_row(line.getvalue()))]
    assert written == [*map(copied, notes), "end"]


@given(st.lists(st.one_of(st.none(), TEXTS), min_size=1, max_size=4))
def test_columns_of_texts_are_written_and_read_back(notes: list[str | None]) -> None:
    texts = pa.array(notes, pa.string())
    kinds = [texts, texts.dictionary_encode(), texts.cast(pa.large_string())]
    batch = pa.record_batch([*kinds, pa.array([1.5] * len(notes))], names=["a", "b", "c", "d"])
    written = neutral_batch(batch)
    expected = [None if note is None else neutral(note) for note in notes]
    for name in "abc":
        assert written.column(name).to_pylist() == expected
    assert written.schema == batch.schema
    back = restored_batch(written)
    assert [back.column(name).to_pylist() for name in "abc"] == [notes] * 3


@given(st.lists(TEXTS, min_size=1, max_size=20))
def test_the_quick_look_at_a_block_misses_no_formula(
    tmp_path_factory: pytest.TempPathFactory, notes: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("block")
    rows = rows_of(scored(csv_of(folder / "in.csv", notes), Format.CSV))
    assert [row["note"] for row in rows] == [copied(note) for note in notes]
