"""`stroke simulate` as its users run it."""

from __future__ import annotations

import subprocess
from pathlib import Path

from components.processes import STROKE, environment


def simulate(*options: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(STROKE), "simulate", *options],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )


def test_patients_go_to_stdout_and_nothing_to_stderr(tmp_path: Path) -> None:
    done = simulate("3", "--seed", "5", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 4
    assert simulate("3", "--seed", "5", folder=tmp_path).stdout == done.stdout
    assert simulate("3", "--seed", "6", folder=tmp_path).stdout != done.stdout


def test_a_file_holds_what_stdout_would(tmp_path: Path) -> None:
    done = simulate("3", "--format", "ndjson", "--output", "p.ndjson", folder=tmp_path)
    assert (done.returncode, done.stdout) == (0, "")
    shown = simulate("3", "--format", "ndjson", folder=tmp_path)
    assert (tmp_path / "p.ndjson").read_text(encoding="utf-8") == shown.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["p.ndjson"]


def test_a_reader_that_goes_away_ends_it_quietly(tmp_path: Path) -> None:
    with subprocess.Popen(
        [str(STROKE), "simulate", "1000000"],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith(b"gender,age,")
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=60) == 0


def test_a_folder_that_is_not_there_is_one_clear_line(tmp_path: Path) -> None:
    done = simulate("3", "--output", "nowhere/p.csv", folder=tmp_path)
    assert done.returncode == 1
    assert done.stderr.endswith("cannot be written: No such file or directory\n")
    assert done.stderr.startswith("stroke: ")
    assert done.stderr.count("\n") == 1
