"""Containers of our images, allowed no more than an orchestrator with a strict policy would."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from components.containers import LABELS
from runner.seconds import spending

LABEL = [f"--label={name}={value}" for name, value in LABELS.items()]
CONFINED = ["--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "--security-opt=no-new-privileges"]


def docker(*arguments: str) -> str:
    """Run a command of Docker that must succeed; return what it printed."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip()


def variables(settings: dict[str, str]) -> list[str]:
    """Return the options of ``docker run`` that give a container these settings."""
    return [f"--env={name}={value}" for name, value in settings.items()]


class Container:
    """A started container."""

    def __init__(self, identity: str) -> None:
        self._id = identity

    @property
    def state(self) -> dict[str, Any]:
        inspected: dict[str, Any] = json.loads(docker("inspect", "-f", "{{json .State}}", self._id))
        return inspected

    @property
    def health(self) -> str:
        return str(self.state["Health"]["Status"])

    @property
    def log(self) -> str:
        both = subprocess.run(["docker", "logs", self._id], capture_output=True, check=True)
        return (both.stdout + both.stderr).decode()

    def execute(self, *command: str) -> str:
        """Run a command inside that must succeed; return what it printed."""
        return docker("exec", self._id, *command)

    def stop(self) -> int:
        """Stop it as an orchestrator does (SIGTERM, then patience); return its exit code."""
        docker("stop", "--time=30", self._id)
        return int(self.state["ExitCode"])

    @spending("waiting")
    def wait_until_healthy(self, within: float = 90) -> None:
        deadline = time.monotonic() + within
        while self.health != "healthy":
            assert self.state["Running"], self.log
            assert time.monotonic() < deadline, (self.health, self.log)
            time.sleep(0.2)


@contextmanager
def started(
    image: str, *options: str, command: Sequence[str] = (), **settings: str
) -> Iterator[Container]:
    """Start a container of ``image``, with options of ``docker run``; remove it afterwards."""
    # Docker would look every 10 s; the tests do not wait that long.
    given = [*LABEL, *CONFINED, "--health-interval=1s", *options, *variables(settings)]
    identity = docker("run", "-d", *given, image, *command)
    try:
        yield Container(identity)
    finally:
        docker("rm", "-fv", identity)
