"""Fixtures that start real components."""

from __future__ import annotations

import os
import secrets
import subprocess
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import docker
import pytest
from sqlalchemy import URL, make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from components.confined import LABEL
from components.containers import (
    ROOT,
    MySqlServer,
    PostgreSqlServer,
    build_image,
    mysql_image,
)
from components.databases import migrated_engine
from components.helm_chart import Chart
from components.object_store import ObjectStore
from components.processes import RunStroke, run_stroke
from components.stack import PipelineStack
from runner import seconds, workers
from runner.examples import BRIEF
from runner.seconds import spending
from stroke.adapters.iceberg.catalog import Lake

_PLATFORM = pytest.StashKey[PipelineStack]()
# They test the tests themselves, of which the image ships nothing.
_OF_TESTS = ("test_areas.py", "test_ports.py", "components")
# While writing tests: names a folder whose stack is left running.
_KEPT = os.environ.get("STROKE_TEST_STACK")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show, of a failure on the platform, how its parts fare: they are removed at the end."""
    report = yield
    stack = getattr(item, "funcargs", {}).get("pipeline")
    if report.failed and isinstance(stack, PipelineStack):
        report.sections.append(("the platform", stack.state_and_logs()))
    return report


@pytest.fixture(scope="session")
def docker_engine() -> None:
    """Fail, saying what to do, where no Docker engine answers."""
    try:
        engine = docker.from_env()
        engine.ping()
        engine.close()
    except docker.errors.DockerException:
        pytest.fail(
            "this test needs a Docker engine: deploy/images/ensure-docker.sh installs one on Debian"
        )


@pytest.fixture(scope="session")
def mysql(docker_engine: None) -> Iterator[MySqlServer]:
    """Share one server: take a ``new_database()`` from it, and neither stop nor kill it."""
    server = MySqlServer(mysql_image())
    server.launch()
    yield server
    server.remove()


@pytest.fixture
async def sqlite_engine(tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    url = URL.create("sqlite+aiosqlite", database=str(tmp_path / "stroke.db"))
    async with migrated_engine(url) as engine:
        yield engine


@pytest.fixture
async def mysql_engine(mysql: MySqlServer) -> AsyncIterator[AsyncEngine]:
    async with migrated_engine(make_url(mysql.new_database())) as engine:
        yield engine


@pytest.fixture(params=["sqlite_engine", "mysql_engine"])
def engine(request: pytest.FixtureRequest) -> AsyncEngine:
    """Give an engine for each database, with the newest schema."""
    found: AsyncEngine = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="session")
def empty_database(request: pytest.FixtureRequest) -> Callable[[str, Path], URL]:
    """Return what makes an empty database of the service: of ``sqlite``, or of ``mysql``."""

    def made(kind: str, folder: Path) -> URL:
        if kind == "sqlite":
            return URL.create("sqlite+aiosqlite", database=str(folder / "stroke.db"))
        server: MySqlServer = request.getfixturevalue("mysql")
        return make_url(server.new_database())

    return made


@pytest.fixture(params=["sqlite", "mysql"])
def url(
    request: pytest.FixtureRequest, tmp_path: Path, empty_database: Callable[[str, Path], URL]
) -> URL:
    """Return an empty database of the service, on SQLite and on MySQL."""
    return empty_database(request.param, tmp_path)


@pytest.fixture(scope="session")
def postgresql(docker_engine: None) -> Iterator[PostgreSqlServer]:
    """Share one server: take a ``new_database()`` from it, and do not stop it."""
    server = PostgreSqlServer()
    server.launch()
    yield server
    server.remove()


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """Share one server: take a ``new_bucket()`` from it."""
    with ObjectStore(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def catalog(s3: ObjectStore, mysql: MySqlServer) -> dict[str, Any]:
    """A catalog of the test's own in MySQL, and a bucket."""
    return s3.new_catalog(mysql.new_database().replace("+asyncmy", ""))


@pytest.fixture
def lake(catalog: dict[str, Any]) -> Iterator[Lake]:
    lake = Lake("jdbc", **catalog)
    yield lake
    lake.catalog.close()


@pytest.fixture
def lake_settings(catalog: dict[str, Any]) -> dict[str, str]:
    """Return what the ``stroke`` command needs to find ``lake``."""
    return {
        "STROKE_LAKE_CATALOG_URI": catalog["uri"],
        "STROKE_LAKE_BUCKET": catalog["warehouse"].split("/")[2],
        "STROKE_LAKE_ENDPOINT": catalog["endpoint"],
        "STROKE_LAKE_PATH_STYLE": "true",
        "STROKE_LAKE_ACCESS_KEY_ID": "local",
        "STROKE_LAKE_SECRET_ACCESS_KEY": "local",
    }


