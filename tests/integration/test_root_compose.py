"""`docker compose up` in the repository's root is the platform of deploy/, with its stand-ins."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from components.checkout import copy_checkout
from components.processes import environment


@pytest.fixture(scope="module")
def checkout(docker_engine: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_checkout(tmp_path_factory.mktemp("root-compose"))


def config(
    checkout: Path, folder: str = "."
) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    done = subprocess.run(
        ["docker", "compose", "config", "--format", "json"],
        cwd=checkout / folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    return done, json.loads(done.stdout or "{}")


def test_without_passwords_it_says_what_writes_them(checkout: Path) -> None:
    done, _ = config(checkout)

    assert done.returncode != 0
    assert "make env" in done.stderr


def test_it_runs_what_the_compose_file_of_deploy_runs(checkout: Path) -> None:
    made = subprocess.run(["make", "env"], cwd=checkout, env=environment(), check=False)
    assert made.returncode == 0

    root, deploy = config(checkout)[1], config(checkout, "deploy")[1]

    for service in deploy["services"].values():
        service.pop("profiles", None)  # `local`, which deploy/.env asks for
    effective = {key: part for key, part in deploy.items() if not key.startswith("x-")}
    assert root == effective
    assert {"s3", "sql-sink", "mysql", "kafka", "api"} <= root["services"].keys()


def test_every_part_can_be_read_without_its_settings(checkout: Path) -> None:
    """As by who makes a release of some of the parts: what is a setting stays one."""
    done = subprocess.run(
        ["docker", "compose", "--profile", "*", "config", "--no-interpolate", "--format=json"],
        cwd=checkout / "deploy",
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    parts = json.loads(done.stdout)["services"]
    assert {"api", "edge", "grafana", "jupyter", "s3", "sql-sink"} <= parts.keys()
    [mounted] = [each for each in parts["api"]["volumes"] if each["type"] == "bind"]
    assert mounted["source"].endswith("${STROKE_CLINICAL_FOLDER:-./clinical}")
