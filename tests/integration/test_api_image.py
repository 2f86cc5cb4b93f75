"""The service's image: what it holds, and how it starts, waits and stops."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
import urllib3

from builders.predictions import patient_json
from components.confined import CONFINED, LABEL, docker, started
from components.containers import MySqlServer, build_image, free_port
from components.load import MARK, Load, reconcile
from components.processes import upgrade_schema, wait_for

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("docker_engine")]


@pytest.fixture(scope="module")
def image(docker_engine: None) -> str:
    return build_image("api")


@pytest.fixture(scope="module", autouse=True)
def units_meanwhile(request: pytest.FixtureRequest) -> None:
    """Begin what test_shipped_python, the last of this worker's next modules, waits for."""
    if any(each.path.stem == "test_shipped_python" for each in request.session.items):
        request.getfixturevalue("units_in_image")


def in_image(image: str, script: str) -> str:
    return docker("run", "--rm", *LABEL, *CONFINED, "--entrypoint=sh", image, "-c", script)


def test_the_image_runs_as_a_number_that_is_not_root(image: str) -> None:
    user = json.loads(docker("inspect", "-f", "{{json .Config.User}}", image))

    assert user == "10001:10001"
    assert in_image(image, "id -u") == "10001"


def test_the_image_holds_no_compiler_no_pip_and_no_training_library(image: str) -> None:
    tools = "gcc cc c++ make pip pip3 curl wget git"
    libraries = "sklearn skl2onnx onnx pytest hatchling"

    assert in_image(image, f"for t in {tools}; do command -v $t; done; true") == ""
    for library in libraries.split():
        assert in_image(image, f"python -c 'import {library}' 2> /dev/null || echo none") == "none"


def test_the_image_is_of_debians_python_and_all_of_its_packages_agree(image: str) -> None:
    assert in_image(image, "python --version").startswith("Python 3.13.")
    assert in_image(image, "stroke --version").startswith("stroke ")


def test_with_nothing_set_it_turns_healthy_and_keeps_predictions_in_a_file(image: str) -> None:
    port = free_port()
    with started(image, f"--publish=127.0.0.1:{port}:8000", STROKE_INSECURE="true") as container:
        container.wait_until_healthy()
        root = httpx.get(f"http://127.0.0.1:{port}/", timeout=10).json()
        docs = httpx.get(f"http://127.0.0.1:{port}/docs", timeout=10)
        code = container.stop()

    assert root == {"message": "Stroke Prediction API"}
    assert docs.status_code == 200
    assert code == 0


async def test_it_waits_for_mysql_and_drains_on_sigterm(
    image: str,
    own_mysql: Callable[[], MySqlServer],
    tmp_path: Path,
    figures: Callable[[str], None],
) -> None:
    server = await asyncio.to_thread(own_mysql)
    database = server.new_database()
    upgrade_schema(database, tmp_path)
    server.stop()
    port = str(free_port())
    url = f"http://127.0.0.1:{port}"
    with started(
        image,
        "--network=host",
        STROKE_HTTP_PORT=port,
        STROKE_DATABASE_URL=database,
        STROKE_INSECURE="true",
    ) as container:
        await asyncio.sleep(5)
        assert container.health != "healthy", "there is no database to be ready for"
        assert container.state["Running"], container.log
        server.start()
        waited = await asyncio.to_thread(wait_for, f"{url}/health/ready")
        await asyncio.to_thread(container.wait_until_healthy)

        load = Load(url)
        async with load.running():
            await load.until(more=300)
            code = await asyncio.to_thread(container.stop)
            load.stopping = True
        log = container.log

    result = reconcile(load, server, database)
    figures(
        f"image: ready {waited:.1f} s after MySQL; SIGTERM under load: {result}; exit code {code}"
    )
    assert code == 0
    # Drained: whatever was stored was also answered, and whatever was answered is stored.
    assert (result.lost, result.changed, result.twice) == ([], [], [])
    assert result.unacknowledged == 0
    assert MARK not in log


def test_no_patient_reaches_the_log_of_a_request_that_is_refused(image: str) -> None:
    port = free_port()
    with started(image, f"--publish=127.0.0.1:{port}:8000", STROKE_INSECURE="true") as container:
        container.wait_until_healthy()
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10) as http:
            answers = [
                http.post("/predict", json={"name": MARK, "age": MARK}),
                http.post("/predict", content=f'{{"name": "{MARK}"'),
                http.get(f"/predictions/{MARK}"),
            ]
        log = container.log

    assert [answer.status_code >= 400 for answer in answers] == [True] * 3
    assert MARK not in log


# Keeps the most memory of processes that was seen: of control groups version 2, or version 1.
WATCH_ANON = """
cd /sys/fs/cgroup; stat=memory.stat; kind=anon; most=0
[ -e $stat ] || { stat=memory/memory.stat; kind=total_rss; }
while sleep 0.05; do
  while read -r name value; do
    if [ $name = $kind ] && [ $value -gt $most ]; then most=$value; fi
  done < $stat
  echo $most > /tmp/next && mv /tmp/next /tmp/anon
done
"""


@pytest.mark.parametrize(
    "batches",
    [8, pytest.param(64, marks=pytest.mark.soak("three rounds of 64 batches of 10,000 rows"))],
)
def test_the_largest_batches_at_once_stay_within_the_memory_of_the_platform(
    image: str, batches: int, figures: Callable[[str], None]
) -> None:
    port = free_port()
    rows = [patient_json(name=f"Patient {number}") for number in range(10_000)]
    body = json.dumps({"patients": rows}).encode()
    headers = {"Content-Type": "application/json"}
    memory = ["--memory=384m", "--memory-swap=384m"]  # the API's limit in deploy/compose.yaml
    with (
        started(
            image, f"--publish=127.0.0.1:{port}:8000", *memory, STROKE_INSECURE="true"
        ) as container,
        urllib3.connection_from_url(
            f"http://127.0.0.1:{port}", maxsize=batches, timeout=120, retries=False
        ) as service,
        ThreadPoolExecutor(batches) as callers,
    ):
        container.wait_until_healthy()
        container.execute("sh", "-c", f"({WATCH_ANON}) > /dev/null 2>&1 &")

        def post(_: int) -> urllib3.BaseHTTPResponse:
            return service.request("POST", "/api/v1/predictions:batch", body=body, headers=headers)

        answers = [
            answer
            for _ in range(3 if batches == 64 else 1)
            for answer in callers.map(post, range(batches))
        ]
        health = service.request("GET", "/health/ready").status
        # Where the engine's host has it: version 2 of control groups, or version 1.
        files = "memory.peak memory/memory.max_usage_in_bytes"
        peak = container.execute("sh", "-c", f"cd /sys/fs/cgroup; cat {files} 2> /dev/null; true")
        own = int(container.execute("sh", "-c", "cat /tmp/anon"))
        state = container.state
    statuses = Counter(answer.status for answer in answers)
    figures(
        f"image: {batches} batches of 10,000 at once: {dict(statuses)}; the process's own memory "
        f"{own >> 20} MiB at its highest, with the kernel's cache of files {int(peak) >> 20} MiB"
    )
    assert statuses[200] > 0
    assert statuses.keys() <= {200, 503}
    assert all(a.headers["Retry-After"] for a in answers if a.status == 503)
    assert health == 200
    assert (state["Running"], state["OOMKilled"]) == (True, False)
    # What the kernel cannot give up. The cache of the SQLite file fills whatever is left.
    assert 50 << 20 < own <= 300 << 20
