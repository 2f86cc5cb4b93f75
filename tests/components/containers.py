"""Real databases for the tests: in containers, at their durable defaults, on ports that they keep.

Which MySQL: ``STROKE_MYSQL_IMAGE``, else the official one where it is here or can be pulled, else
the stand-in of deploy/images. PostgreSQL is always ours.
"""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import socket
import subprocess
import time
from collections.abc import Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")  # fixtures remove what they start
os.environ.setdefault("TESTCONTAINERS_CONNECTION_MODE", "docker_host")

import asyncmy
import asyncpg
import docker
from asyncmy.errors import MySQLError
from testcontainers.core.container import DockerContainer

from runner.seconds import spending

ROOT = Path(__file__).resolve().parents[2]
OFFICIAL_MYSQL = "mysql:9.7"
# test.sh removes what carries its run's label, should pytest itself be killed.
LABELS = {"stroke.test-run": os.environ.get("STROKE_TEST_RUN", "by-hand")}

_DATA = "/var/lib/mysql"
_USER = "stroke"
# What the service needs for its migrations and its work, and nothing that reaches other databases.
_PRIVILEGES = "SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX, REFERENCES"
_STARTS_WITHIN = 180.0
_PORTS_FROM = 15_000
_GIVEN_PORTS: set[int] = set()

_Result = TypeVar("_Result")


def free_port() -> int:
    """Return a port of this machine that nothing uses, never the same one twice in a run.

    It lies below those that the kernel gives to clients: a client of another test could otherwise
    be given it before what it is meant for listens on it. Each worker has ports of its own: a
    platform listens minutes after its ports were chosen.
    """
    clients_from = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    end = clients_from if clients_from > _PORTS_FROM + 1_000 else 2 * _PORTS_FROM
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % workers
    while True:
        port = random.SystemRandom().randrange(_PORTS_FROM, end)
        if port in _GIVEN_PORTS or port % workers != worker:
            continue
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("", port))
            _GIVEN_PORTS.add(port)
            return port


@cache  # one run tests one state of the code
def build_image(name: str, target: str | None = None) -> str:
    """Return the tag of the image deploy/images/NAME, built when something in it changed."""
    command = ["deploy/images/build.sh", name, *([target] if target else [])]
    with spending("builds"):
        built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if built.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed:\n{built.stderr}")
    return built.stdout.strip()


@cache
def mysql_image() -> str:
    """Return the image of MySQL to test on."""
    chosen = os.environ.get("STROKE_MYSQL_IMAGE")
    if chosen:
        return chosen
    engine = docker.from_env()
    try:
        engine.images.get(OFFICIAL_MYSQL)
    except docker.errors.ImageNotFound:
        pull = ["timeout", "300", "docker", "pull", "-q", OFFICIAL_MYSQL]
        if subprocess.run(pull, capture_output=True, check=False).returncode != 0:
            return build_image("mysql-standin")
    finally:
        engine.close()
    return OFFICIAL_MYSQL


