"""Bulk scoring on Spark gives what it gives in one process."""

from __future__ import annotations

import csv
import gzip
import io
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from builders.columnar import csv_text
from builders.predictions import patient_json
from stroke.adapters.arrow.files import score_file
from stroke.adapters.onnx.folder_store import FolderStore
from stroke.adapters.onnx.graph import GraphLimits
from stroke.adapters.onnx.model import OnnxRiskModel
from stroke.adapters.onnx.store import ModelStore
from stroke.adapters.spark_scoring.files import score_files
from stroke.application.predictions.cells import neutral
from stroke.application.predictions.file_scoring import Format
from stroke.container.batch_scoring import worker_parts
from stroke.domain.errors import InvalidData

# py4j leaves its sockets to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

MODEL = ModelStore(FolderStore(Path("nowhere"))).locate(None)
PARTS = worker_parts(GraphLimits())
SMOKING = "smoking_status must be one of 'never smoked', 'formerly smoked', 'smokes', 'Unknown'"
ROWS: list[dict[str, Any]] = [
    {"age": age / 4, "name": f'"Ānna", {age}', "note": "a\nb", "hypertension": age % 2}
    for age in range(481)
]
ROWS[7] |= {"smoking_status": "cigars"}
ROWS[20] |= {"bmi": None}
ROWS[21] |= {"avg_glucose_level": None}
ROWS[22] |= {"bmi": None, "avg_glucose_level": None}
ROWS[400] |= {"age": 130.0}


def here(source: Path, *, contributions: bool) -> list[dict[str, Any]]:
    """Return what one process makes of a file."""
    sink = io.BytesIO()
    score_file(
        source,
        sink,
        Format.PARQUET,
        OnnxRiskModel(MODEL),
        contributions=contributions,
        reject=lambda _: None,
        advance=lambda _: None,
    )
    rows: list[dict[str, Any]] = pq.read_table(sink).to_pylist()
    return rows


def check(row: dict[str, Any], expected: dict[str, Any]) -> None:
    assert row.keys() == expected.keys()
    for name, value in expected.items():
        if isinstance(value, float):
            assert row[name] == pytest.approx(value, abs=1e-12, rel=0), name
        else:
            assert row[name] == value, name


def by_age(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: row["age"])


def rejects(folder: Path) -> list[dict[str, str]]:
    found = [path.read_text() for path in sorted(folder.glob("*.csv"))]
    return [row for text in found for row in csv.DictReader(io.StringIO(text))]


@pytest.mark.parametrize("contributions", [False, True])
def test_parquet_gets_the_scores_that_one_process_gives(
    spark: Any, tmp_path: Path, contributions: bool
) -> None:
    source = tmp_path / "in" / "patients.parquet"
    source.parent.mkdir()
    table = pa.Table.from_pylist([{**patient_json(), **row} for row in ROWS])
    pq.write_table(table, source, row_group_size=100)
    done = score_files(
        spark,
        str(source.parent),
        str(tmp_path / "out"),
        rejects=str(tmp_path / "rejects"),
        model=MODEL,
        parts=PARTS,
        contributions=contributions,
    )
    assert (done["rows"], done["scored"], done["rejected"]) == (481, 479, 2)
    scored = pq.read_table(tmp_path / "out").to_pylist()
    for row, expected in zip(
        by_age(scored), by_age(here(source, contributions=contributions)), strict=True
    ):
        check(row, expected)
    assert sorted((row["row"], row["reason"]) for row in rejects(tmp_path / "rejects")) == [
        ("401", "age must be 0 to 120 years"),
        ("8", SMOKING),
    ]
    assert all(row["file"].endswith("patients.parquet") for row in rejects(tmp_path / "rejects"))


