"""What a container of deploy/compose.yaml may do: the least, or more for a reason."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from components.compose_file import marked, rendered
from components.containers import ROOT
from stroke.adapters.sql.grants import grants

Service = dict[str, Any]
IMAGES = ROOT / "deploy" / "images"


@pytest.fixture(scope="module")
def platform(docker_engine: None, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return rendered(tmp_path_factory.mktemp("compose"))


@pytest.fixture(scope="module")
def services(platform: dict[str, Any]) -> dict[str, Service]:
    found: dict[str, Service] = platform["services"]
    assert len(found) == 17
    return found


def _has(option: str, service: Service) -> bool:
    return bool(service.get(option))


HOST_OPTIONS = ("privileged", "devices", "pid", "ipc", "userns_mode", "network_mode")
# What a service deviates by, and when it does.
DEVIATIONS: dict[str, Callable[[Service], bool]] = {
    "keeps-capabilities": lambda one: one.get("cap_drop") != ["ALL"],
    "new-privileges": lambda one: one.get("security_opt") != ["no-new-privileges:true"],
    "no-pids-limit": lambda one: not 0 < one.get("pids_limit", 0) <= 4096,
    "no-memory-limit": lambda one: int(one.get("mem_limit", 0)) == 0,
    "writable-root": lambda one: one.get("read_only") is not True,
    "executable-tmp": lambda one: any(
        "exec" in mount.partition(":")[2].split(",") for mount in one.get("tmpfs", [])
    ),
    "engine-socket": lambda one: any(
        "docker.sock" in mount.get("source", "") for mount in one.get("volumes", [])
    ),
    **{option: partial(_has, option) for option in HOST_OPTIONS},
}


def deviations(services: dict[str, Service]) -> set[tuple[str, str]]:
    """Return in what a service may do more than the least, as (service, exception)."""
    built = {one["image"] for one in services.values() if "build" in one}
    found = set()
    for name, one in services.items():
        found |= {(name, kind) for kind, deviates in DEVIATIONS.items() if deviates(one)}
        found |= {(name, f"capability {added}") for added in one.get("cap_add", [])}
        if one["image"] not in built and "@sha256:" not in one["image"]:
            found.add((name, "image-by-tag"))
    return found


def test_no_container_may_do_more_than_the_least_but_where_a_reason_stands(
    platform: dict[str, Any], services: dict[str, Service]
) -> None:
    exceptions = platform["x-exceptions"]
    named = {(name, kind) for name, kinds in exceptions.items() for kind in kinds}

    assert deviations(services) == named
    assert all(len(reason) > 30 for kinds in exceptions.values() for reason in kinds.values())


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"cap_drop": []}, "keeps-capabilities"),
        ({"cap_add": ["NET_ADMIN"]}, "capability NET_ADMIN"),
        ({"security_opt": []}, "new-privileges"),
        ({"pids_limit": -1}, "no-pids-limit"),
        ({"pids_limit": 100_000}, "no-pids-limit"),
        ({"mem_limit": "0"}, "no-memory-limit"),
        ({"read_only": False}, "writable-root"),
        ({"tmpfs": ["/run:mode=1777,exec"]}, "executable-tmp"),
        ({"privileged": True}, "privileged"),
        ({"network_mode": "host"}, "network_mode"),
        ({"volumes": [{"source": "/var/run/docker.sock"}]}, "engine-socket"),
        ({"image": "some:tag", "build": None}, "image-by-tag"),
    ],
)
def test_a_service_that_loses_a_protection_is_found(
    services: dict[str, Service], change: dict[str, Any], kind: str
) -> None:
    changed = {key: value for key, value in {**services["api"], **change}.items() if value}

    assert ("api", kind) in deviations({**services, "api": changed})


def test_what_is_pulled_by_digest_needs_no_reason(docker_engine: None, tmp_path: Path) -> None:
    image = f"some/image:1@sha256:{'0' * 64}"
    pinned = {"STROKE_MYSQL_IMAGE": image, "STROKE_GRAFANA_IMAGE": image}
    found = deviations(rendered(tmp_path, **pinned)["services"])

    assert not any(kind == "image-by-tag" for _, kind in found)


def volumes_of_image(service: Service, services: dict[str, Service]) -> set[str]:
    """Return the VOLUME paths of an image that is built here."""
    build = next(one["build"] for one in services.values() if _builds(one, service["image"]))
    file = Path(build["context"]) / build.get("dockerfile", "Dockerfile")
    found: set[str] = set()
    for stage in re.split(r"^(?=FROM )", file.read_text(), flags=re.MULTILINE):
        named = re.match(r"FROM \S+(?: AS (\S+))?", stage)
        last = build.get("target") is None
        if last or (named is not None and named[1] == build["target"]):
            lines = re.findall(r"^VOLUME (.+)$", stage, re.MULTILINE)
            found |= {path for line in lines for path in re.findall(r"/[\w/]+", line)}
    return found


def _builds(service: Service, image: str) -> bool:
    return "build" in service and service["image"] == image


def test_no_container_gets_a_volume_without_a_name(services: dict[str, Service]) -> None:
    """Each `up` after a `down` would make another one, and nothing would remove it."""
    seen = 0
    for name, one in services.items():
        if name in {"mysql", "grafana"}:  # Their images are pulled; the soak looks at containers.
            continue
        given = {mount["target"] for mount in one.get("volumes", [])}
        given |= {mount.partition(":")[0] for mount in one.get("tmpfs", [])}
        wanted = volumes_of_image(one, services)
        seen += len(wanted)
        assert wanted <= given, f"{name}: {wanted - given}"
    assert seen > 8


def test_every_volume_can_be_reached_by_the_account_that_runs(
    services: dict[str, Service],
) -> None:
    assert services["mysql"]["user"] == "mysql"
    for name, one in services.items():
        if name in {"mysql", "grafana"}:
            continue
        build = next(each["build"] for each in services.values() if _builds(each, one["image"]))
        file = Path(build["context"]) / build.get("dockerfile", "Dockerfile")
        users = re.findall(r"^USER (\S+)$", file.read_text(), re.MULTILINE)
        assert users, PurePosixPath(file).parent.name
        assert not any(user.startswith(("root", "0")) for user in users)


# What a setting holds that nobody else may know, by its name.
SECRET = re.compile(
    r"PASSWORD|SECRET|TOKEN|SALT|(ACCESS|ADMIN|METRICS|API)_KEY|WEBHOOK"
    r"|CATALOG_URI|SINK_URL|JDBC_URL|MIGRATION_URL"
)
NO_SECRETS = {
    "STROKE_LAKE_JDBC_URL"
}  # the address of the catalog alone: account and password follow


def test_no_container_shows_a_secret(tmp_path: Path, platform: dict[str, Any]) -> None:
    names = platform["x-secrets"]
    found = rendered(tmp_path, **{name: marked(name) for name in names})
    assert found["x-secrets"] == {name: marked(name) for name in names}

    for service in found["services"].values():
        shown = json.dumps(service)
        assert not [name for name in names if marked(name) in shown]


def test_every_secret_of_a_container_is_a_file_that_it_mounts(
    platform: dict[str, Any], services: dict[str, Service]
) -> None:
    assert platform["x-secrets"].keys() == platform["secrets"].keys()
    mounted_by_any: set[str] = set()
    for service in services.values():
        mounted = {one["source"]: one["target"] for one in service.get("secrets", [])}
        mounted_by_any |= mounted.keys()
        assert all(target == f"/run/secrets/{name}" for name, target in mounted.items())
        for name, value in service.get("environment", {}).items():
            if SECRET.search(name) and name not in NO_SECRETS:
                assert re.fullmatch(r"/run/secrets/(\w+)|\$\$__file\{/run/secrets/(\w+)\}", value)
            if "/run/secrets/" in value:
                [file] = re.findall(r"/run/secrets/(\w+)", value)
                assert file in mounted, name
    assert mounted_by_any == platform["secrets"].keys()


def test_no_container_gets_a_secret_that_it_does_not_need(services: dict[str, Service]) -> None:
    with_secrets = {
        name: {one["source"] for one in service["secrets"]}
        for name, service in services.items()
        if "secrets" in service
    }
    assert with_secrets.keys().isdisjoint({"kafka", "schema-registry", "s3"})
    assert [name for name, held in with_secrets.items() if "MYSQL_ROOT_PASSWORD" in held] == [
        "mysql"
    ]
    assert with_secrets["performance"] == {"MYSQL_PASSWORD"}
    assert with_secrets["prometheus"] == {"STROKE_METRICS_KEY"}
    assert with_secrets["api"] == {
        "MYSQL_PASSWORD",
        "STROKE_DATABASE_MIGRATION_URL",
        "STROKE_ADMIN_KEY",
        "STROKE_METRICS_KEY",
        "STROKE_OIDC_CLIENT_SECRET",
    }
    assert [name for name, held in with_secrets.items() if "STROKE_OIDC_CLIENT_SECRET" in held] == [
        "api"
    ]
    assert with_secrets["spark-worker"] == {"STROKE_SPARK_SECRET"}
    # The account of the schema: who upgrades it, who sets the counter of ids, and the server.
    knowing = "STROKE_DATABASE_MIGRATION_URL"
    assert {name for name, held in with_secrets.items() if knowing in held} == {
        "api",
        "connectors",
    }
    made = "STROKE_SCHEMA_PASSWORD"
    assert [name for name, held in with_secrets.items() if made in held] == ["mysql"]


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        (
            {},
            f"mysql://stroke_schema:{marked('STROKE_SCHEMA_PASSWORD')}@mysql:3306/stroke_predictions",
        ),
        (
            {
                "STROKE_SCHEMA_USER": "owner",
                "STROKE_SCHEMA_PASSWORD": "p4ss",
                "MYSQL_DATABASE": "clinic",
            },
            "mysql://owner:p4ss@mysql:3306/clinic",
        ),
        # As in an .env of before, which has no such line: the service's account stays the owner.
        ({"STROKE_SCHEMA_PASSWORD": ""}, ""),
        ({"STROKE_DATABASE_MIGRATION_URL": "mysql://a:b@other/c"}, "mysql://a:b@other/c"),
    ],
)
def test_the_schema_has_an_account_of_its_own_where_its_password_is_set(
    docker_engine: None, tmp_path: Path, settings: dict[str, str], url: str
) -> None:
    found = rendered(tmp_path, **settings)
    assert found["x-secrets"]["STROKE_DATABASE_MIGRATION_URL"] == url


INIT = ROOT / "deploy" / "mysql" / "init"
GIVEN = {
    "STROKE_CDC_PASSWORD": "c",
    "STROKE_LAKE_JDBC_PASSWORD": "l",
    "MYSQL_USER": "it's",
    "MYSQL_DATABASE": "a_b",
}


def said_to_mysql(folder: Path, script: str, **settings: str) -> str:
    """Return what an init script says to MySQL's client."""
    client = folder / "bin" / "mysql"
    client.parent.mkdir()
    client.write_text("#!/bin/sh\nexec cat\n")
    client.chmod(0o755)
    done = subprocess.run(
        [INIT / script],
        env={"PATH": f"{client.parent}:/usr/bin:/bin", **GIVEN, **settings},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_a_new_server_gets_an_account_for_the_schema_with_the_rights_that_are_printed(
    tmp_path: Path,
) -> None:
    file = tmp_path / "password"
    file.write_text("o'\\x")
    said = said_to_mysql(tmp_path, "10-pipeline.sh", STROKE_SCHEMA_PASSWORD_FILE=str(file))

    made = [line for line in said.splitlines() if "'stroke_schema'" in line]
    assert made[0] == ("CREATE USER IF NOT EXISTS 'stroke_schema'@'%' IDENTIFIED BY 'o''\\\\x';")
    [printed] = grants("migrations", "stroke_schema", "a_b")
    assert f"{printed};" in re.sub(r"\s+", " ", said)
    assert "REVOKE" not in said


def test_the_service_of_a_new_server_keeps_no_right_to_the_whole_database(tmp_path: Path) -> None:
    said = said_to_mysql(tmp_path, "20-service.sh", STROKE_SCHEMA_PASSWORD="x")
    assert said.splitlines() == [
        r"REVOKE IF EXISTS ALL ON `a\_b`.* FROM 'it''s'@'%';",
        "REVOKE IF EXISTS ALL ON `a_b`.* FROM 'it''s'@'%';",
    ]


def test_a_server_without_an_account_for_the_schema_is_made_as_before(tmp_path: Path) -> None:
    for number, file in enumerate(("", str(tmp_path / "empty"))):
        (tmp_path / "empty").write_text("")
        folder = tmp_path / str(number)
        for script in ("10-pipeline.sh", "20-service.sh"):
            place = folder / script
            place.mkdir(parents=True)
            said = said_to_mysql(place, script, STROKE_SCHEMA_PASSWORD_FILE=file)
            assert "stroke_schema" not in said
            assert "REVOKE" not in said


def test_init_scripts_run_in_the_order_in_which_they_need_each_other() -> None:
    """The image runs them by name; only a file that may be executed runs in a shell of its own."""
    scripts = sorted(INIT.iterdir())
    assert [each.name for each in scripts] == ["10-pipeline.sh", "20-service.sh"]
    assert all(each.stat().st_mode & 0o111 == 0o111 for each in scripts)


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., list[str]]:
    """Run deploy/secret_files.py for two secrets that two services mount; return what it prints."""

    def run(command: str, **values: str) -> list[str]:
        platform = {
            "x-secrets": {**values, "OF_NO_SERVICE": "x"},
            "secrets": {name: {"file": str(tmp_path / "secrets" / name)} for name in values},
            "services": {
                "api": {"secrets": [{"source": "MYSQL_PASSWORD"}]},
                "connect": {"secrets": [{"source": name} for name in values]},
                "mysql": {"secrets": [{"source": "MYSQL_PASSWORD"}]},
                "kafka": {},
            },
        }
        done = subprocess.run(
            [sys.executable, ROOT / "deploy" / "secret_files.py", command],
            input=json.dumps(platform),
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.split()

    return run


def test_the_files_can_be_read_by_every_account_in_a_folder_that_only_its_owner_enters(
    written: Callable[..., list[str]], tmp_path: Path
) -> None:
    written("write", MYSQL_PASSWORD="a$$b", OTHER="")
    folder = tmp_path / "secrets"

    assert folder.stat().st_mode & 0o777 == 0o700
    assert {file.name: file.read_text() for file in folder.iterdir()} == {
        "MYSQL_PASSWORD": "a$b",
        "OTHER": "",
    }
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o444}


