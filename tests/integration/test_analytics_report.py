"""`stroke analytics report` as a user runs it: from a run now, and from one that was written."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from pyarrow.fs import LocalFileSystem

from builders.truth_as_avro import write_change_log
from components.processes import run_stroke


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run_stroke("analytics", *arguments, folder=folder, within=120)


def without_the_time(page: str) -> str:
    return re.sub(r"<dd>[\d-]+ [\d:]+ UTC, in [\d.]+ s</dd>", "", page)


def test_a_run_now_and_results_that_were_written_give_the_same_page(tmp_path: Path) -> None:
    place = write_change_log(LocalFileSystem(), str(tmp_path))
    now = run(tmp_path, "report", "--html", "now.html", "--source", place)
    assert (now.returncode, now.stderr) == (0, "")
    assert run(tmp_path, "run", "--source", place, "--output", "out").returncode == 0
    then = run(tmp_path, "report", "--html", "-", "--results", "out")
    assert (then.returncode, then.stderr) == (0, "")
    page = (tmp_path / "now.html").read_text(encoding="utf-8")
    assert without_the_time(page) == without_the_time(then.stdout)
    assert page.count("<figure>") == page.count("<table") == 14


def test_what_has_a_row_per_patient_stays_off_the_page(tmp_path: Path) -> None:
    place = write_change_log(LocalFileSystem(), str(tmp_path))
    names = ("risk-by-gender", "top-risks", "--with-name")
    assert run(tmp_path, "run", *names, "--source", place, "--output", "out").returncode == 0
    shown = run(tmp_path, "report", "--html", "-", "--results", "out").stdout
    assert "Not shown, since they have a row per patient: top-risks." in shown
    assert shown.count("<table") == 1
    assert "Zyxwvut" not in shown


def test_without_results_it_says_how_to_get_them(tmp_path: Path) -> None:
    done = run(tmp_path, "report", "--html", "report.html", "--results", "nowhere")
    assert done.returncode == 1
    assert re.fullmatch(r"stroke: .*nowhere has no run\.json .*analytics run.*\n", done.stderr)
    assert not (tmp_path / "report.html").exists()
