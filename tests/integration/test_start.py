"""./run.sh, as somebody who just cloned the project meets it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from components.checkout import copy_checkout, running
from components.containers import free_port
from components.processes import environment

NOBODY = 65534
JOHN: dict[str, Any] = {
    "gender": "Male",
    "age": 67,
    "hypertension": 0,
    "heart_disease": 1,
    "avg_glucose_level": 228.69,
    "bmi": 36.6,
    "smoking_status": "formerly smoked",
    "name": "John Doe",
    "country": "United States",
    "province": "California",
}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy whose first start was interrupted while it installed packages."""
    folder = copy_checkout(tmp_path_factory.mktemp("started"))
    interrupted = folder / ".venv"
    (interrupted / "bin").mkdir(parents=True)
    (interrupted / "bin" / "python").touch()
    (interrupted / ".stroke-unfinished").touch()
    return folder


@pytest.fixture
def bare_checkout(tmp_path: Path) -> Iterator[Path]:
    """Return a copy that no test installs into. Another user may read it, as a shared folder."""
    folder = copy_checkout(tmp_path / "bare")
    for parent in (folder, *folder.parents):
        if parent.owner() == tmp_path.owner() and "pytest" in str(parent):
            parent.chmod(0o755)
    yield folder
    folder.chmod(0o755)


def run(folder: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run ./run.sh where it is expected to refuse at once."""
    command = ["./run.sh", *arguments]
    if settings.pop("as_nobody", None) and os.getuid() == 0:
        command = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *command]
    return subprocess.run(
        command,
        cwd=folder,
        env=environment(**settings),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def refused(result: subprocess.CompletedProcess[str], folder: Path) -> str:
    """Return the one line with which ``result`` refused, before it installed anything."""
    assert result.returncode == 1, result.stderr
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    assert not (folder / ".venv" / "bin").exists()
    return lines[0]


def test_a_start_after_an_interrupted_one_stores_what_the_next_start_still_has(
    checkout: Path, figures: Callable[[str], None]
) -> None:
    port = free_port()
    url, command = f"http://127.0.0.1:{port}", ["./run.sh", "--port", str(port)]

    with running(command, checkout, f"{url}/health/live") as (first, first_seconds):
        answer = httpx.post(f"{url}/predict", json=JOHN, timeout=60).json()
        first.terminate()
        output, _ = first.communicate(timeout=30)
    assert first.returncode == 0, output
    assert not (checkout / ".venv" / ".stroke-unfinished").exists()
    assert f"{url}/docs" in output
    assert "curl -s" in output
    assert {
        "probability",
        "risk_category",
        "contributing_factors",
        "prediction_id",
    } <= answer.keys()

    with running(command, checkout, f"{url}/health/live", within=30) as (second, seconds):
        listed = httpx.get(f"{url}/predictions", params={"limit": 10}, timeout=60).json()
        second.send_signal(signal.SIGINT)  # Ctrl-C
        output, _ = second.communicate(timeout=30)
    assert second.returncode in {0, 130}, output
    assert "Traceback" not in output
    assert [row["id"] for row in listed] == [answer["prediction_id"]]
    assert listed[0]["probability"] == answer["probability"]
    assert JOHN["name"] not in output.partition("}'")[2]  # only the example names him

    figures(
        f"./run.sh: first start {first_seconds:.1f} s (packages installed), second {seconds:.1f} s "
        "to the first answer"
    )


def test_a_busy_port_is_named_in_one_line_before_anything_is_installed(bare_checkout: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        line = refused(run(bare_checkout, "--port", str(port)), bare_checkout)

    assert f"port {port} is in use" in line
    assert f"./run.sh --port {port + 1}" in line


def test_a_folder_that_cannot_be_written_is_named_in_one_line(bare_checkout: Path) -> None:
    bare_checkout.chmod(0o555)

    line = refused(run(bare_checkout, "--port", str(free_port()), as_nobody="yes"), bare_checkout)

    assert f"cannot write to {bare_checkout}" in line


def test_a_python_without_the_venv_module_gets_the_package_to_install(
    bare_checkout: Path, tmp_path: Path
) -> None:
    (tmp_path / "ensurepip.py").write_text("raise ImportError")  # as Debian's Python has it

    line = refused(
        run(
            bare_checkout,
            "--port",
            str(free_port()),
            PYTHONPATH=str(tmp_path),
            STROKE_PYTHON=sys.executable,
        ),
        bare_checkout,
    )

    assert "apt install python3-venv" in line


def test_a_python_that_is_too_old_is_refused_in_one_line(
    bare_checkout: Path, tmp_path: Path
) -> None:
    old = tmp_path / "python3"
    old.write_text("#!/bin/sh\nexit 1\n")  # whatever it is asked, it is not >= 3.11
    old.chmod(0o755)

    result = run(bare_checkout, "--port", str(free_port()), STROKE_PYTHON=str(old))

    assert "Python >= 3.11" in refused(result, bare_checkout)


@pytest.mark.parametrize(
    "script",
    [
        "run.sh",
        "test.sh",
        "deploy/images/build.sh",
        "deploy/images/make-base.sh",
        "deploy/images/ensure-docker.sh",
        "deploy/python/set-up.sh",
        "deploy/upgrade.sh",
    ],
)
def test_every_script_says_what_it_does(bare_checkout: Path, script: str) -> None:
    result = subprocess.run(
        [f"./{script}", "--help"], cwd=bare_checkout, capture_output=True, text=True, check=False
    )

    assert result.returncode == 0
    assert result.stdout.startswith("Usage: ")
    assert result.stderr == ""
