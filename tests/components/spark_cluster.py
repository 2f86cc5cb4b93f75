"""The cluster of Spark that the platform's profile ``spark`` brings."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from secrets import token_hex

from components.change_events import until
from components.containers import build_image
from components.processes import environment
from components.stack import DATABASE, SHORT_LIVED_JVM, PipelineStack

_SERVICES = ("spark-master", "spark-worker", "jupyter")
# JVMs that live for a minute on two cores, for few rows: to compile twice, and each query, costs
# more than it gives.
_CONF = {
    "spark.driver.extraJavaOptions": SHORT_LIVED_JVM,
    "spark.executor.extraJavaOptions": SHORT_LIVED_JVM,
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.shuffle.partitions": "2",
}
_ARGUMENTS = " ".join(f"--conf {name}={value}" for name, value in _CONF.items())
SHORT_LIVED = {"PYSPARK_SUBMIT_ARGS": f"{_ARGUMENTS} pyspark-shell"}


class Driver:
    """A command that runs in a container of its own until it is killed; it can be started again."""

    def __init__(self, name: str) -> None:
        self._name = name

    def lines(self) -> list[str]:
        """Return what it printed so far, over all its lives."""
        done = subprocess.run(["docker", "logs", self._name], capture_output=True, check=True)
        return done.stdout.decode().splitlines()

    def wait_for_line(self, beyond: int) -> None:
        """Wait until it has printed more than so many lines."""
        self.wait_until(lambda: len(self.lines()) > beyond, what="the command prints a line")

    def wait_until(self, look: Callable[[], bool], *, what: str, within: float = 400) -> None:
        """Wait until ``look`` says yes; fail with its stderr when it ended by itself."""

        def has_come() -> bool:
            assert self.is_running(), f"{what}: the command ended: {self.errors()[-3000:]}"
            return look()

        until(has_come, within=within, what=what)

    def is_running(self) -> bool:
        asked = ["docker", "inspect", "--format", "{{.State.Running}}", self._name]
        return b"true" in subprocess.run(asked, capture_output=True, check=True).stdout

    def kill(self) -> None:
        subprocess.run(["docker", "kill", self._name], capture_output=True, check=True)

    def start(self) -> None:
        subprocess.run(["docker", "start", self._name], capture_output=True, check=True)

    def errors(self) -> str:
        """Return what it said on stderr."""
        done = subprocess.run(["docker", "logs", self._name], capture_output=True, check=True)
        return done.stderr.decode()


class SparkCluster:
    """Master, worker and JupyterLab beside a running stack, which have the stack's settings."""

    def __init__(self, stack: PipelineStack) -> None:
        self.stack = stack
        self._images = {
            "COMPOSE_PROFILES": "local,spark",
            "STROKE_SPARK_IMAGE": build_image("spark"),
            "STROKE_PYSPARK_IMAGE": build_image("spark", "pyspark"),
            "STROKE_SPARK_MEMORY": "1g",
        }

    def launch(self) -> None:
        self.stack.configure(**self._images)
        self.stack.compose(
            *("up", "--detach", "--no-build", "--no-deps", "--wait", "--wait-timeout", "180"),
            *_SERVICES,
        )

    def remove(self) -> None:
        self.stack.compose("rm", "--stop", "--force", "--volumes", *_SERVICES)
        self.stack.configure()

    def run(self, *command: str, within: float = 300) -> subprocess.CompletedProcess[str]:
        """Run a command in JupyterLab's container, as somebody who works there does."""
        container = self.stack.compose("ps", "--quiet", "jupyter").strip()
        return subprocess.run(
            ["docker", "exec", *_as_options(SHORT_LIVED), container, *command],
            capture_output=True,
            text=True,
            check=False,
            timeout=within,
            env=environment(),
        )

    @contextmanager
    def driver(self, service: str, *command: str, **settings: str) -> Iterator[Driver]:
        """Run a command in a container of its own."""
        name = f"{self.stack.project}-driver-{token_hex(3)}"
        changes = _as_options(SHORT_LIVED | settings)
        self.stack.compose(
            "run", "--detach", "--no-deps", "--name", name, *changes, service, *command
        )
        try:
            yield Driver(name)
        finally:
            subprocess.run(["docker", "rm", "-fv", name], capture_output=True, check=False)

    @property
    def reports_url(self) -> str:
        """A database for results, as the cluster reaches it."""
        password = self.stack.passwords["STROKE_SINK_PASSWORD"]
        return f"postgresql://stroke:{password}@sql-sink:5432/{DATABASE}"


def _as_options(settings: Mapping[str, str]) -> list[str]:
    return [f"--env={key}={value}" for key, value in settings.items()]
