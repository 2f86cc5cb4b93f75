"""What one command writes, every other reads: each writer's file, given to each reader."""

from __future__ import annotations

import csv
import json
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.processes import run_stroke
from stroke.adapters.training.data import read_labelled
from stroke.container.imports import labelled_rows
from stroke.domain.errors import InvalidData

COUNT: Final = 240
TODAY: Final = datetime.now(UTC).date().isoformat()
SCORES: Final = ["probability", "risk_category", "contributing_factors", "model_version"]


def stroke(folder: Path, *arguments: str, code: int = 0) -> dict[str, Any]:
    """Run a command with ``--json`` and return what it says."""
    done = run_stroke(*arguments, "--json", folder=folder)
    assert done.returncode == code, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a database, and labelled.csv: patients with gaps and outcomes."""
    made = tmp_path_factory.mktemp("files")
    assert run_stroke("db", "upgrade", folder=made).returncode == 0
    done = run_stroke("simulate", str(COUNT), "--missing", "0.3", folder=made)
    patients = list(csv.DictReader(done.stdout.splitlines()))
    with (made / "labelled.csv").open("w", newline="") as stream:
        columns = [*patients[0], "stroke", "date", "source"]
        writer = csv.DictWriter(stream, columns)
        writer.writeheader()
        for at, patient in enumerate(patients):
            outcome = {"stroke": at % 3 % 2, "date": TODAY, "source": "register"}
            writer.writerow({**patient, **outcome})
    return made


def simulated(folder: Path, name: str) -> None:
    done = run_stroke("simulate", str(COUNT), "--output", name, folder=folder)
    assert done.returncode == 0, done.stderr


def scored_twice(folder: Path, name: str) -> None:
    stroke(folder, "score", "labelled.csv", "once.parquet", "--contributions", "--variants")
    stroke(folder, "score", "once.parquet", name)


WRITERS: Final[dict[str, Callable[[Path, str], object]]] = {
    "simulate.csv": simulated,
    "stored.csv": lambda folder, name: stroke(
        folder, "predict", "labelled.csv", "--store", "--variants", "--output", name
    ),
    "contributions.csv": lambda folder, name: stroke(
        folder, "score", "labelled.csv", name, "--contributions", "--variants"
    ),
    "again.parquet": scored_twice,
}


@pytest.fixture(scope="module", params=WRITERS)
def written(request: pytest.FixtureRequest, folder: Path) -> Path:
    """Return what a command wrote."""
    name: str = request.param
    WRITERS[name](folder, name)
    found = folder / name
    assert found.stat().st_size
    return found


def test_score_reads_it_and_replaces_its_scores(written: Path) -> None:
    suffix = ".csv" if written.suffix == ".parquet" else ".parquet"
    report = stroke(written.parent, "score", written.name, f"scored{suffix}")

    assert (report["rows"], report["scored"], report["rejected"]) == (COUNT, COUNT, 0)
    assert sum(report["variants"].values()) == COUNT
    names = columns_of(written.parent / f"scored{suffix}")
    assert names[-4:] == SCORES
    assert len(set(names)) == len(names)
    assert not [name for name in names if name.startswith(("log_odds_", "baseline", "model_var"))]


def columns_of(file: Path) -> list[str]:
    if file.suffix == ".parquet":
        names: list[str] = pq.read_schema(file).names
        return names
    with file.open(newline="") as stream:
        return next(csv.reader(stream))


def test_predict_reads_it_or_names_the_command_that_does(written: Path) -> None:
    if written.suffix == ".parquet":
        done = run_stroke("predict", written.name, folder=written.parent)
        assert done.returncode == 1
        assert done.stderr.count("\n") == 1
        assert "a Parquet file: `stroke score` reads it" in done.stderr
        return
    report = stroke(written.parent, "predict", written.name, "--output", "predicted.csv")
    assert (report["scored"], report["rejected"]) == (COUNT, 0)
    names = columns_of(written.parent / "predicted.csv")
    assert names[-4:] == SCORES
    assert len(set(names)) == len(names)


def test_training_and_evaluation_read_it_where_it_has_outcomes(written: Path) -> None:
    # `stroke model train` and `evaluate` read so; a bootstrap for each file would take minutes.
    if "stroke" not in columns_of(written):
        with pytest.raises(InvalidData, match="columns missing from the header: stroke"):
            labelled_rows(written).__enter__()
        return
    with labelled_rows(written) as table:
        patients = read_labelled(written, table.rows)
    assert len(patients) == COUNT
    assert patients.features["bmi"].isna().any()


def test_stroke_model_evaluate_reads_what_stroke_score_wrote(folder: Path) -> None:
    stroke(folder, "score", "labelled.csv", "for-evaluate.parquet")
    report = stroke(folder, "model", "evaluate", "--data", "for-evaluate.parquet")
    assert (report["rows"], report["left_out"]) == (COUNT, 0)


def test_outcomes_are_imported_from_it_where_it_has_the_ids_of_predictions(written: Path) -> None:
    if "prediction_id" not in columns_of(written):
        done = run_stroke("outcomes", "import", written.name, folder=written.parent)
        assert done.returncode == 1
        assert "columns missing from the header: prediction_id" in done.stderr
        return
    report = stroke(written.parent, "outcomes", "import", written.name)
    assert (report["rows"], report["rejected"]) == (COUNT, 0)


def test_db_import_says_what_it_lacks(folder: Path) -> None:
    done = run_stroke("db", "import", "labelled.csv", folder=folder)
    assert done.returncode == 1
    assert "columns missing from the header: id" in done.stderr


def test_predictions_as_parquet_are_imported_as_those_of_a_csv_are(folder: Path) -> None:
    stroke(folder, "predict", "labelled.csv", "--store", "--output", "rows.csv")
    with sqlite3.connect(folder / "stroke.db") as database:
        cursor = database.execute("SELECT * FROM predictions ORDER BY id")
        names = [each[0] for each in cursor.description]
        rows = cursor.fetchall()
    database.close()
    table = pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows])
    pq.write_table(table, folder / "table.parquet")

    assert stroke(folder, "db", "import", "table.parquet")["unchanged"] == len(rows)


def test_outcomes_as_parquet_are_taken_with_their_types(folder: Path) -> None:
    stroke(folder, "predict", "labelled.csv", "--store", "--output", "more.csv")
    with (folder / "more.csv").open(newline="") as stream:
        ids = [int(row["prediction_id"]) for row in csv.DictReader(stream)]
    table = pa.table(
        {
            "Prediction ID": pa.array(ids, pa.float64()),
            "stroke": pa.array([at % 2 == 0 for at in range(len(ids))]),
            "date": pa.array([20_000] * len(ids), pa.date32()),
            "source": pa.array(["register"] * len(ids)).dictionary_encode(),
        }
    )
    pq.write_table(table, folder / "outcomes.parquet")

    report = stroke(folder, "outcomes", "import", "outcomes.parquet", "--dry-run", code=1)

    # The day lies before the predictions: each row was read, and judged.
    assert (report["rows"], report["rejected"]) == (COUNT, COUNT)
    table = table.set_column(2, "date", pa.array([TODAY] * len(ids)))
    pq.write_table(table, folder / "outcomes.parquet")
    assert stroke(folder, "outcomes", "import", "outcomes.parquet")["new"] == COUNT


def test_stored_rows_are_not_stored_twice_by_mistake(folder: Path) -> None:
    stroke(folder, "predict", "labelled.csv", "--store", "--output", "twice.csv")
    done = run_stroke("predict", "twice.csv", "--store", folder=folder)
    assert done.returncode == 1
    assert "prediction_id (the rows that have a prediction_id are stored already)" in done.stderr


def test_a_file_with_one_column_of_scores_is_refused_by_its_name(folder: Path) -> None:
    table = "probability," + (folder / "labelled.csv").read_text().replace("\n", "\n0.5,")
    (folder / "own.csv").write_text(table.removesuffix("0.5,"))
    done = run_stroke("predict", "own.csv", folder=folder)
    assert done.returncode == 1
    assert "columns that scoring would add, rename them: probability" in done.stderr


def test_a_scored_file_says_that_its_scores_are_replaced(folder: Path) -> None:
    stroke(folder, "score", "labelled.csv", "said.csv")
    stroke(folder, "score", "labelled.csv", "said.parquet")
    for command in (
        ("predict", "said.csv", "--output", "x.csv"),
        ("score", "said.csv", "x.parquet"),
        ("score", "said.parquet", "x.parquet"),
    ):
        done = run_stroke(*command, folder=folder)
        assert "was scored before: its scores are replaced" in done.stderr


def test_the_variant_of_each_row_is_in_the_file_and_their_counts_in_the_summary(
    folder: Path,
) -> None:
    report = stroke(folder, "predict", "labelled.csv", "--variants", "--output", "named.csv")
    with (folder / "named.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))

    for row in rows:
        gaps = [name for name in ("avg_glucose_level", "bmi") if not row[name]]
        wanted = f"without {' and '.join(gaps)}" if gaps else "full"
        assert row["model_variant"] == wanted
    counted = {
        name: sum(row["model_variant"] == name for row in rows) for name in report["variants"]
    }
    assert counted == report["variants"]
    assert len(counted) == 4
    said = run_stroke("predict", "labelled.csv", "--output", "x.csv", folder=folder).stderr
    assert f"{report['variants']['without bmi']:,} without bmi" in said


def test_a_torn_row_of_a_scored_file_is_rejected_and_nothing_else(folder: Path) -> None:
    stroke(folder, "predict", "labelled.csv", "--output", "torn.csv")
    width = len(columns_of(folder / "torn.csv"))
    with (folder / "torn.csv").open("a") as stream:
        for cells in (width - 4, width - 1, width + 1):
            stream.write(",".join(["1"] * cells) + "\n")

    report = stroke(folder, "predict", "torn.csv", "--output", "x.csv", code=1)

    assert (report["scored"], report["rejected"]) == (COUNT, 3)
