"""`stroke score` as its users run it, against the service itself."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from components.processes import STROKE, Service, environment, peak_mib, run_stroke, upgrade_schema

COUNT = 1_000
ADDED = ("probability", "risk_category", "contributing_factors", "model_version")


def run(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return run_stroke(*arguments, folder=folder)


def simulated(folder: Path, count: int, name: str = "patients.csv") -> Path:
    assert run("simulate", str(count), "--output", name, folder=folder).returncode == 0
    return folder / name


def as_parquet(source: Path, times: int = 1, **options: Any) -> Path:
    """Write a CSV's rows so many times; returns the file."""
    target = source.with_suffix(".parquet")
    table = pacsv.read_csv(source)
    with pq.ParquetWriter(target, table.schema) as writer:
        writer.write_table(pa.concat_tables([table] * times), **options)
    return target


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    database = f"sqlite:///{folder}/stroke.db"
    upgrade_schema(database, folder)
    with Service(folder, STROKE_DATABASE_URL=database) as running:
        yield running


def check(row: dict[str, Any], answer: dict[str, Any]) -> None:
    """Compare a scored row with what the API answered for its patient."""
    assert row["probability"] == pytest.approx(answer["probability"], abs=1e-12, rel=0)
    assert row["risk_category"] == answer["risk_category"]
    assert row["contributing_factors"] == ";".join(answer["contributing_factors"])
    assert row["model_version"] == answer["model_version"]
    for part in answer["explanation"]:
        column = f"log_odds_{part['feature']}"
        assert row[column] == pytest.approx(part["log_odds"], abs=1e-12, rel=0)


@pytest.mark.parametrize("kind", [".csv", ".parquet"])
@pytest.mark.parametrize("into", [".csv", ".parquet"])
def test_every_score_is_the_one_that_the_api_gives(
    tmp_path: Path, service: Service, kind: str, into: str
) -> None:
    source = simulated(tmp_path, COUNT)
    patients = pacsv.read_csv(source).to_pylist()
    answered = httpx.post(
        f"{service.url}/api/v1/predictions:batch", json={"patients": patients}, timeout=60
    )
    given = source if kind == ".csv" else as_parquet(source)
    target = tmp_path / f"scored{into}"
    done = run("score", given.name, target.name, "--contributions", "--json", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    scored = pq.read_table(target) if into == ".parquet" else pacsv.read_csv(target)
    assert scored.select(list(patients[0])).to_pylist() == patients
    for row, answer in zip(scored.to_pylist(), answered.json()["predictions"], strict=True):
        check(row, answer)
    summary = json.loads(done.stdout)
    assert (summary["rows"], summary["scored"], summary["rejected"]) == (COUNT, COUNT, 0)
    assert (summary["files"], summary["engine"], summary["rejects"]) == (1, "local", None)


def test_a_folder_becomes_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "patients"
    (folder / "2026").mkdir(parents=True)
    for number, name in enumerate(("a.csv", "2026/b.csv", "_temporary.csv", ".hidden.csv")):
        simulated(tmp_path, 10 + number, f"patients/{name}")
    with (folder / "a.csv").open("a") as spoilt:
        spoilt.write("Male,67,0,1,228.69,heavy,smokes,,,\n")
    done = run("score", "patients", "scored", folder=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("22 rows: 21 scored, 1 rejected (see patients.rejects.csv); ")
    found = sorted(str(path.relative_to(tmp_path)) for path in (tmp_path / "scored").rglob("*.*"))
    assert found == ["scored/2026/b.parquet", "scored/a.parquet"]
    assert pq.read_metadata(tmp_path / "scored/a.parquet").num_rows == 10
    with (tmp_path / "patients.rejects.csv").open() as rejects:
        assert list(csv.reader(rejects)) == [
            ["file", "line", "reason"],
            ["patients/a.csv", "12", "bmi must be a number"],
        ]
    assert run("score", "patients", "patients/scored", folder=tmp_path).returncode == 1


def test_rejects_of_an_earlier_run_do_not_outlive_their_rows(tmp_path: Path) -> None:
    source = as_parquet(simulated(tmp_path, 10))
    (tmp_path / "patients.rejects.csv").write_text("file,row,reason\nstale\n")
    assert run("score", source.name, "scored.parquet", folder=tmp_path).returncode == 0
    assert not (tmp_path / "patients.rejects.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.csv", "s.csv"], "nowhere.csv is not there"),
        (["patients.csv", "s.xlsx"], "s.xlsx is neither .parquet nor .csv"),
        (["patients.csv", "patients.csv"], "must be different"),
        (["patients.csv", "s.csv", "--rejects", "s.csv"], "must be different"),
        (["patients.csv", "s.csv", "--model", "no-such"], "no model 'no-such'"),
        (["patients.parquet", "s.csv"], "patients.parquet cannot be read as a Parquet file"),
        (["empty", "scored"], "empty has no .parquet or .csv files"),
        (["mixed", "scored"], "mixed holds CSV and Parquet files"),
    ],
)
def test_what_cannot_be_scored_is_one_clear_line(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    source = simulated(tmp_path, 3)
    (tmp_path / "patients.parquet").write_bytes(b"PAR1 it is not")
    for folder in ("empty", "mixed"):
        (tmp_path / folder).mkdir()
    for name in ("mixed/a.csv", "mixed/b.parquet"):
        (tmp_path / name).write_bytes(source.read_bytes())
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.*")}
    done = run("score", *arguments, folder=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("stroke: ")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.*")} == before


def test_an_interrupted_run_leaves_no_half_file(tmp_path: Path) -> None:
    source = as_parquet(simulated(tmp_path, 100_000), times=40)
    target = tmp_path / "scored.parquet"

    def is_interrupted() -> bool:
        """Interrupt a run amid its work; false where it was done before it could be stopped."""
        target.write_bytes(b"from before")
        with subprocess.Popen(
            [str(STROKE), "score", source.name, target.name],
            cwd=tmp_path,
            env=environment(),
            stderr=subprocess.DEVNULL,
        ) as process:
            deadline = time.monotonic() + 60
            while not list(tmp_path.glob(".scored.*.part")) and process.poll() is None:
                assert time.monotonic() < deadline
                time.sleep(0.005)
            # It stands still while this looks whether it is still at work: pytest may have been
            # paused for longer than the work takes.
            process.send_signal(signal.SIGSTOP)
            if process.returncode is None:
                os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
            if not list(tmp_path.glob(".scored.*.part")):
                process.send_signal(signal.SIGCONT)
                assert process.wait(timeout=60) == 0
                return False
            process.send_signal(signal.SIGTERM)
            process.send_signal(signal.SIGCONT)
            assert process.wait(timeout=60) == 128 + signal.SIGTERM
            return True

    assert any(is_interrupted() for _ in range(5))
    assert target.read_bytes() == b"from before"
    assert not list(tmp_path.glob(".*"))


def test_memory_does_not_grow_with_the_file_nor_with_its_row_groups(tmp_path: Path) -> None:
    source = simulated(tmp_path, 250_000)

    def peak(**sizes: int) -> float:
        rows = as_parquet(source, **sizes)
        return peak_mib("score", rows.name, "scored.parquet", folder=tmp_path)

    small = peak(times=2, row_group_size=100_000)
    large = peak(times=8, row_group_size=2_000_000)
    # Two million rows in memory take 250 MiB. On a busy machine the peak of one and the same file
    # differs by 80, by how many of its parts were in work at once.
    assert large - small < 125, (small, large)
