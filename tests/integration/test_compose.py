"""`make up`, `make doctor`, `make upgrade`, `make down`: the platform in an operator's hands."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from secrets import token_hex

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
COLUMNS_NOW = (
    "SELECT column_name FROM information_schema.columns"
    " WHERE table_schema = DATABASE() AND table_name = 'predictions'"
)
IN_CONNECTORS = ["deploy/stack.sh", "exec", "-T", "connectors"]
VERIFY = [*IN_CONNECTORS, "stroke", "pipeline", "verify", "--timeout", "180"]


def every_row(columns: Iterable[str]) -> str:
    """Return a query for the number of rows, and a sum over these columns of all of them."""
    return f"SELECT COUNT(*), SUM(CRC32(CONCAT_WS('|', {', '.join(columns)}))) FROM predictions"  # noqa: S608


EVERY_ROW = every_row(COLUMNS)
SECRET = re.compile("PASSWORD|SECRET|TOKEN")
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
    answer = httpx.post(
        f"{host.api_url}/api/v1/predictions:batch", json=body, headers=host.key, timeout=30
    )
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


def assert_rights_by_table_only(host: HostStack) -> None:
    rights = host.mysql("SHOW GRANTS FOR 'stroke'@'%'")
    assert "GRANT USAGE ON *.*" in rights
    assert "`stroke_predictions`.`predictions`" in rights
    assert "SELECT, INSERT ON `stroke_predictions`.`audit`" in rights
    assert ".* TO" not in rights.replace("*.* TO", "")
    assert "TRIGGER" in host.mysql("SHOW GRANTS FOR 'stroke_schema'@'%'")


def test_the_service_s_account_of_a_new_platform_has_rights_by_table_only(host: HostStack) -> None:
    assert_rights_by_table_only(host)
    predict(host, 1)


def test_a_platform_as_of_before_goes_on_until_its_operator_takes_the_three_steps(
    host: HostStack,
) -> None:
    host.mysql(
        r"GRANT ALL ON `stroke\_predictions`.* TO 'stroke'@'%'; DROP USER 'stroke_schema'@'%'"
    )
    host.configure(STROKE_SCHEMA_PASSWORD="")
    host.run("make", "down")
    host.run("make", "up")
    predict(host, 1)
    assert "GRANT ALL" in host.mysql("SHOW GRANTS FOR 'stroke'@'%'")

    [steps] = [block for block in commands(PAGE) if "20-service.sh" in block.text]
    host.configure(STROKE_SCHEMA_PASSWORD=token_hex(16))
    host.run("bash", "-euo", "pipefail", "-c", steps.text)

    assert_rights_by_table_only(host)
    host.run("make", "down")  # no connection is left that has the right of before
    host.run("make", "up")
    predict(host, 1)
    assert_well(host)


def test_no_container_that_runs_may_do_more_than_the_least(host: HostStack) -> None:
    """tests/integration/test_hardening.py reads the compose files; this is the result."""
    secrets = {value for name, value in host.settings().items() if SECRET.search(name)}
    secrets = {value for value in secrets if len(value) == 32}  # as `make env` makes them
    assert len(secrets) == 9
    secrets |= {host.settings()[name] for name in ("STROKE_ADMIN_KEY", "STROKE_METRICS_KEY")}
    assert len(secrets) == 11
    for service, found in host.containers().items():
        limits = found["HostConfig"]
        assert limits["CapDrop"] == ["ALL"], service
        assert not limits["CapAdd"], service
        assert limits["ReadonlyRootfs"] is True, service
        assert 0 < limits["PidsLimit"] <= 4096, service
        status = host.run("docker", "exec", found["Id"], "cat", "/proc/1/status")
        # No capability, none to gain, and not root.
        assert set(re.findall(r"^Cap(?:Eff|Prm|Bnd):\t(\w+)$", status, re.MULTILINE)) == {"0" * 16}
        assert re.search(r"^NoNewPrivs:\t1$", status, re.MULTILINE), service
        assert re.search(r"^Uid:\t(?!0\t)", status, re.MULTILINE), service
        unnamed = [
            one for one in found["Mounts"] if re.fullmatch("[0-9a-f]{64}", one.get("Name", ""))
        ]
        assert unnamed == [], service
        shown = json.dumps(found) + host.run("docker", "top", found["Id"], "-eo", "pid,args")
        assert not [secret for secret in secrets if secret in shown], service
        image = host.run("docker", "history", "--no-trunc", found["Image"])
        assert not [secret for secret in secrets if secret in image], service


def test_passwords_are_rotated_under_load_and_no_request_is_refused(host: HostStack) -> None:
    before = host.settings()
    names = [
        "MYSQL_PASSWORD",
        "STROKE_CDC_PASSWORD",
        "STROKE_LAKE_JDBC_PASSWORD",
        "STROKE_SCHEMA_PASSWORD",
    ]
    answers: list[int | str] = []
    ends = threading.Event()
    key = host.key

    def ask() -> None:
        body = {"patients": [patient_json(age=50.0)]}
        while not ends.is_set():
            try:
                # A connection of its own, so that one that breaks is seen.
                with httpx.Client(headers=key, timeout=30) as client:
                    answer = client.post(f"{host.api_url}/api/v1/predictions:batch", json=body)
                answers.append(answer.status_code)
            except httpx.HTTPError as error:
                answers.append(type(error).__name__)

    with ThreadPoolExecutor(4) as clients:
        asked = [clients.submit(ask) for _ in range(4)]
        try:
            said = host.run("deploy/rotate-passwords.sh")
        finally:
            ends.set()
        for each in asked:
            each.result()

    refused = [one for one in answers if one != 200]
    assert refused == []
    assert len(answers) > 100
    after = host.settings()
    assert {name for name in after if after[name] != before[name]} == set(names)
    assert "failed" not in said
    assert not [
        secret
        for secret in (*before.values(), *after.values())
        if len(secret) == 32 and secret in said
    ]
    for name, user in zip(names, ("stroke", "debezium", "iceberg", "stroke_schema"), strict=True):
        assert host.logs_in(user, after[name])
        assert not host.logs_in(user, before[name])
    host.run(*VERIFY)


def test_a_password_that_is_changed_by_hand_reaches_what_runs(host: HostStack) -> None:
    started = {name: one["State"]["StartedAt"] for name, one in host.containers().items()}
    key = "another-key-of-the-stand-in"

    host.configure(AWS_SECRET_ACCESS_KEY=key)
    host.run("make", "up")

    now = {name: one["State"]["StartedAt"] for name, one in host.containers().items()}
    restarted = {name for name in now if now[name] != started[name]}
    assert restarted == {"connect", "connectors", "verify"}
    assert_well(host)


def test_what_can_start_starts_where_one_image_cannot_be_had(host: HostStack) -> None:
    missing = "no.registry.invalid/grafana:1"
    host.configure(COMPOSE_PROFILES="local,monitoring", STROKE_GRAFANA_IMAGE=missing)

    said = host.run("make", "up", fails=True)

    assert f"grafana does not start: its image {missing} is not here and cannot be pulled" in said
    assert "STROKE_GRAFANA_IMAGE in deploy/.env" in said
    assert "the rest runs; without: grafana" in said
    monitoring = {"prometheus", "alertmanager", "performance"}
    assert host.containers().keys() == {*STATELESS, *STATEFUL, *monitoring}


def test_a_profile_that_is_taken_out_leaves_no_container_running(host: HostStack) -> None:
    host.configure(COMPOSE_PROFILES="local")

    said = host.run("make", "up")

    assert "no profile of deploy/.env names" in said
    assert host.containers().keys() == {*STATELESS, *STATEFUL}

    host.configure(
        COMPOSE_PROFILES="local,monitoring", STROKE_GRAFANA_IMAGE="no.registry.invalid/grafana:1"
    )
    host.run("make", "up", fails=True)
    host.configure(COMPOSE_PROFILES="local")
    host.run("make", "down")
    assert host.containers() == {}
    host.run("make", "up")


def test_an_upgrade_whose_api_cannot_start_leaves_the_old_one_serving(host: HostStack) -> None:
    before = host.containers()["api"]["Id"]

    said = host.run("make", "upgrade", fails=True, SAVED_MODEL="no-such-model")

    assert "the new API does not become ready" in said
    assert "To go back: check the old version out, then deploy/stack.sh up" in said
    assert host.containers().keys() == {*STATELESS, *STATEFUL}
    assert host.containers()["api"]["Id"] == before
    assert httpx.get(f"{host.api_url}/health/ready", timeout=60).status_code == 200


def test_an_upgrade_migrates_the_schema_of_the_version_before_and_keeps_its_rows(
    host: HostStack,
) -> None:
    predict(host, 20)
    image = host.containers()["api"]["Config"]["Image"]
    host.run(
        "deploy/stack.sh",
        "exec",
        "-T",
        "api",
        "stroke",
        "db",
        "downgrade",
        "0002",
        "--yes",
        "--drop-trail",
    )
    rows = every_row(host.mysql(COLUMNS_NOW).split())  # without those that later versions added
    before = host.mysql(rows)
    host.forget("STROKE_ADMIN_KEY", "STROKE_METRICS_KEY")  # as of a version without keys
    # Whatever is in the image makes it another; this part of it is quick to build.
    part = host.folder / "deploy" / "images" / "api" / "healthcheck.py"
    part.write_text(f"{part.read_text()}# another version\n")

    planned = host.run("deploy/upgrade.sh", "--dry-run")
    assert f"api: {image} -> stroke-api:" in planned
    assert f"schema: 0002 -> {schema.head()}" in planned
    assert host.mysql("SELECT version_num FROM stroke_alembic_version").strip() == "0002"

    said = host.run("make", "upgrade")

    assert host.mysql("SELECT version_num FROM stroke_alembic_version").strip() == schema.head()
    assert host.mysql(rows) == before
    # The downgrade took columns with their values from MySQL, and from no copy.
    host.run(*IN_CONNECTORS, "stroke", "pipeline", "repair", "--yes", "--timeout", "180")
    host.run(*VERIFY)
    assert host.containers()["api"]["Config"]["Image"] != image
    assert "3 connectors run" in said
    assert "failed" not in said
    assert httpx.get(f"{host.api_url}/predictions", timeout=60).status_code == 401
    predict(host, 1)
    settings = host.settings()
    host.run("make", "env")
    assert host.settings() == settings


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
