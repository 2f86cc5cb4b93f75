"""Programs with limits: real ones, which loop, allocate, crash, and look around."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import pytest

from stroke.adapters.confined.process import ConfinedProcess, Limits
from stroke.domain.errors import InvalidModel


def run(folder: Path, code: str, **limits: float) -> str:
    values = {"seconds": 20.0, "memory_bytes": 256 << 20, "file_bytes": 1 << 20, **limits}
    bounds = Limits(values["seconds"], int(values["memory_bytes"]), int(values["file_bytes"]))
    return ConfinedProcess(bounds)([sys.executable, "-I", "-S", "-c", code], folder)


def test_what_it_prints_is_returned(tmp_path: Path) -> None:
    assert run(tmp_path, "print('hello')") == "hello\n"


def test_it_inherits_no_secret_and_works_in_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MYSQL_PASSWORD", "secret")
    said = json.loads(
        run(tmp_path, "import os, json; print(json.dumps([*os.environ, os.getcwd()]))")
    )
    assert set(said[:-1]) <= {
        "HOME", "LANG", "LC_CTYPE", "MALLOC_ARENA_MAX", "MKL_NUM_THREADS", "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS", "PATH", "TMPDIR",
    }  # fmt: skip
    assert Path(said[-1]) == tmp_path.resolve()


@pytest.mark.parametrize("code", ["while True: pass", "import time; time.sleep(60)"])
def test_one_that_does_not_end_is_stopped(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # With so many processors the loop may use 101 s of them: only the clock can stop it in time.
    monkeypatch.setattr(os, "cpu_count", lambda: 100)
    began = time.monotonic()
    with pytest.raises(InvalidModel, match=r"stopped after 0\.5 s.*STROKE_MODEL_IMPORT_SECONDS"):
        run(tmp_path, code, seconds=0.5)
    assert time.monotonic() - began < 30


def test_what_it_started_ends_with_it(tmp_path: Path) -> None:
    code = (
        "import os, time\n"
        "if os.fork() == 0: time.sleep(60)\n"
        "open('child', 'w').write(str(os.getpgid(0)))"
    )
    run(tmp_path, code)
    group = int((tmp_path / "child").read_text())
    deadline = time.monotonic() + 30  # by itself the child would end after 60
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.02)
    raise AssertionError("a process is left")


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS has no limit of address space")
def test_one_that_takes_too_much_memory_ends_without_it(tmp_path: Path) -> None:
    with pytest.raises(InvalidModel, match="exit code 1"):
        run(tmp_path, "x = bytearray(1 << 30)")


@pytest.mark.parametrize(
    ("code", "ending"),
    [
        ("import os; os.abort()", "killed by SIGABRT"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "killed by SIGKILL"),
        ("raise SystemExit(3)", "exit code 3"),
        ("import sys; sys.stdout.write('x' * (2 << 20)); sys.stdout.flush()", "exit code"),
    ],
    ids=["aborts", "is killed", "fails", "writes without end"],
)
def test_how_it_ended_is_said(code: str, ending: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidModel, match=ending):
        run(tmp_path, code)


def test_a_program_that_is_not_there_is_said(tmp_path: Path) -> None:
    for program in ("/no/python", "no-such-program", str(tmp_path)):
        with pytest.raises(InvalidModel, match="cannot be run"):
            ConfinedProcess(Limits())([program], tmp_path)
