"""deploy/first-keys.sh, and deploy/make-env.sh on settings of an older version."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import BaseModel

from components.checkout import copy_checkout
from components.containers import ROOT
from components.processes import environment
from stroke.application.access.keys import parsed
from stroke.config.whole import PipelineSettings, Settings

NAMES = ("STROKE_ADMIN_KEY", "STROKE_METRICS_KEY")


def first_keys(*files: Path, **settings: str) -> str:
    done = subprocess.run(
        [ROOT / "deploy" / "first-keys.sh", *files],
        env=environment(**settings),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == ""
    return done.stderr


def values(file: Path) -> dict[str, str]:
    """Return the settings of a file; a name that it has twice is an error."""
    lines = [line.split("=", 1) for line in file.read_text().splitlines() if "=" in line]
    assert len({name for name, _ in lines}) == len(lines)
    return dict(lines)


def test_two_keys_that_the_service_takes_are_written_for_the_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "keys.env"

    said = first_keys(file)

    keys = values(file)
    assert tuple(keys) == NAMES
    found = [parsed(key) for key in keys.values()]
    assert all(found)
    assert len({part for key in found if key for part in key}) == 4
    assert file.stat().st_mode & 0o777 == 0o600
    assert not [key for key in keys.values() if key in said]
    assert list(tmp_path.iterdir()) == [file]


def test_a_second_run_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "keys.env"
    first_keys(file)
    before = file.read_text()

    assert first_keys(file) == ""
    assert file.read_text() == before


@pytest.mark.parametrize("end", ["\n", ""])
def test_other_settings_stay_and_an_empty_key_is_filled_in_its_place(
    tmp_path: Path, end: str
) -> None:
    file = tmp_path / ".env"
    file.write_text(f"A=1\nSTROKE_ADMIN_KEY=\n# of B\nB=2{end}")
    file.chmod(0o644)

    first_keys(file)

    lines = file.read_text().splitlines()
    assert [line.split("=")[0] for line in lines] == [
        *("A", "STROKE_ADMIN_KEY", "# of B", "B", "STROKE_METRICS_KEY")
    ]
    assert all(parsed(values(file)[name]) for name in NAMES)
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("quote", ["", "'", '"'])
def test_a_key_that_another_file_or_the_environment_has_is_not_made(
    tmp_path: Path, quote: str
) -> None:
    file, other = tmp_path / "keys.env", tmp_path / "stroke.env"
    other.write_text(f"STROKE_ADMIN_KEY={quote}stroke_x{quote}\n")

    first_keys(file, other)
    assert tuple(values(file)) == ("STROKE_METRICS_KEY",)

    first_keys(tmp_path / "none", STROKE_ADMIN_KEY="stroke_x", STROKE_METRICS_KEY="stroke_y")
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("value", ["true", "'true'", "1", "yes", "True"])
def test_a_service_that_is_to_be_open_gets_no_key(tmp_path: Path, value: str) -> None:
    file = tmp_path / ".env"
    file.write_text(f"STROKE_INSECURE={value}\n")

    assert first_keys(file) == ""
    assert values(file) == {"STROKE_INSECURE": value}


@pytest.mark.parametrize("value", ["", "false", "''", "0"])
def test_any_other_value_leaves_it_closed(tmp_path: Path, value: str) -> None:
    file = tmp_path / ".env"
    file.write_text(f"STROKE_INSECURE={value}\n")

    first_keys(file)

    assert set(NAMES) <= values(file).keys()


def test_the_settings_of_an_older_version_get_keys_and_keep_their_passwords(
    tmp_path: Path,
) -> None:
    checkout = copy_checkout(tmp_path / "checkout")
    make_env = [checkout / "deploy" / "make-env.sh"]
    subprocess.run(make_env, env=environment(), capture_output=True, check=True)
    settings = checkout / "deploy" / ".env"
    made = values(settings)
    assert all(parsed(made[name]) for name in NAMES)
    key = re.compile(r"^STROKE_(ADMIN|METRICS)_KEY=.*\n", re.MULTILINE)
    older = key.sub("", settings.read_text())
    settings.write_text(older)

    for _ in range(2):
        subprocess.run(make_env, env=environment(), capture_output=True, check=True)

    assert settings.read_text().startswith(older)
    now = values(settings)
    assert now.keys() == made.keys()
    assert {name for name in now if now[name] != made[name]} == set(NAMES)


@pytest.mark.parametrize("settings", [Settings, PipelineSettings])
def test_what_make_env_writes_is_what_every_service_of_ours_starts_with(
    tmp_path: Path, settings: type[BaseModel]
) -> None:
    checkout = copy_checkout(tmp_path / "checkout")
    deploy = checkout / "deploy"
    for script in ("make-env.sh", "secrets.sh"):
        subprocess.run([deploy / script], env=environment(), capture_output=True, check=True)
    command = ["docker", "compose", "--profile", "*", "-f", str(deploy / "compose.yaml")]
    rendered = subprocess.run(
        [*command, "config", "--format", "json"],
        env=environment(),
        capture_output=True,
        check=True,
    )
    services = json.loads(rendered.stdout)["services"].values()
    ours = [one for one in services if "/images/api/" in one.get("build", {}).get("dockerfile", "")]
    ours = [one for one in services if one["image"] in {built["image"] for built in ours}]
    assert len(ours) > 3
    load = f"from {settings.__module__} import {settings.__name__} as all; all.load()"

    for service in ours:
        there = {
            name: value.replace("/run/secrets", str(deploy / ".secrets"))
            for name, value in service["environment"].items()
        }
        done = subprocess.run(
            [sys.executable, "-c", load],
            env=environment(**there),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
