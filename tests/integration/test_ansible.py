"""deploy/ansible on a host that is new, and what runs there: releases, restarts, backups.

One host for all, in this order: configured twice, then used. Configuring takes a minute.
"""

from __future__ import annotations

import json
import re
import secrets
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from components.containers import ROOT, build_image, mysql_image
from components.object_store import ObjectStore
from components.ssh_host import SshHost, open_ports, release, script

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.soak("a host from nothing, its restarts, backups and restores"),
]

PASSWORDS = {
    name: secrets.token_hex(12)
    for name in (
        "MYSQL_ROOT_PASSWORD",
        "MYSQL_PASSWORD",
        "STROKE_CDC_PASSWORD",
        "STROKE_LAKE_JDBC_PASSWORD",
    )
}
BUCKET = "backups-of-a-test"


@pytest.fixture(scope="module")
def host(docker_engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshHost]:
    with SshHost(tmp_path_factory.mktemp("host")) as started:
        yield started


@pytest.fixture(scope="module")
def cloud(host: SshHost, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """AWS as the host and we reach it, with the bucket, and all secrets but one."""
    with ObjectStore(tmp_path_factory.mktemp("cloud"), host.gateway) as server:
        server.files.create_dir(BUCKET)
        kept = _aws("secretsmanager", server)
        for name, password in PASSWORDS.items():
            if name != "MYSQL_PASSWORD":
                kept.create_secret(Name=f"stroke-test/env/{name}", SecretString=password)
        yield server


def _aws(service: str, cloud: ObjectStore) -> Any:
    return boto3.client(
        service,
        endpoint_url=cloud.endpoint,
        region_name="us-east-1",
        aws_access_key_id="local",
        aws_secret_access_key="local",
    )


@pytest.fixture(scope="module")
def configure(host: SshHost, cloud: ObjectStore, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Configure the host, with further options; return the recap's counts."""
    folder = tmp_path_factory.mktemp("settings")
    (folder / "settings.env").write_text(f"S3_BUCKET={BUCKET}\nSTROKE_LAKE_PATH_STYLE=true\n")
    variables = {
        "stroke_ssh_networks": [f"{host.gateway}/32"],
        "stroke_api_networks": f"{host.gateway}/32,2001:db8:7::/48",
        "stroke_monitoring_networks": [],
        "stroke_secret_id": "stroke-test/env/",
        "stroke_backup_endpoint": cloud.endpoint,
        "stroke_backup_keep_least": 1,
    }

    def run(*options: str) -> dict[str, int]:
        done = script(
            "deploy/ansible/configure.sh",
            *["--host", host.address, "--private-key", host.settings["STROKE_SSH_KEY"]],
            *["--settings", str(folder / "settings.env"), "-e", json.dumps(variables), *options],
            settings={
                **host.settings,
                "AWS_ENDPOINT_URL": cloud.endpoint,
                "AWS_DEFAULT_REGION": "us-east-1",
                "AWS_ACCESS_KEY_ID": "local",
                "AWS_SECRET_ACCESS_KEY": "local",
                # The host's own, unlike those of whoever configures it.
                "STROKE_HOST_AWS_ACCESS_KEY_ID": "of-the-host",
                "STROKE_HOST_AWS_SECRET_ACCESS_KEY": "of-the-host",
                "MYSQL_PASSWORD": PASSWORDS["MYSQL_PASSWORD"],
            },
        )
        for password in PASSWORDS.values():
            assert password not in done.stdout + done.stderr
        recap = done.stdout.rpartition("PLAY RECAP")[2]
        return {name: int(count) for name, count in re.findall(r"(\w+)=(\d+)", recap)}

    return run


@pytest.fixture(scope="module")
def configured(host: SshHost, configure: Any) -> SshHost:
    counts = configure()
    assert counts["changed"] > 20
    assert counts["failed"] == counts["unreachable"] == 0
    return host


def test_a_second_run_changes_nothing(configured: SshHost, configure: Any) -> None:
    counts = configure()

    assert counts["changed"] == counts["failed"] == counts["skipped"] == 0
    assert counts["ok"] > 30


def test_secrets_are_the_service_accounts_alone(configured: SshHost) -> None:
    settings = configured.inside.file("/etc/stroke/stroke.env")

    assert (settings.user, settings.group, settings.mode) == ("stroke", "stroke", 0o600)
    lines = dict(line.split("=", 1) for line in settings.content_string.splitlines() if "=" in line)
    for name, password in PASSWORDS.items():
        assert lines[name] == f"'{password}'"
    # All that compose insists on.
    needed = re.findall(r"\$\{([A-Z_]+):\?", (ROOT / "deploy" / "compose.yaml").read_text())
    assert set(needed) <= lines.keys()
    assert lines["AWS_ACCESS_KEY_ID"] == "'of-the-host'"
    assert lines["S3_BUCKET"] == BUCKET
    found = configured.run(
        "grep -rlE '{}' /etc /opt /usr/local /var/lib/stroke /home /root /tmp /var/tmp".format(
            "|".join(PASSWORDS.values())
        )
    )
    assert found.split() == ["/etc/stroke/stroke.env"]


def test_the_service_account_may_use_docker_and_nobody_logs_in_with_it(
    configured: SshHost,
) -> None:
    account = configured.inside.user("stroke")

    assert account.shell == "/usr/sbin/nologin"
    assert account.groups == ["stroke", "docker"]
    assert account.password == "!"
    assert configured.inside.user("admin").groups == ["admin"]


def test_units_run_and_start_at_boot(configured: SshHost) -> None:
    for name in (
        "docker.service",
        "stroke-firewall.service",
        "stroke-backup.timer",
        "prometheus-node-exporter.service",
        "apt-daily-upgrade.timer",
    ):
        unit = configured.inside.service(name)
        assert unit.is_running, name
        assert unit.is_enabled, name
    # No release is there yet: that is no failure.
    assert configured.inside.service("stroke.service").is_enabled
    assert "0 loaded units listed" in configured.run("systemctl --failed")
    assert not configured.run("systemd-analyze verify stroke.service stroke-backup.timer")


def test_logs_rotate_and_security_updates_are_installed(configured: SshHost) -> None:
    engine = json.loads(configured.run("docker info --format '{{json .}}'"))
    assert (engine["LoggingDriver"], engine["LiveRestoreEnabled"]) == ("json-file", True)
    options = json.loads(configured.inside.file("/etc/docker/daemon.json").content_string)
    assert options["log-opts"] == {"max-file": "3", "max-size": "10m"}
    assert "SystemMaxUse=500M" in configured.run("systemd-analyze cat-config systemd/journald.conf")
    effective = configured.run("apt-config dump")
    assert 'APT::Periodic::Unattended-Upgrade "1";' in effective
    assert 'Unattended-Upgrade::Automatic-Reboot "false";' in effective


# --- releases -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def images() -> dict[str, str]:
    return {"STROKE_MYSQL_IMAGE": mysql_image(), "STROKE_API_IMAGE": build_image("ssh-host")}


@pytest.fixture(scope="module")
def deployed(
    configured: SshHost, images: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> SshHost:
    """The host, with the release ``one`` installed by the stage that Jenkins calls."""
    serves = ["python3", "-m", "http.server", "8000", "--directory", "/var/empty"]
    folder = release(
        tmp_path_factory.mktemp("one") / "release",
        api_command=["sh", "-c", f"mkdir -p /var/empty && exec {' '.join(serves)}"],
        images=images,
    )
    _deploy(configured, "one", folder)
    return configured


def _deploy(
    host: SshHost, name: str, folder: Path, *, check: bool = True
) -> subprocess.CompletedProcess[str]:
    return script(
        "deploy/jenkins/stages/deploy.sh",
        *["--host", host.address, "--release", name, "--from", str(folder)],
        *["--compose", str(folder)],
        settings=host.settings,
        check=check,
    )


def test_a_release_runs_under_the_unit(deployed: SshHost, images: dict[str, str]) -> None:
    assert deployed.run("stroke-release current").strip() == "one"
    assert deployed.inside.service("stroke.service").is_running
    running = deployed.run("docker ps --format '{{.Image}}'").split()
    assert sorted(running) == sorted(images.values())


def test_the_firewall_lets_in_who_is_named_and_nobody_else(deployed: SshHost) -> None:
    # From a container beside the host: its address is in no list; ours, the gateway's, is in two.
    stranger = ["docker", "run", "--rm", "--entrypoint", "python3", build_image("ssh-host"), "-c"]
    assert open_ports(["python3", "-c"], deployed.address) == ["22", "8000"]
    assert open_ports(stranger, deployed.address) == []

    deployed.run("systemctl stop stroke-firewall")
    try:
        # Without it Docker lets everybody through to a published port.
        assert open_ports(stranger, deployed.address) == ["22", "8000", "9100"]
    finally:
        deployed.run("systemctl start stroke-firewall")


def test_a_release_that_does_not_become_healthy_is_taken_back(
    deployed: SshHost, images: dict[str, str], tmp_path: Path
) -> None:
    broken = release(tmp_path / "release", api_command=["false"], images=images)
    failed = _deploy(deployed, "two", broken, check=False)
    assert failed.returncode != 0
    assert "stroke-release rollback goes back" in failed.stderr
    assert deployed.run("stroke-release current").strip() == "two"

    back = ["deploy/jenkins/stages/rollback.sh", "--host", deployed.address, "--release", "two"]
    assert "back to one from two" in script(*back, settings=deployed.settings).stdout

    assert deployed.run("stroke-release current").strip() == "one"
    assert "8000" in open_ports(["python3", "-c"], deployed.address)
    # A second time there is nothing to take back.
    assert "two is not current; one stays" in script(*back, settings=deployed.settings).stdout


def test_a_restart_of_the_host_brings_the_stack_back_with_its_data(deployed: SshHost) -> None:
    deployed.mysql("CREATE TABLE kept (id INT PRIMARY KEY); INSERT INTO kept VALUES (7)")

    deployed.restart()

    deadline = time.monotonic() + 90
    while not deployed.inside.service("stroke.service").is_running:
        assert time.monotonic() < deadline, deployed.run("journalctl -u stroke --no-pager | tail")
        time.sleep(0.5)
    assert deployed.mysql("SELECT id FROM kept; DROP TABLE kept") == "7\n"
    assert "8000" in open_ports(["python3", "-c"], deployed.address)
    assert deployed.inside.service("stroke-firewall.service").is_running


# --- backups --------------------------------------------------------------------------------------


def test_a_backup_goes_to_s3_and_comes_back_after_the_database_was_destroyed(
    deployed: SshHost, cloud: ObjectStore
) -> None:
    rows = "SELECT id, HEX(name), factors, probability, timestamp FROM predictions ORDER BY id"
    deployed.mysql(
        "CREATE TABLE predictions (id BIGINT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(100),"
        " factors JSON, probability DOUBLE, timestamp TIMESTAMP(6) DEFAULT NOW(6));"
        r"""INSERT INTO predictions (name, factors, probability)"""
        r""" VALUES ('Ana; -- \\ \' ü', '[{"a": 1.50}]', 1e-17),"""
        " (NULL, NULL, NULL), (REPEAT('x', 100), '{}', 0.1);"
        "CREATE PROCEDURE counted() SELECT COUNT(*) FROM predictions;",
    )
    before = deployed.mysql(rows)
    at = deployed.mysql("SHOW BINARY LOG STATUS").split("\t")

    # As its timer does: under the service's account, with all that the unit forbids.
    deployed.run("systemctl start stroke-backup.service || ! journalctl -u stroke-backup >&2")

    stored = _aws("s3", cloud)
    keys = [each["Key"] for each in stored.list_objects_v2(Bucket=BUCKET)["Contents"]]
    assert [re.sub(r"\d", "0", key) for key in keys] == [
        "backups/mysql/stroke-mysql-00000000T000000Z.json",
        "backups/mysql/stroke-mysql-00000000T000000Z.sql.gz",
    ]
    for key in keys:
        assert stored.head_object(Bucket=BUCKET, Key=key)["ServerSideEncryption"] == "AES256"
    manifest = json.load(stored.get_object(Bucket=BUCKET, Key=keys[0])["Body"])
    assert [manifest["binlog_file"], str(manifest["binlog_position"])] == at[:2]
    assert manifest["gtid_purged"] == at[4].strip().replace("\\n", "")
    metrics = deployed.metrics()
    assert f"stroke_backup_size_bytes {manifest['bytes']}" in metrics

    # The disaster: the server is gone, with its data. The stack makes one that is as good as new.
    deployed.run(
        "stroke-release compose rm --stop --force mysql && docker volume rm stroke_mysql-data"
    )
    deployed.run("systemctl reload stroke.service")
    assert deployed.mysql("SHOW TABLES LIKE 'predictions'") == ""
    deployed.run("stroke-mysql-restore --yes")

    assert deployed.mysql(rows) == before
    assert deployed.mysql("CALL counted()") == "3\n"
    # As history: replicas and Debezium go on by GTID, and are not sent the rows again.
    assert deployed.mysql("SELECT @@GLOBAL.gtid_purged").strip() == manifest["gtid_purged"]
    binlog = deployed.mysql("SHOW BINARY LOG STATUS").split("\t")[0]
    shown = deployed.mysql(f"SHOW BINLOG EVENTS IN '{binlog}'")
    assert "Previous_gtids" in shown
    assert "Write_rows" not in shown


def test_a_restore_into_the_same_server_sends_its_rows_to_the_sinks_again(
    deployed: SshHost,
) -> None:
    rows = "SELECT COUNT(*), MAX(id) FROM predictions"
    before = deployed.mysql(rows)
    deployed.mysql("DELETE FROM predictions WHERE id > 1")
    kept = deployed.run("stroke-mysql-restore --yes 2>&1 || true")
    assert "--replace drops it first" in kept
    assert deployed.mysql(rows) != before
    binlog, start, *_ = deployed.mysql("SHOW BINARY LOG STATUS").split("\t")

    deployed.run("stroke-mysql-restore --replace --yes")

    assert deployed.mysql(rows) == before
    events = deployed.mysql(f"SHOW BINLOG EVENTS IN '{binlog}' FROM {start}")
    assert "Write_rows" in events


def test_a_backup_that_was_altered_is_not_restored(deployed: SshHost, cloud: ObjectStore) -> None:
    newest = deployed.run("stroke-mysql-restore --list").split()[0]
    stored = _aws("s3", cloud)
    key = f"backups/mysql/{newest}.sql.gz"
    whole = stored.get_object(Bucket=BUCKET, Key=key)["Body"].read()
    stored.put_object(Bucket=BUCKET, Key=key, Body=whole[:-1] + bytes([whole[-1] ^ 1]))

    said = deployed.run("stroke-mysql-restore --dry-run --replace 2>&1 || true")

    assert "its checksum differs" in said


def test_old_backups_are_removed_but_never_the_newest(
    deployed: SshHost, cloud: ObjectStore
) -> None:
    stored = _aws("s3", cloud)
    for day in ("20200101", "20200102"):
        for kind in ("sql.gz", "json"):
            name = f"backups/mysql/stroke-mysql-{day}T020000Z.{kind}"
            stored.put_object(Bucket=BUCKET, Key=name, Body=b"{}")

    said = deployed.run("stroke-mysql-backup --dry-run")
    assert "except the newest 1" in said
    assert len(deployed.run("stroke-mysql-restore --list").split()) == 3
    deployed.run("stroke-mysql-backup")

    assert not [
        name
        for name in deployed.run("stroke-mysql-restore --list").split()
        if name.startswith("stroke-mysql-2020")
    ]
