"""The service as its users run it: a process, its output in a file."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any, Self

import urllib3

from components.containers import free_port
from runner import forked
from runner.seconds import spending

RunStroke = Callable[..., subprocess.CompletedProcess[str]]
"""Runs the command with these arguments; keywords are further settings."""

STROKE = Path(sys.executable).with_name("stroke")
_STARTS_WITHIN = 120.0


def environment(**changes: str) -> dict[str, str]:
    """Return this process's environment without its own settings of stroke, and ``changes``."""
    own = ("STROKE_", "MYSQL_", "SAVED_MODEL", "OTEL_", "CI")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(own)}
    return inherited | changes


def run_stroke(
    *arguments: str,
    folder: Path,
    settings: Mapping[str, str] | None = None,
    given: bytes = b"",
    within: float = 300,
) -> subprocess.CompletedProcess[str]:
    """Run the command in ``folder`` with ``settings`` and no others; ``given`` is its stdin."""
    done = forked.run(
        arguments,
        folder=folder,
        environment=environment(**(settings or {})),
        given=given,
        within=within,
    )
    return subprocess.CompletedProcess(
        done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
    )


def upgrade_schema(database_url: str, folder: Path) -> None:
    """Run ``stroke db upgrade``, as an operator does before a new version starts."""
    done = run_stroke(
        "db", "upgrade", folder=folder, settings={"STROKE_DATABASE_URL": database_url}
    )
    assert done.returncode == 0, done.stderr


def new_key(folder: Path, database_url: str, scopes: str) -> str:
    """Make an API key with ``stroke keys create``; return it."""
    done = run_stroke(
        *("keys", "create", "--name", "test", "--site", "north", "--scope", scopes, "--json"),
        folder=folder,
        settings={"STROKE_DATABASE_URL": database_url},
    )
    assert done.returncode == 0, done.stderr
    return str(json.loads(done.stdout)["key"])


# Linux counts the peak of the process that starts a program into the program's own: pytest's
# would hide what is measured, so a small process stands between.
_MEASURE = """
import os, sys
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, usage = os.wait4(child, 0)
print(usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def peak_mib(*arguments: str, folder: Path) -> float:
    """Return the most memory (MiB) that a ``stroke`` command had."""
    done = subprocess.run(
        [sys.executable, "-S", "-E", "-c", _MEASURE, str(STROKE), *arguments],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=True,
    )
    return int(done.stdout.split()[-1]) / 1024


@spending("waiting")
def wait_for(
    url: str, *, status: int = HTTPStatus.OK, within: float = _STARTS_WITHIN, alive: Any = None
) -> float:
    """Return the seconds until ``url`` answers with ``status``.

    Fails when that takes too long, or at once when the process ``alive`` has ended.
    """
    started = time.perf_counter()
    seen: object = "no answer"
    while (waited := time.perf_counter() - started) < within:
        try:
            # httpx.get() reads all certificates first, every time.
            seen = urllib3.request("GET", url, timeout=5, retries=False).status
            if seen == status:
                return waited
        except urllib3.exceptions.HTTPError as error:
            seen = type(error).__name__
        assert alive is None or alive.poll() is None, f"the process ended before {url} answered"
        time.sleep(0.05)
    raise AssertionError(f"{url}: {seen}, not {status}, after {within:.0f} s")


class Service:
    """``stroke serve`` on a port of its own. ``start`` again after it ended or was killed."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self._folder = folder
        self.command = [str(STROKE), "serve"]
        self._log = folder / "service.log"
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._environment = environment(STROKE_HTTP_PORT=str(port), **settings)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()

    @property
    def log(self) -> str:
        """All that the service has written, over all its starts."""
        return self._log.read_text()

    def start(self) -> None:
        """Start it; returns when it is ready."""
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                self.command,
                cwd=self._folder,
                env=self._environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            wait_for(f"{self.url}/health/ready", alive=self._process)
        except AssertionError as error:
            error.add_note(self.log[-2000:])
            raise

    @property
    def pid(self) -> int:
        """The id of its process."""
        assert self._process is not None
        return self._process.pid

    def children(self, named: str) -> list[int]:
        """Return the ids of its child processes with ``named`` in their command line."""
        assert self._process is not None
        own = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        found = []
        for child in own.read_text().split():
            with suppress(FileNotFoundError):  # it has just ended
                if named.encode() in Path(f"/proc/{child}/cmdline").read_bytes():
                    found.append(int(child))
        return found

    def kill(self) -> None:
        """Kill it, and what it started, with SIGKILL."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def stop(self, within: float = 30) -> int:
        """Send SIGTERM; return the exit code."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(timeout=within)