def test_a_changed_secret_is_written_into_the_file_that_containers_have_mounted(
    written: Callable[..., list[str]], tmp_path: Path
) -> None:
    written("write", MYSQL_PASSWORD="first, which is longer", OTHER="x")
    file = tmp_path / "secrets" / "MYSQL_PASSWORD"
    before = file.stat().st_ino

    written("write", MYSQL_PASSWORD="second", OTHER="x")

    assert file.read_text() == "second"
    assert file.stat().st_ino == before


def test_only_what_reads_a_changed_secret_at_its_start_is_restarted_and_once(
    written: Callable[..., list[str]],
) -> None:
    values = {"MYSQL_PASSWORD": "1", "OTHER": "1"}
    written("write", **values)
    assert written("services", **values) == []

    values["MYSQL_PASSWORD"] = "2"
    written("write", **values)
    written("write", **values)
    assert written("services", **values) == ["connect"]

    written("taken-up", **values)
    assert written("services", **values) == []


def test_a_folder_that_the_engine_made_for_a_missing_file_gives_way(
    written: Callable[..., list[str]], tmp_path: Path
) -> None:
    (tmp_path / "secrets" / "OTHER").mkdir(parents=True)

    written("write", MYSQL_PASSWORD="x", OTHER="y")

    assert (tmp_path / "secrets" / "OTHER").read_text() == "y"
