"""`stroke predict` as its users run it, with the shipped model."""

from __future__ import annotations

import csv
import io
import json
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import URL

from components.processes import STROKE, environment, peak_mib, run_stroke
from stroke.adapters.sql import schema
from stroke.config import Settings
from stroke.container.service import Container
from stroke.domain.patient import Patient
from stroke.domain.risk import RiskAssessment

DATA = Path(__file__).parents[3] / "shared" / "data" / "healthcare-dataset-stroke-data.csv"
HEADER = (
    "gender,age,hypertension,heart_disease,avg_glucose_level,bmi,smoking_status,"
    "name,country,province"
)
GOOD = "Male,67,0,1,228.69,36.6,formerly smoked,Ānna,Canada,Québec"
BAD = "Male,67,0,1,228.69,heavy,formerly smoked,Ānna,Canada,Québec"

# What is started in the background, as a test run may be, inherits a SIGINT that is ignored.
HEEDS_CTRL_C = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from stroke.entrypoints.cli.main import main; main()"
)


def run(
    *command: str, folder: Path, given: bytes | None = None, **settings: str
) -> subprocess.CompletedProcess[str]:
    return run_stroke(*command, folder=folder, given=given or b"", settings=settings)


def simulated(folder: Path, count: int, name: str = "patients.csv") -> Path:
    assert run("simulate", str(count), "--output", name, folder=folder).returncode == 0
    return folder / name


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def as_patient(row: dict[str, str]) -> Patient:
    cells = {name: row[name] for name in ("age", "avg_glucose_level", "bmi")}
    numbers = {name: float(cell) if cell else None for name, cell in cells.items()}
    flags = {name: int(row[name]) for name in ("hypertension", "heart_disease")}
    texts = {name: row[name] for name in ("gender", "smoking_status", "name", "country")}
    return Patient(**numbers, **flags, **texts, province=row["province"])  # type: ignore[arg-type]


def assess(patients: list[Patient]) -> list[RiskAssessment]:
    return Container(settings=Settings.load()).model().assess(patients)