class MySqlServer:
    """One server. Its port survives ``stop`` and ``start``, and so do its data.

    ``on_host_network`` lets it listen on 127.0.0.1 itself, for benchmarks: Docker's proxy for
    published ports takes its share of the cores under load. ``disk_mib`` gives it a disk of that
    size (in memory) for its data, which ``fill_disk`` can fill.
    """

    def __init__(
        self, image: str, *, on_host_network: bool = False, disk_mib: int | None = None
    ) -> None:
        self.port = free_port()
        self._password = secrets.token_hex(12)
        self._root_password = secrets.token_hex(12)
        self._container = DockerContainer(
            image,
            env={"MYSQL_ROOT_PASSWORD": self._root_password},
            labels=LABELS,
        )
        if disk_mib is not None:
            self._container.with_tmpfs_mount(_DATA, f"size={disk_mib}m,mode=1777")
        if on_host_network:
            self._container.with_kwargs(network_mode="host").with_command(
                f"mysqld --port={self.port} --bind-address=127.0.0.1 --mysqlx=OFF"
            )
            return
        on_loopback: Any = ("127.0.0.1", self.port)  # testcontainers' types know numbers only
        self._container.ports["3306/tcp"] = on_loopback

    def launch(self) -> None:
        """Create and start the container; returns when the server answers."""
        try:
            self._container.start()
            self._wait_until_it_answers()
            self.execute(f"CREATE USER '{_USER}'@'%%' IDENTIFIED BY '{self._password}'")
        except BaseException:
            self.remove()
            raise

    def remove(self) -> None:
        """Remove the container and its data."""
        self._container.stop()

    def stop(self) -> None:
        """Stop the server gracefully (SIGTERM, as ``docker stop``)."""
        self._container.get_wrapped_container().stop(timeout=60)

    def kill(self) -> None:
        """Kill the server (SIGKILL): what it did not write is lost."""
        self._container.get_wrapped_container().kill("SIGKILL")

    def start(self) -> None:
        """Start a stopped or killed server again, with its data and on the same port."""
        self._container.get_wrapped_container().start()
        self._wait_until_it_answers()

    def fill_disk(self) -> None:
        """Leave no byte on the disk of its data."""
        for size in ("1M", "512"):
            self._shell(f"dd if=/dev/zero bs={size} >> {_DATA}/filler 2> /dev/null; true")

    def free_disk(self) -> None:
        """Give back what ``fill_disk`` took."""
        self._shell(f"rm {_DATA}/filler")

    def _shell(self, command: str) -> None:
        code, output = self._container.exec(["sh", "-c", command])
        assert code == 0, output

    def url(self, database: str) -> str:
        """Return the SQLAlchemy URL of ``database`` for the service's least-privilege user."""
        return f"mysql+asyncmy://{_USER}:{self._password}@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """Create an empty database; return its URL (as ``url``)."""
        name = f"db_{secrets.token_hex(6)}"
        self.execute(f"CREATE DATABASE {name}")
        self.execute(f"GRANT {_PRIVILEGES} ON {name}.* TO '{_USER}'@'%%'")
        return self.url(name)

    def rows(self, url_or_database: str, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Run a query as root on a database (its name or URL); return its rows.

        May be called from async tests too: it has its own thread and event loop. Placeholders
        are ``%s``; a literal per cent sign is doubled.
        """
        database = url_or_database.rpartition("/")[2].partition("?")[0]
        return _run(self._query(statement, values, database))

    def execute(self, statement: str, *values: object) -> None:
        """Run one statement as root, without a database."""
        _run(self._query(statement, values, None))

    async def _query(
        self, statement: str, values: Sequence[object], database: str | None
    ) -> list[tuple[Any, ...]]:
        connection = await asyncmy.connect(
            host="127.0.0.1",
            port=self.port,
            user="root",
            password=self._root_password,
            db=database,
            connect_timeout=5,
            autocommit=True,
        )
        try:
            async with connection.cursor() as cursor:
                await cursor.execute(statement, tuple(values))
                return list(await cursor.fetchall())
        finally:
            connection.close()

    def count_work(self) -> None:
        """Count from here on how long processors work on each statement; ``work`` returns it."""
        self.execute(
            "UPDATE performance_schema.setup_consumers SET ENABLED = 'YES'"
            " WHERE NAME = 'events_statements_cpu'"
        )

    def work(self, url_or_database: str) -> float:
        """Return the seconds that processors worked on the statements of a database so far.

        Time in which the server waits, for a processor too, is not in it.
        """
        [(picoseconds,)] = self.rows(
            "performance_schema",
            "SELECT SUM(SUM_CPU_TIME) FROM events_statements_summary_by_digest"
            " WHERE SCHEMA_NAME = %s",
            url_or_database.rpartition("/")[2].partition("?")[0],
        )
        return float(picoseconds or 0) / 1e12

    def dump(self, url_or_database: str, table: str) -> bytes:
        """Return what mysqldump, at its defaults, writes of a table."""
        database = url_or_database.rpartition("/")[2].partition("?")[0]
        code, (dumped, said) = self._container.get_wrapped_container().exec_run(
            ["mysqldump", "-uroot", database, table],
            environment={"MYSQL_PWD": self._root_password},
            demux=True,
        )
        if code != 0:
            raise RuntimeError(f"mysqldump failed: {said.decode()}")
        return bytes(dumped)

    @spending("waiting")
    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + _STARTS_WITHIN
        while True:
            try:
                return self.execute("SELECT 1")
            except (MySQLError, OSError, asyncio.IncompleteReadError) as error:
                container = self._container.get_wrapped_container()
                container.reload()
                if container.status != "running" or time.monotonic() > deadline:
                    end = container.logs(tail=20).decode(errors="replace")
                    raise RuntimeError(f"MySQL does not answer:\n{end}") from error
                time.sleep(0.2)


class PostgreSqlServer:
    """One PostgreSQL, the SQL sink's local stand-in. Its port survives ``stop`` and ``start``."""

    def __init__(self) -> None:
        self.port = free_port()
        self._password = secrets.token_hex(12)
        self._container = DockerContainer(
            build_image("postgresql"),
            env={"POSTGRES_USER": _USER, "POSTGRES_PASSWORD": self._password},
            labels=LABELS,
        )
        on_loopback: Any = ("127.0.0.1", self.port)
        self._container.ports["5432/tcp"] = on_loopback

    def launch(self) -> None:
        """Create and start the container; returns when the server answers."""
        try:
            self._container.start()
            self._wait_until_it_answers()
        except BaseException:
            self.remove()
            raise

    def remove(self) -> None:
        """Remove the container and its data."""
        self._container.stop()

    def stop(self) -> None:
        """Stop the server gracefully."""
        self._container.get_wrapped_container().stop(timeout=60)

    def start(self) -> None:
        """Start a stopped server again, with its data and on the same port."""
        self._container.get_wrapped_container().start()
        self._wait_until_it_answers()

    def new_database(self) -> str:
        """Create an empty database; return its SQLAlchemy URL."""
        name = f"db_{secrets.token_hex(6)}"
        self.rows(self._url(_USER), f"CREATE DATABASE {name}")
        return self._url(name)

    def rows(self, url: str, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Run a statement (its parameters are $1, $2 ...) on a database; return its rows.

        May be called from async tests too: it has its own thread and event loop.
        """
        return _run(self._query(url, statement, values))

    def _url(self, database: str) -> str:
        return f"postgresql+asyncpg://{_USER}:{self._password}@127.0.0.1:{self.port}/{database}"

    async def _query(
        self, url: str, statement: str, values: Sequence[object]
    ) -> list[tuple[Any, ...]]:
        connection = await asyncpg.connect(url.replace("+asyncpg", ""), timeout=5)
        try:
            return [tuple(row) for row in await connection.fetch(statement, *values)]
        finally:
            await connection.close()

    @spending("waiting")
    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + _STARTS_WITHIN
        while True:
            try:
                self.rows(self._url(_USER), "SELECT 1")
            except (asyncpg.PostgresError, OSError) as error:
                container = self._container.get_wrapped_container()
                container.reload()
                if container.status != "running" or time.monotonic() > deadline:
                    end = container.logs(tail=20).decode(errors="replace")
                    raise RuntimeError(f"PostgreSQL does not answer:\n{end}") from error
                time.sleep(0.2)
            else:
                return


def _run(work: Coroutine[Any, Any, _Result]) -> _Result:
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()
