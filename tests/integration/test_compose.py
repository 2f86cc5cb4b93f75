"""`make up`, `make doctor`, `make upgrade`, `make down`: the platform in an operator's hands."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from builders.predictions import patient_json
from components.host_stack import HostStack
from components.operations_page import PAGE
from components.readme import Command, commands
from stroke.adapters.sql import schema
from stroke.adapters.sql.tables import COLUMNS

pytestmark = pytest.mark.soak("a second platform: upgrades, backups and crashes of every container")

USUAL_URL = "http://127.0.0.1:8000"
EVERY_ROW = f"SELECT COUNT(*), SUM(CRC32(CONCAT_WS('|', {', '.join(COLUMNS)}))) FROM predictions"  # noqa: S608
IN_CONNECTORS = ["deploy/stack.sh", "exec", "-T", "connectors"]
VERIFY = [*IN_CONNECTORS, "stroke", "pipeline", "verify", "--timeout", "180"]
STATELESS = ["api", "connectors", "verify", "schema-registry"]
STATEFUL = ["sql-sink", "s3", "mysql", "kafka", "connect"]


@pytest.fixture(scope="module")
def host(docker_engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostStack]:
    stack = HostStack(tmp_path_factory.mktemp("host"))
    try:
        stack.build_images()
        stack.run("make", "up")
        yield stack
    finally:
        stack.remove()


def predict(host: HostStack, count: int) -> None:
    body = {"patients": [patient_json(age=20.0 + n) for n in range(count)]}
    answer = httpx.post(f"{host.api_url}/api/v1/predictions:batch", json=body, timeout=30)
    assert answer.status_code == 200


def assert_well(host: HostStack) -> None:
    said = host.run("make", "doctor")
    assert "canary gone from the lake" in said
    assert "failed" not in said


def test_a_stop_and_a_start_keep_the_data(host: HostStack) -> None:
    predict(host, 20)
    before = host.mysql(EVERY_ROW)

    host.run("make", "down")
    assert host.containers() == {}
    host.run("make", "up")

    assert host.mysql(EVERY_ROW) == before


def test_an_upgrade_whose_api_cannot_start_leaves_the_old_one_serving(host: HostStack) -> None:
    before = host.containers()["api"]["Id"]

    said = host.run("make", "upgrade", fails=True, SAVED_MODEL="no-such-model")

    assert "the new API does not become ready" in said
    assert "To go back: check the old version out, then deploy/stack.sh up" in said
    assert host.containers().keys() == {*STATELESS, *STATEFUL}
    assert host.containers()["api"]["Id"] == before
    assert httpx.get(f"{host.api_url}/health/ready").status_code == 200


def test_an_upgrade_migrates_the_schema_of_the_version_before_and_keeps_its_rows(
    host: HostStack,
) -> None:
    predict(host, 20)
    before, image = host.mysql(EVERY_ROW), host.containers()["api"]["Config"]["Image"]
    host.run("deploy/stack.sh", "exec", "-T", "api", "stroke", "db", "downgrade", "0002", "--yes")
    # Whatever is in the image makes it another; this part of it is quick to build.
    part = host.folder / "deploy" / "images" / "api" / "healthcheck.py"
    part.write_text(f"{part.read_text()}# another version\n")

    planned = host.run("deploy/upgrade.sh", "--dry-run")
    assert f"api: {image} -> stroke-api:" in planned
    assert f"schema: 0002 -> {schema.head()}" in planned
    assert host.mysql("SELECT version_num FROM stroke_alembic_version").strip() == "0002"

    said = host.run("make", "upgrade")

    assert host.mysql("SELECT version_num FROM stroke_alembic_version").strip() == schema.head()
    assert host.mysql(EVERY_ROW) == before
    assert host.containers()["api"]["Config"]["Image"] != image
    assert "3 connectors run" in said
    assert "failed" not in said


def test_the_blocks_of_the_operations_page_do_what_they_say(host: HostStack) -> None:
    blocks = [block for block in commands(PAGE) if block.not_run is None]
    assert len(blocks) > 10

    def run(block: Command) -> None:
        host.run("bash", "-euo", "pipefail", "-c", block.text.replace(USUAL_URL, host.api_url))

    # `exec connectors` would choose the container of `make doctor`, as long as there is that one.
    doctors = [block for block in blocks if "doctor" in block.text.split()]
    for doctor in doctors:
        run(doctor)
    with ThreadPoolExecutor(2) as terminals:
        list(terminals.map(run, [block for block in blocks if block not in doctors]))


def test_a_lost_database_comes_back_from_its_backup_and_the_copies_agree(
    host: HostStack, tmp_path: Path
) -> None:
    predict(host, 20)
    host.run(*VERIFY)
    before = host.mysql(EVERY_ROW)
    host.run("deploy/backup/mysql-backup.sh", "--target", str(tmp_path))

    host.lose("mysql", "mysql-data")
    host.run("deploy/stack.sh", "stop", "api", "connectors", "connect", "verify")
    host.run("deploy/stack.sh", "up", "mysql")
    restore = ["deploy/backup/mysql-restore.sh", "--target", str(tmp_path), "--replace", "--yes"]
    assert "as history" in host.run(*restore)
    host.run("deploy/stack.sh", "up")

    assert host.mysql(EVERY_ROW) == before
    host.run(*VERIFY)
    predict(host, 20)
    host.run(*VERIFY)


def test_every_container_that_crashes_comes_back_and_the_doctor_finds_all_well(
    host: HostStack,
) -> None:
    before = host.mysql(EVERY_ROW)
    assert host.containers().keys() == {*STATELESS, *STATEFUL}

    host.crash(*STATELESS)
    assert_well(host)
    host.crash(*STATEFUL)
    assert_well(host)

    assert host.mysql(EVERY_ROW) == before