def test_every_score_is_the_models_own(tmp_path: Path) -> None:
    source = simulated(tmp_path, 5000)
    done = run("predict", source.name, "--json", "-o", "scored.csv", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    summary = json.loads(done.stdout)
    scored = table((tmp_path / "scored.csv").read_text(encoding="utf-8"))
    for row, expected in zip(scored, assess([as_patient(row) for row in scored]), strict=True):
        assert float(row["probability"]) == pytest.approx(expected.probability, abs=1e-12, rel=0)
        assert row["risk_category"] == expected.category
        assert row["contributing_factors"] == ";".join(expected.factors)
        assert row["model_version"] == summary["model_version"]
    assert (summary["rows"], summary["scored"], summary["rejected"]) == (5000, 5000, 0)
    assert summary["rejects"] is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["patients.csv", "scored.csv"]


def test_patients_with_gaps_get_the_scores_of_the_companions(tmp_path: Path) -> None:
    run("simulate", "400", "--missing", "0.3", "-o", "gaps.csv", folder=tmp_path)
    done = run("predict", "gaps.csv", "-o", "scored.csv", folder=tmp_path)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.startswith("400 rows: 400 scored, 0 rejected;")
    scored = table((tmp_path / "scored.csv").read_text(encoding="utf-8"))
    assessed = assess([as_patient(row) for row in scored])
    assert {each.variant for each in assessed} == {
        "full",
        "without bmi",
        "without avg_glucose_level",
        "without avg_glucose_level and bmi",
    }
    for row, expected in zip(scored, assessed, strict=True):
        assert float(row["probability"]) == pytest.approx(expected.probability, abs=1e-12, rel=0)
        assert row["risk_category"] == expected.category
        assert row["contributing_factors"] == ";".join(expected.factors)


def test_from_stdin_to_stdout_it_gives_the_same(tmp_path: Path) -> None:
    source = simulated(tmp_path, 1000)
    piped = run("predict", "-", folder=tmp_path, given=source.read_bytes())
    named = run("predict", source.name, folder=tmp_path)
    assert piped.stdout == named.stdout
    assert piped.stderr.startswith("1,000 rows: 1,000 scored, 0 rejected;")


def test_bad_rows_go_to_a_side_file_and_make_the_exit_code_1(tmp_path: Path) -> None:
    source = tmp_path / "patients.csv"
    source.write_bytes(f"\ufeff{HEADER}\r\n{GOOD}\r\n{BAD}\r\n{GOOD}\r\na,b\r\n".encode())
    done = run("predict", "patients.csv", folder=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("4 rows: 2 scored, 2 rejected (see patients.rejects.csv);")
    assert [line.rsplit(",", 4)[0] for line in done.stdout.splitlines()[1:]] == [GOOD, GOOD]
    assert (tmp_path / "patients.rejects.csv").read_text(encoding="utf-8") == (
        'line,reason\n3,bmi must be a number\n5,"has 2 cells, the header has 10"\n'
    )


def test_the_side_file_of_an_earlier_run_does_not_outlive_its_bad_rows(tmp_path: Path) -> None:
    (tmp_path / "predict.rejects.csv").write_text("line,reason\n2,stale\n")
    done = run("predict", "-", folder=tmp_path, given=f"{HEADER}\n{GOOD}\n".encode())
    assert done.returncode == 0
    assert list(tmp_path.iterdir()) == []


def test_the_summary_stays_out_of_the_scores(tmp_path: Path) -> None:
    given = f"{HEADER}\n{BAD}\n".encode()
    done = run("predict", "-", "--json", "--rejects", "bad.csv", folder=tmp_path, given=given)
    assert done.stdout.count("\n") == 1
    assert json.loads(done.stderr)["rejects"] == "bad.csv"
    assert (tmp_path / "bad.csv").exists()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (b"", "there is no CSV header in the first line"),
        (b"age,bmi\n1,2\n", "columns missing from the header: gender, hypertension,"),
        (b"age;bmi\n1;2\n", "columns missing from the header: gender, hypertension,"),
        (b"PK\x03\x04....xl/workbook.xml", "standard input is a workbook"),
        (f'{HEADER}\n"a\n'.encode(), "line 2: the row that starts here does not end"),
    ],
)
def test_a_file_that_cannot_be_scored_is_one_clear_line(
    tmp_path: Path, given: bytes, message: str
) -> None:
    done = run("predict", "-", "--output", "scored.csv", folder=tmp_path, given=given)
    assert done.returncode == 1
    assert done.stderr.startswith(f"stroke: {message}")
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file_or_model_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text(f"{HEADER}\n{GOOD}\n", encoding="utf-8")
    for command in (["nowhere.csv"], ["p.csv", "--model", "no-such-model"]):
        done = run("predict", *command, folder=tmp_path)
        assert done.returncode == 1
        assert done.stderr.startswith("stroke: ")
        assert done.stderr.count("\n") == 1


def test_the_input_is_never_overwritten(tmp_path: Path) -> None:
    source = simulated(tmp_path, 3)
    before = source.read_bytes()
    for option in ("--output", "--rejects"):
        done = run("predict", "patients.csv", option, "./patients.csv", folder=tmp_path)
        assert (done.returncode, "must be different files" in done.stderr) == (1, True)
    assert source.read_bytes() == before


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_the_table_of_a_german_spreadsheet_is_scored_and_said_to_be_one(
    tmp_path: Path, ending: str
) -> None:
    text = f"{HEADER}\n{GOOD}\n".replace(",", ";").replace(".", ",").replace("Ānna", "Jörg")
    (tmp_path / "patients.csv").write_bytes((text + ";" * 9 + "\n").encode("cp1252"))
    (tmp_path / "same.csv").write_text(f"{HEADER}\n{GOOD}\n".replace("Ānna", "Jörg"))
    found = []
    for source in ("patients.csv", "same.csv"):
        command = ["predict", source, "-o"] if ending == ".csv" else ["score", source]
        done = run(*command, f"scored-{source}{ending}", folder=tmp_path)
        assert done.returncode == 0
        assert "1 rows: 1 scored, 0 rejected" in done.stderr
        said = "note: patients.csv is read as a table with Windows-1252 text, semicolons between"
        assert (said in done.stderr) == (source == "patients.csv")
        found.append((tmp_path / f"scored-{source}{ending}").read_bytes())
    assert found[0] == found[1]


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_an_interrupted_run_leaves_no_half_file(tmp_path: Path, ending: signal.Signals) -> None:
    (tmp_path / "scored.csv").write_text("from before\n")
    with subprocess.Popen(
        [sys.executable, "-c", HEEDS_CTRL_C, "predict", "-", "--output", "scored.csv"],
        cwd=tmp_path,
        env=environment(),
        stdin=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdin is not None
        process.stdin.write(f"{HEADER}\n".encode() + f"{GOOD}\n".encode() * 100_000)
        process.stdin.flush()
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob(".scored.csv.*.part")) and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(ending)
        try:
            assert process.wait(timeout=60) == 128 + ending
        finally:
            process.kill()
    assert (tmp_path / "scored.csv").read_text() == "from before\n"
    assert [path.name for path in tmp_path.iterdir()] == ["scored.csv"]


