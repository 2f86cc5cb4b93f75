"""The service as its users run it: a process, its output in a file."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple, Self

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


class Cost(NamedTuple):
    """What a whole process cost, its start included, and how it ended.

    ``seconds`` are by the clock, ``cpu`` seconds of CPU (which noise disturbs less), ``mib`` the
    most memory that it held.
    """

    seconds: float
    cpu: float
    mib: float
    exit_code: int
    stdout: bytes


# Linux counts the peak of the process that starts a program into the program's own: that of
# pytest, or of a bench with its data, would hide what is measured. So a small process stands
# between, which writes the figures into the pipe that it is given.
_MEASURE = """
import json, os, sys, time
began = time.monotonic()
child = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(child, 0)
figures = [time.monotonic() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024]
os.write(int(sys.argv[1]), json.dumps(figures).encode())
sys.exit(os.waitstatus_to_exitcode(status) % 256)
"""


def cost_of(
    command: Sequence[str | Path],
    *,
    folder: Path | None = None,
    settings: Mapping[str, str] | None = None,
    keep_stdout: bool = True,
    stderr: int | None = subprocess.DEVNULL,
) -> Cost:
    """Run a command to its end, and return what it cost."""
    reader, writer = os.pipe()
    try:
        done = subprocess.run(
            [sys.executable, "-S", "-E", "-c", _MEASURE, str(writer), *map(str, command)],
            cwd=folder,
            env=environment(**(settings or {})),
            stdout=subprocess.PIPE if keep_stdout else subprocess.DEVNULL,
            stderr=stderr,
            pass_fds=[writer],
            check=False,
        )
        os.close(writer)
        seconds, cpu, mib = json.loads(os.read(reader, 1 << 10))
    finally:
        os.close(reader)
    return Cost(seconds, cpu, mib, done.returncode, done.stdout or b"")


def peak_mib(*arguments: str, folder: Path) -> float:
    """Return the most memory (MiB) that a ``stroke`` command had; it has to succeed."""
    cost = cost_of([STROKE, *arguments], folder=folder)
    assert cost.exit_code == 0
    return cost.mib


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
