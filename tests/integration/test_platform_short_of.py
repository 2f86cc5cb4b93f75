"""A platform that lacks what it takes for granted: room on a disk, memory, its schemas.

Its volumes are small and in memory, so that a disk is full in a second. Each drill ends with both
copies equal to MySQL, and with the cause named by the doctor where the fault does not mend itself.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient

from components.change_events import until
from components.containers import LABELS, build_image
from components.stack import PipelineStack

from .test_pipeline import predict

pytestmark = pytest.mark.soak("drills on a platform of their own, minutes each")

WITHIN = 300.0
VOLUMES = {"kafka-data": "300m", "mysql-data": "900m", "s3-data": "64m"}
JOURNAL = "kafkasql-journal"


def small() -> dict[str, Any]:
    """Return the changes to compose: small volumes, and parts that start again as in production."""
    # What is in a volume counts here, because it is in memory.
    limits = {"kafka": "1500m", "mysql": "2200m", "s3": "600m"}
    services: dict[str, Any] = {name: {"mem_limit": limit} for name, limit in limits.items()}
    for name in ("kafka", "mysql", "connect", "s3"):
        services.setdefault(name, {})["restart"] = "unless-stopped"
    owners = {"mysql-data": ""}  # its image changes the owner itself
    return {
        "services": services,
        "volumes": {
            name: {
                "driver_opts": {
                    "type": "tmpfs",
                    "device": "tmpfs",
                    "o": f"size={size}" + owners.get(name, ",uid=10001,gid=10001"),
                }
            }
            for name, size in VOLUMES.items()
        },
    }


class Short(PipelineStack):
    """The platform on small volumes, which a container beside it holds, fills and frees."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, small())
        self._holder = f"{self.project}-holder"

    def launch(self, **settings: str) -> None:
        self.prepare(**settings)
        self.is_up = True
        self.compose("create", "--no-build")
        command = ["docker", "run", "--detach", "--name", self._holder, "--user", "0"]
        command += [f"--label={key}={value}" for key, value in LABELS.items()]
        command += [f"--volume={self.project}_{name}:/{name}" for name in VOLUMES]
        command += ["--entrypoint", "sleep", build_image("kafka"), "infinity"]
        subprocess.run(command, check=True, capture_output=True)
        self.up()

    def remove(self) -> None:
        subprocess.run(["docker", "rm", "-f", self._holder], check=False, capture_output=True)
        super().remove()

    def fill(self, volume: str) -> None:
        script = f"dd if=/dev/zero of=/{volume}/filler bs=64k; df /{volume}"
        held = subprocess.run(
            ["docker", "exec", self._holder, "sh", "-c", script],
            check=True,
            capture_output=True,
            text=True,
        )
        assert "100%" in held.stdout, held.stdout

    def free(self, volume: str) -> None:
        subprocess.run(
            ["docker", "exec", self._holder, "rm", "-f", f"/{volume}/filler"], check=True
        )


@pytest.fixture(scope="module")
def short(docker_engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Short]:
    stack = Short(tmp_path_factory.mktemp("short"))
    try:
        stack.launch()
        yield stack
    finally:
        stack.remove()


@pytest.fixture(autouse=True)
def around(short: Short) -> Iterator[None]:
    """End each drill with a platform that is well and copies that are equal."""
    yield
    became_well(short)
    equal(short)


def examined(stack: PipelineStack, *, timeout: int = 20) -> dict[str, dict[str, str]]:
    """Return what the doctor, run as documented, says of each check that is not well."""
    command = ("exec", "-T", "connectors", "stroke", "doctor", "--json", "--timeout", str(timeout))
    told = stack.compose(*command, check=False)
    if not told:
        return {"doctor": {"state": "failed", "detail": "it did not run", "remedy": ""}}
    return {
        one["check"]: one
        for one in json.loads(told)["findings"]
        if one["state"] not in {"ok", "not configured"}
    }


def became_well(stack: PipelineStack) -> None:
    found: dict[str, dict[str, str]] = {}
    deadline = time.monotonic() + WITHIN
    while time.monotonic() < deadline:
        found = examined(stack, timeout=60)
        if not found:
            return
        time.sleep(2)
    pytest.fail(f"the doctor still finds: {named(found)}")


def named(found: dict[str, dict[str, str]]) -> str:
    return "; ".join(f"{name}: {one['detail']}" for name, one in found.items())


def failing(
    stack: PipelineStack, check: str, *words: str, within: float = 180.0
) -> dict[str, dict[str, str]]:
    """Wait until the doctor names a failed check, with these words in what it says."""

    def seen() -> dict[str, dict[str, str]]:
        found = examined(stack)
        one = found.get(check, {"state": "", "detail": ""})
        said = one["state"] == "failed" and all(word in one["detail"] for word in words)
        last.append(named(found))
        return found if said else {}

    last: list[str] = []
    try:
        return until(seen, within=within, what=f"the doctor about {check}")
    except AssertionError:
        pytest.fail(f"{check} ({', '.join(words)}) was not named; last: {last[-1]}")


def equal(stack: PipelineStack) -> dict[str, Any]:
    done = stack.stroke("pipeline", "verify", "--json", "--timeout", "300", within=500)
    assert done.stdout, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    assert told["equal"], told
    assert {copy["replica"] for copy in told["replicas"]} == {"sql", "s3"}
    return told


def stored(stack: PipelineStack, ids: list[int]) -> None:
    least, most = min(ids), max(ids)
    found = stack.mysql("SELECT id FROM predictions WHERE id BETWEEN %s AND %s", least, most)
    assert set(ids) <= {number for (number,) in found}


Figures = Callable[[str], None]


def test_a_full_disk_under_s3_is_named_and_nothing_is_lost(short: Short, figures: Figures) -> None:
    short.fill("s3-data")
    try:
        ids = predict(short, 200)
        found = failing(short, "canary in the lake")
    finally:
        short.free("s3-data")

    figures(f"S3's disk full: {named(found)}")
    stored(short, ids)


def test_a_connect_out_of_memory_is_named_and_goes_on_with_more(
    short: Short, figures: Figures
) -> None:
    short.configure(STROKE_CONNECT_HEAP="56m")
    try:
        short.compose("up", "--detach", "--no-build", "--no-deps", "connect")
        ids = predict(short, 200)
        found = failing(short, "Kafka Connect")
        until(
            lambda: "OutOfMemoryError" in short.logs("connect"), within=180, what="its last words"
        )
    finally:
        short.configure()
        short.compose("up", "--detach", "--no-build", "--wait", "connect")

    figures(f"Connect out of memory: {named(found)}")
    stored(short, ids)


def test_a_registry_whose_storage_is_lost_gets_its_schemas_again(
    short: Short, figures: Figures
) -> None:
    """Every copy is up to date when it is lost: an older event needs a schema that is gone."""
    predict(short, 50)
    equal(short)
    admin = AdminClient({"bootstrap.servers": short.bootstrap_servers})
    topics = [name for name in admin.list_topics(timeout=20).topics if name.startswith("kafkasql")]
    assert JOURNAL in topics
    for gone in admin.delete_topics(topics).values():
        gone.result(30)
    short.compose("restart", "schema-registry")
    ids = predict(short, 100)
    found = examined(short)
    figures(f"registry's storage lost: {named(found) or 'the doctor finds nothing'}")

    short.compose("restart", "connect")
    stored(short, ids)
