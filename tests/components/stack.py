"""The whole platform, as ``deploy/compose.yaml`` runs it, under a name and on ports of its own."""

from __future__ import annotations

import asyncio
import json
import secrets
import subprocess
from collections.abc import Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import asyncmy
import asyncpg
import docker

from components.containers import LABELS, ROOT, build_image, free_port, mysql_image
from components.processes import environment, run_stroke
from components.usage import Usage, of_container
from runner.seconds import spending

TOPIC = "dbserver1.stroke_predictions.predictions"
SOURCE = "stroke-predictions-connector"
SQL_SINK = "mssql-sink-predictions"
S3_SINK = "s3-sink-stroke-predictions"
BUCKET = "stroke-predictions"
DATABASE = "stroke_predictions"

# Some two fifths of what a JVM's start costs is to compile what a test's few rows do not repay.
SHORT_LIVED_JVM = "-XX:TieredStopAtLevel=1"
_COMPOSE = ROOT / "deploy" / "compose.yaml"
_PASSWORDS = (
    "MYSQL_ROOT_PASSWORD",
    "MYSQL_PASSWORD",
    "STROKE_CDC_PASSWORD",
    "STROKE_LAKE_JDBC_PASSWORD",
    "STROKE_SINK_PASSWORD",
    "STROKE_SPARK_SECRET",
    "STROKE_JUPYTER_TOKEN",
    "STROKE_GRAFANA_PASSWORD",
)
_KEYS = ("STROKE_ADMIN_KEY", "STROKE_METRICS_KEY")
_VOLUMES = (
    "mysql-data",
    "kafka-data",
    "connect-scratch",
    "api-data",
    "sql-sink-data",
    "s3-data",
    "spark-scratch",
    "jupyter-scratch",
    "jupyter-data",
    "prometheus-data",
    "alertmanager-data",
    "grafana-data",
)
_PORTS = {
    "mysql": "MYSQL",
    "kafka": "KAFKA",
    "connect": "CONNECT",
    "jmx": "JMX",
    "broker_jmx": "BROKER_JMX",
    "registry": "REGISTRY",
    "api": "API",
    "watch": "WATCH",
    "verify": "VERIFY",
    "performance": "PERFORMANCE",
    "s3": "S3",
    "sink": "SINK",
    "spark": "SPARK",
    "spark_ui": "SPARK_UI",
    "jupyter": "JUPYTER",
    "prometheus": "PROMETHEUS",
    "alertmanager": "ALERTMANAGER",
    "grafana": "GRAFANA",
}

_Result = TypeVar("_Result")