def test_csv_gets_them_too_and_numbers_where_there_are_measurements(
    spark: Any, tmp_path: Path
) -> None:
    source = tmp_path / "patients.csv"
    blank = b"," * 10 + b"\n" + b" ,,\n" + b"," * 12 + b"\n"
    source.write_bytes(csv_text(*ROWS, extra=("note",)) + b"too,short\n" + blank)
    done = score_files(
        spark,
        str(source),
        str(tmp_path / "out"),
        rejects=str(tmp_path / "rejects"),
        model=MODEL,
        parts=PARTS,
    )
    assert (done["rows"], done["scored"], done["rejected"]) == (482, 479, 3)
    scored = pq.read_table(tmp_path / "out")
    assert scored.schema.field("age").type == pa.float64()
    assert scored.schema.field("hypertension").type == pa.int64()
    for row, expected in zip(
        by_age(scored.to_pylist()), by_age(here(source, contributions=False)), strict=True
    ):
        check(row, expected)
    assert {row["reason"] for row in rejects(tmp_path / "rejects")} == {
        "age must be 0 to 120 years",
        SMOKING,
        "has other cells than the header",
    }


def test_a_second_run_takes_the_place_of_the_first(spark: Any, tmp_path: Path) -> None:
    source = tmp_path / "patients.csv"
    for rows in (ROWS, ROWS[10:20]):
        source.write_bytes(csv_text(*rows, extra=("note",)))
        bad = str(tmp_path / "rejects")
        score_files(
            spark,
            str(source),
            str(tmp_path / "out.csv"),
            rejects=bad,
            model=MODEL,
            parts=PARTS,
        )
    found = [path.read_text() for path in (tmp_path / "out.csv").glob("*.csv")]
    assert sum(len([*csv.DictReader(io.StringIO(text))]) for text in found) == 10
    assert (tmp_path / "out.csv" / "_SUCCESS").exists()
    assert rejects(tmp_path / "rejects") == []


def test_what_cannot_be_scored_is_one_error_without_a_value(spark: Any, tmp_path: Path) -> None:
    nowhere, out, bad = str(tmp_path / "nowhere"), str(tmp_path / "out"), str(tmp_path / "bad")
    with pytest.raises(InvalidData, match="PATH_NOT_FOUND"):
        score_files(spark, nowhere, out, rejects=bad, model=MODEL, parts=PARTS)
    other = tmp_path / "other.parquet"
    pq.write_table(pa.table({"age": [1.0]}), other)
    with pytest.raises(InvalidData, match="columns missing"):
        score_files(spark, str(other), out, rejects=bad, model=MODEL, parts=PARTS)
    assert not Path(out).exists()


def test_formulas_are_neutral_in_csv_and_come_back_in_parquet(spark: Any, tmp_path: Path) -> None:
    notes = ["=1+1", "+x", "@SUM(A1)", "'=1", "-5", "\uff1d1", "Jean-Luc", "-"]
    source = tmp_path / "patients.parquet"
    rows = [{**patient_json(age=40 + at), "note": note} for at, note in enumerate(notes)]
    pq.write_table(pa.Table.from_pylist(rows), source)

    def run(read: str, written: str) -> Path:
        output = tmp_path / written
        bad = str(tmp_path / "rejects")
        score_files(spark, read, str(output), rejects=bad, model=MODEL, parts=PARTS)
        return output

    text = [path.read_text() for path in run(str(source), "once.csv").glob("*.csv")]
    found = [row for part in text for row in csv.DictReader(io.StringIO(part))]
    found.sort(key=lambda row: float(row["age"]))
    assert [row["note"] for row in found] == [neutral(note) for note in notes]
    plain = tmp_path / "plain.csv"
    with plain.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [*rows[0]], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(found)
    back = by_age(pq.read_table(run(str(plain), "back")).to_pylist())
    assert [row["note"] for row in back] == notes
    again = [path.read_text() for path in run(str(plain), "again.csv").glob("*.csv")]
    copies = [row["note"] for part in again for row in csv.DictReader(io.StringIO(part))]
    assert sorted(copies) == sorted(neutral(note) for note in notes)