def test_a_reader_that_goes_away_ends_it_quietly(tmp_path: Path) -> None:
    source = simulated(tmp_path, 200_000)
    with subprocess.Popen(
        [str(STROKE), "predict", source.name],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=60) == 0


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    def peak(count: int) -> float:
        source = simulated(tmp_path, count)
        return peak_mib("predict", source.name, "--output", "scored.csv", folder=tmp_path)

    small, large = peak(400_000), peak(1_200_000)
    assert large - small < 40, (small, large)  # the file alone grows by 60 MiB


def test_stored_rows_are_what_the_service_would_store(tmp_path: Path) -> None:
    database = tmp_path / "stroke.db"
    schema.upgrade(URL.create("sqlite+aiosqlite", database=str(database)))
    simulated(tmp_path, 1500)
    done = run(
        "predict",
        "patients.csv",
        "--store",
        folder=tmp_path,
        STROKE_DATABASE_URL=f"sqlite:///{database}",
    )
    assert done.returncode == 0
    assert "1,500 stored" in done.stderr
    rows = table(done.stdout)
    expected = assess([as_patient(row) for row in rows])
    with sqlite3.connect(database) as connection:
        stored = connection.execute(
            "SELECT id, name, province, age, probability, risk_category, contributing_factors "
            "FROM predictions ORDER BY id"
        ).fetchall()
    connection.close()
    assert [str(row[0]) for row in stored] == [row["prediction_id"] for row in rows]
    for kept, row, assessment in zip(stored, rows, expected, strict=True):
        assert kept[1:3] == (row["name"], row["province"])
        assert kept[3] == float(row["age"])
        assert kept[4] == pytest.approx(assessment.probability, abs=1e-12, rel=0)
        assert kept[5] == assessment.category
        assert json.loads(kept[6]) == assessment.factors


def test_without_a_schema_nothing_is_stored_and_the_message_says_what_to_do(tmp_path: Path) -> None:
    simulated(tmp_path, 3)
    done = run("predict", "patients.csv", "--store", "-o", "scored.csv", folder=tmp_path)
    assert done.returncode == 1
    assert "stroke db upgrade" in done.stderr
    assert not (tmp_path / "scored.csv").exists()


if DATA.exists():  # not part of the repository; CI has it

    def test_the_public_data_set_scores_as_it_is(tmp_path: Path) -> None:
        rejects = ("--rejects", "rejects.csv")
        done = run("predict", str(DATA), "-o", "scored.csv", *rejects, folder=tmp_path)
        assert done.returncode == 0
        assert done.stderr.startswith("5,110 rows: 5,110 scored, 0 rejected")
        assert not (tmp_path / "rejects.csv").exists()
        scored = table((tmp_path / "scored.csv").read_text())
        assert sum(row["bmi"] == "N/A" and row["probability"] != "" for row in scored) == 201
        assert list(scored[0])[:3] == ["id", "gender", "age"]
        strokes = [float(row["probability"]) for row in scored if row["stroke"] == "1"]
        assert sum(strokes) / len(strokes) > 0.1