@pytest.fixture
def run_on_lake(lake_settings: dict[str, str], tmp_path: Path) -> RunStroke:
    """Give the ``stroke`` command, run in the test's folder, with ``lake``'s settings."""

    def run(*arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
        settings = lake_settings | changes
        return run_stroke(*arguments, folder=tmp_path, within=120, settings=settings)

    return run


@pytest.fixture
def own_mysql(docker_engine: None) -> Iterator[Callable[[], MySqlServer]]:
    """Start a server of the test's own, to stop and to kill."""
    with ExitStack() as servers:

        def launch() -> MySqlServer:
            server = MySqlServer(mysql_image())
            server.launch()
            servers.callback(server.remove)
            return server

        yield launch


@pytest.fixture(scope="session")
def units_in_image(
    docker_engine: None, request: pytest.FixtureRequest
) -> Iterator[subprocess.Popen[str]]:
    """Have the unit tests run in the image that is shipped, beside tests that wait.

    See ``BESIDE_UNITS`` in tests/runner/workers.py.
    """
    tests = build_image("api", "test")
    # The gate draws the properties in full on the development's Python, the soak here, too.
    brief = request.config.getoption("--soak") is None
    profile = [f"--hypothesis-profile={BRIEF}"] if brief else ["--soak=unit"]
    left_out = [f"--ignore=tests/unit/{each}" for each in _OF_TESTS]
    name = f"stroke-units-{secrets.token_hex(4)}"
    # --init: pytest as the first process would leave orphans that have ended in the table.
    options = ["--rm", "--init", f"--name={name}", "--read-only", "--tmpfs=/tmp", *LABEL]
    with subprocess.Popen(
        ["docker", "run", *options, tests, "tests/unit", "-q", *profile, *left_out],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as running:
        yield running
        if running.poll() is None:  # nobody waited for it: the run was broken off
            subprocess.run(["docker", "rm", "--force", name], capture_output=True, check=False)


@pytest.fixture(scope="session")
def chart(tmp_path_factory: pytest.TempPathFactory) -> Chart:
    """Return the Helm chart; Helm's packages are built for it once, which takes minutes."""
    with spending("builds"):
        helm = subprocess.run(
            [ROOT / "deploy/helm/ensure-helm.sh"], stdout=subprocess.PIPE, text=True, check=True
        )
    return Chart(helm.stdout.strip(), tmp_path_factory.mktemp("values"))


@pytest.fixture(scope="session")
def platform_begun(
    docker_engine: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[PipelineStack, Future[None]]]:
    """Have the platform start beside tests: see ``BESIDE_PLATFORM`` in tests/runner/workers.py."""
    folder = Path(_KEPT) if _KEPT else tmp_path_factory.mktemp("pipeline")
    folder.mkdir(parents=True, exist_ok=True)
    stack = PipelineStack(folder)

    def start() -> None:
        with seconds.aside():
            try:
                stack.up()
            except BaseException:
                if not _KEPT:
                    stack.remove()
                raise

    try:
        stack.prepare()
        with ThreadPoolExecutor(1) as beside:
            yield stack, beside.submit(start)
    finally:
        if not _KEPT:
            stack.remove()


@pytest.fixture(scope="session")
def platform(
    platform_begun: tuple[PipelineStack, Future[None]], request: pytest.FixtureRequest
) -> PipelineStack:
    """Have a platform that tests share by ``pipeline``."""
    stack, starting = platform_begun
    with spending("waiting"):
        starting.result()
    if not _KEPT:
        request.config.stash[_PLATFORM] = stack
    return stack


@pytest.fixture(scope="module")
def pipeline(platform: PipelineStack) -> PipelineStack:
    """Share the whole platform. A test that breaks a part of it mends it, and checks that.

    The modules called test_pipeline_with_... leave many rows, or another Kafka (see
    tests/runner/workers.py).
    """
    if not platform.is_up:
        platform.launch()
    return platform


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(
    item: pytest.Item, nextitem: pytest.Item | None
) -> Generator[None, None, None]:
    """End the platform after the tests that want it: it takes nearly half a core, idle."""
    yield
    stack = item.config.stash.get(_PLATFORM, None)
    if stack is not None and stack.is_up:
        following = None if nextitem is None else workers.scope_of(nextitem.path, item.config)
        if following != workers.scope_of(item.path, item.config):
            stack.remove()