GOOD = csv_text(*ROWS[:5], extra=("note",)).decode()
PLAIN = csv_text({"age": 50}, {"age": 51}).decode()
NOT_UTF8 = [
    text.encode(encoding)
    for text in (GOOD, GOOD.replace(",", ";"), PLAIN)
    for encoding in ("utf-16", "utf-16-le", "utf-16-be", "utf-32")
]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("p.csv", GOOD.replace(",", ";").encode(), "separated by semicolons"),
        ("p.csv", GOOD.replace(",", "\t").encode(), "separated by tabs"),
        ("p.csv", b"sep=;\n" + GOOD.replace(",", ";").encode(), "columns missing|semicolons"),
        ("p.csv", GOOD.encode("cp1252", "replace").replace(b"?nna", b"\xc4nna"), "not UTF-8"),
        *(("p.csv", text, "not UTF-8") for text in NOT_UTF8),
        ("p.csv", (GOOD + '"never closed,1\n2\n3\n').encode(), "never closed"),
        ("p.csv.gz", gzip.compress(GOOD.encode()), "is packed"),
        ("p.tsv", GOOD.encode(), "no plain CSV"),
    ],
)
def test_csv_that_spark_would_read_differently_is_refused_before_anything_is_written(
    spark: Any, tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidData, match=said):
        score_files(
            spark,
            str(tmp_path / name),
            str(tmp_path / "out"),
            rejects=str(tmp_path / "rejects"),
            model=MODEL,
            parts=PARTS,
        )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16"])
def test_one_file_of_another_encoding_is_found_in_a_folder(
    spark: Any, tmp_path: Path, encoding: str
) -> None:
    folder = tmp_path / "p.csv"
    folder.mkdir()
    (folder / "a.csv").write_bytes(PLAIN.encode())
    other = PLAIN.splitlines(keepends=True)[1].replace("50", "é")
    (folder / "b.csv").write_bytes((PLAIN + other).encode(encoding))
    with pytest.raises(InvalidData, match="not UTF-8"):
        score_files(
            spark,
            str(folder),
            str(tmp_path / "out"),
            rejects=str(tmp_path / "rejects"),
            model=MODEL,
            parts=PARTS,
        )


def test_decimal_commas_are_refused_by_name(spark: Any, tmp_path: Path) -> None:
    source = tmp_path / "p.csv"
    source.write_bytes(csv_text({"bmi": "26,5"}, {"age": 50}))
    with pytest.raises(InvalidData, match="decimal commas: on Spark, CSV is UTF-8 with commas"):
        score_files(
            spark,
            str(source),
            str(tmp_path / "out"),
            rejects=str(tmp_path / "rejects"),
            model=MODEL,
            parts=PARTS,
        )


@pytest.mark.parametrize("suffix", ["", ".csv"])
def test_what_was_scored_before_is_scored_anew_with_the_variants_named(
    spark: Any, tmp_path: Path, suffix: str
) -> None:
    source, once = tmp_path / "patients.csv", tmp_path / f"once{suffix}"
    source.write_bytes(csv_text(*ROWS[:30], extra=("note",)))

    def scored(given: Path, output: Path, **options: bool) -> None:
        score_files(
            spark,
            str(given),
            str(output),
            rejects=str(tmp_path / "rejects"),
            model=MODEL,
            parts=PARTS,
            **options,
        )

    scored(source, once, contributions=True)
    scored(once, tmp_path / "again", variants=True)

    table = pq.read_table(tmp_path / "again")
    added = ["probability", "risk_category", "contributing_factors", "model_version"]
    assert table.schema.names[-5:] == [*added, "model_variant"]
    assert not [name for name in table.schema.names if name.startswith("log_odds_")]
    variants = Counter(table.column("model_variant").to_pylist())
    assert variants["without bmi"] == variants["without avg_glucose_level"] == 1