class PipelineStack:
    """One running stack. Data are gone when it is removed.

    What it is called and how it is reached stands in ``folder``, so that a later run can find a
    stack that was left running. ``changed`` is one more file of compose, over all others.
    """

    def __init__(self, folder: Path, changed: Mapping[str, Any] | None = None) -> None:
        self._folder = folder
        self._changed = folder / "changed.json"
        if changed is not None:
            self._changed.write_text(json.dumps(changed))
        self._override = folder / "override.json"
        self._settings = folder / ".env"
        self._secrets = folder / ".secrets"
        self._identity = folder / "stack.json"
        if self._identity.exists():
            known = json.loads(self._identity.read_text())
        else:
            known = {
                "project": f"stroke-test-{secrets.token_hex(4)}",
                "passwords": {name: secrets.token_hex(12) for name in _PASSWORDS}
                | {name: made_key() for name in _KEYS},
                "ports": {name: free_port() for name in _PORTS},
            }
            self._identity.write_text(json.dumps(known))
        self.project: str = known["project"]
        self.passwords: dict[str, str] = known["passwords"]
        self.ports: dict[str, int] = known["ports"]
        self.is_up = False

    @cached_property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self.ports['api']}"

    @property
    def key(self) -> dict[str, str]:
        """The headers with which the API lets a client do everything."""
        return {"Authorization": f"Bearer {self.passwords['STROKE_ADMIN_KEY']}"}

    @cached_property
    def connect_url(self) -> str:
        return f"http://127.0.0.1:{self.ports['connect']}"

    @cached_property
    def registry_url(self) -> str:
        return f"http://127.0.0.1:{self.ports['registry']}"

    @cached_property
    def bootstrap_servers(self) -> str:
        return f"127.0.0.1:{self.ports['kafka']}"

    @cached_property
    def s3_endpoint(self) -> str:
        return f"http://127.0.0.1:{self.ports['s3']}"

    # --- life -----------------------------------------------------------------------------------

    def launch(self, **settings: str) -> None:
        """Bring everything up and wait until it is healthy."""
        self.prepare(**settings)
        self.up()

    def prepare(self, **settings: str) -> None:
        """Build the images and write the files that ``up`` needs."""
        self._override.write_text(json.dumps(self._overridden()))
        self.configure(**settings)

    def up(self) -> None:
        """Start what ``prepare`` made ready; returns when it is healthy."""
        self.is_up = True
        try:
            self.compose("up", "--detach", "--no-build", "--wait", "--wait-timeout", "300")
        except RuntimeError as error:
            ends = self.compose("logs", "--no-color", "--tail", "15", check=False)
            raise RuntimeError(f"{error}\n{self.redacted(ends)}") from None

    def configure(self, **settings: str) -> None:
        """Write the stack's .env; containers that are made from now on see it."""
        lines = self._defaults() | settings
        self._settings.write_text("".join(f"{name}={value}\n" for name, value in lines.items()))
        self._secret_files("--env-file", str(self._settings))

    def _take_up_secrets(self) -> None:
        """Restart what read a secret that was configured anew, as ``deploy/stack.sh up`` does."""
        if (self._secrets / ".changed").exists():
            options = ["--project-name", self.project, "--env-file", str(self._settings)]
            self._secret_files("--take-up", *options, "-f", str(self._override))

    def _secret_files(self, *options: str) -> None:
        subprocess.run(
            [str(ROOT / "deploy" / "secrets.sh"), *options],
            env=environment(STROKE_SECRETS_FOLDER=str(self._secrets)),
            capture_output=True,
            check=True,
        )

    def remove(self) -> None:
        self.compose("down", "--volumes", "--timeout", "1", check=False)
        self.is_up = False

    def compose(self, *arguments: str, check: bool = True) -> str:
        """Run ``docker compose`` on this stack; return what it printed."""
        command = ["docker", "compose", "--project-name", self.project]
        command += ["--env-file", str(self._settings), "-f", str(_COMPOSE)]
        files = [self._override, *([self._changed] if self._changed.exists() else [])]
        command += [part for file in files for part in ("-f", str(file))]
        command += arguments
        with spending("waiting") if "--wait" in arguments else nullcontext():
            done = subprocess.run(
                command, capture_output=True, text=True, check=False, env=environment()
            )
        if check and done.returncode != 0:
            raise RuntimeError(
                f"docker compose {arguments[0]} failed:\n{self.redacted(done.stderr)}"
            )
        if "up" in arguments:
            self._take_up_secrets()
        return done.stdout

    def kill(self, service: str) -> None:
        """End a service as a crash does; nothing restarts it before ``start``."""
        self.compose("kill", "--signal", "KILL", service)

    def start(self, service: str, *, wait: bool = True) -> None:
        """Start a service that was stopped or killed, and its watchdogs nothing else."""
        self.compose("start", service)
        if wait:
            self.compose("up", "--detach", "--no-build", "--no-deps", "--wait", service)

    def restart(self, service: str) -> None:
        self.compose("restart", service)

    def crashes(self, service: str) -> int:
        """Return how often the engine had to start a service again because it ended."""
        container = self.compose("ps", "--quiet", service).strip()
        done = subprocess.run(
            ["docker", "inspect", "--format", "{{.RestartCount}}", container],
            capture_output=True,
            text=True,
            check=True,
        )
        return int(done.stdout)

    def s3_fails(self, *, fails: bool) -> None:
        """Let S3 answer every request with 500, or as it should again."""
        self.compose("exec", "s3", *(("touch",) if fails else ("rm", "-f")), "/tmp/fail")  # noqa: S108

    def state_and_logs(self) -> str:
        """Return the state of the containers and the ends of their logs, to explain a failure."""
        listed = self.compose("ps", "--all", "--format", "table {{.Service}}\t{{.Status}}")
        ends = self.compose("logs", "--no-color", "--tail", "12", check=False)
        return self.redacted(f"{listed}\n{ends}")

    def logs(self, *services: str) -> str:
        return self.compose("logs", "--no-color", *services)

    def memory_bytes(self) -> dict[str, int]:
        """Return what each service's processes use now, without what the kernel can take back.

        Raises:
            UnreadError: one of them could not be read.
        """
        return {service: used.memory_bytes for service, used in self._usage().items()}

    def cpu_seconds(self) -> dict[str, float]:
        """Return the CPU time that each service's container has had since it was started.

        Raises:
            UnreadError: one of them could not be read.
        """
        return {service: used.cpu_seconds for service, used in self._usage().items()}

    def _usage(self) -> dict[str, Usage]:
        listed = self.compose("ps", "--format", "{{.Service}} {{.ID}}").splitlines()
        engine = docker.from_env()
        try:
            return {
                service: of_container(engine.api, container)
                for service, container in map(str.split, listed)
            }
        finally:
            engine.close()

    # --- the command line -----------------------------------------------------------------------

    def stroke(
        self, *arguments: str, within: float = 300, **settings: str
    ) -> subprocess.CompletedProcess[str]:
        """Run the ``stroke`` command on this machine against the stack."""
        return run_stroke(
            *arguments, folder=self._folder, within=within, settings=self.settings() | settings
        )

    def settings(self) -> dict[str, str]:
        """Return what the ``stroke`` command needs to reach the stack from outside."""
        lake = f"iceberg:{self.passwords['STROKE_LAKE_JDBC_PASSWORD']}"
        sink = f"stroke:{self.passwords['STROKE_SINK_PASSWORD']}"
        configured = dict(
            line.split("=", 1) for line in self._settings.read_text().splitlines() if line
        )
        return {
            "MYSQL_HOST": "127.0.0.1",
            "MYSQL_PORT": str(self.ports["mysql"]),
            "MYSQL_USER": "stroke",
            "MYSQL_PASSWORD": self.passwords["MYSQL_PASSWORD"],
            "STROKE_KAFKA_BOOTSTRAP_SERVERS": self.bootstrap_servers,
            "STROKE_CONNECT_URL": self.connect_url,
            "STROKE_CONNECT_FOLDER": str(ROOT / "connectors"),
            "SCHEMA_REGISTRY_URL": self.registry_url,
            "STROKE_SINK_URL": f"postgresql://{sink}@127.0.0.1:{self.ports['sink']}/{DATABASE}",
            "STROKE_LAKE_CATALOG_URI": (
                f"mysql://{lake}@127.0.0.1:{self.ports['mysql']}/iceberg_catalog"
            ),
            "STROKE_DOCTOR_API_URL": self.api_url,
            "STROKE_DOCTOR_API_KEY": self.passwords["STROKE_ADMIN_KEY"],
            **{
                f"STROKE_DOCTOR_{name}_METRICS_URL": f"http://127.0.0.1:{self.ports[port]}/metrics"
                for name, port in (
                    ("BROKER", "broker_jmx"),
                    ("CONNECT", "jmx"),
                    ("WATCH", "watch"),
                    ("VERIFY", "verify"),
                )
            },
            "STROKE_LAKE_ENDPOINT": self.s3_endpoint,
            "STROKE_LAKE_PATH_STYLE": "true",
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
        } | {
            name: configured[name]
            for name in (
                "STROKE_CDC_HEARTBEAT_SECONDS",
                "STROKE_CDC_MASK",
                "STROKE_CDC_MASK_SALT",
                "STROKE_LAKE_COMMIT_SECONDS",
            )
            if name in configured
        }

    # --- the two databases ----------------------------------------------------------------------

    def mysql(self, statement: str, *values: object, database: str = DATABASE) -> list[Any]:
        """Run one statement as root on MySQL; return its rows."""

        async def run() -> list[Any]:
            connection = await asyncmy.connect(
                host="127.0.0.1",
                port=self.ports["mysql"],
                user="root",
                password=self.passwords["MYSQL_ROOT_PASSWORD"],
                db=database,
                connect_timeout=5,
                autocommit=True,
            )
            try:
                async with connection.cursor() as cursor:
                    await cursor.execute(statement, values)
                    return list(await cursor.fetchall())
            finally:
                connection.close()

        return _run(run())

    def sink(self, statement: str, *values: object) -> list[Any]:
        """Run one statement on the SQL sink's database; return its rows."""

        async def run() -> list[Any]:
            connection = await asyncpg.connect(
                host="127.0.0.1",
                port=self.ports["sink"],
                user="stroke",
                password=self.passwords["STROKE_SINK_PASSWORD"],
                database=DATABASE,
                timeout=10,
            )
            try:
                return [tuple(row) for row in await connection.fetch(statement, *values)]
            finally:
                await connection.close()

        return _run(run())

    # --- how it is put together -----------------------------------------------------------------

    def _defaults(self) -> dict[str, str]:
        sink = self.passwords["STROKE_SINK_PASSWORD"]
        return {
            **self.passwords,
            **{f"STROKE_PORT_{_PORTS[name]}": str(port) for name, port in self.ports.items()},
            **_images(),
            "COMPOSE_PROFILES": "local",
            "STROKE_SECRETS_FOLDER": str(self._secrets),
            "STROKE_SINK_JDBC_URL": (
                f"jdbc:postgresql://sql-sink:5432/{DATABASE}"
                "?stringtype=unspecified&logServerErrorDetail=false"
            ),
            "STROKE_SINK_USER": "stroke",
            "STROKE_SINK_URL": f"postgresql://stroke:{sink}@sql-sink:5432/{DATABASE}",
            "S3_BUCKET": BUCKET,
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "STROKE_LAKE_ENDPOINT": "http://s3:5000",
            "STROKE_LAKE_PATH_STYLE": "true",
            # Not what production wants, but a test need not wait.
            "STROKE_LAKE_COMMIT_SECONDS": "3",
            "STROKE_CDC_HEARTBEAT_SECONDS": "1",
        }

    def _overridden(self) -> dict[str, Any]:
        """Label all, so that test.sh finds what a killed run left; what is killed stays down."""
        services = [
            "mysql",
            "kafka",
            "schema-registry",
            "connect",
            "api",
            "connectors",
            "verify",
            "s3",
            "sql-sink",
            "spark-master",
            "spark-worker",
            "jupyter",
            "performance",
            "prometheus",
            "alertmanager",
            "grafana",
        ]
        made: dict[str, Any] = {name: {"labels": LABELS, "restart": "no"} for name in services}
        # A failed task must be healed by the watcher, which must itself survive; a registry that
        # hangs ends itself.
        for name in ("connectors", "verify", "schema-registry"):
            made[name]["restart"] = "unless-stopped"
        for name in ("kafka", "schema-registry", "connect"):
            made[name]["environment"] = {"JAVA_TOOL_OPTIONS": SHORT_LIVED_JVM}
        return {
            "services": made,
            "networks": {name: {"labels": LABELS} for name in ("app-network", "spark-network")},
            "volumes": {name: {"labels": LABELS} for name in _VOLUMES},
        }

    def redacted(self, text: str) -> str:
        """Return what a part printed, its end, without passwords."""
        for password in self.passwords.values():
            text = text.replace(password, "***")
        return text[-12_000:]


def made_key() -> str:
    """Return an API key, as ``deploy/first-keys.sh`` makes them."""
    return f"stroke_{secrets.token_hex(8)}_{secrets.token_urlsafe(32)}"


def _images() -> dict[str, str]:
    return {
        "STROKE_MYSQL_IMAGE": mysql_image(),
        "STROKE_KAFKA_IMAGE": build_image("kafka"),
        "STROKE_REGISTRY_IMAGE": build_image("schema-registry"),
        "STROKE_API_IMAGE": build_image("api"),
        "STROKE_PIPELINE_IMAGE": build_image("api", "pipeline"),
        "STROKE_S3_IMAGE": build_image("moto"),
        "STROKE_POSTGRESQL_IMAGE": build_image("postgresql"),
        "STROKE_PROMETHEUS_IMAGE": build_image("prometheus"),
    }


def _run(work: Coroutine[Any, Any, _Result]) -> _Result:
    # On a thread of its own, so that async tests may call it, too.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()
