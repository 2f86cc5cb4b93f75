"""deploy/images/build.sh removes old images, and none that somebody may be using."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest

from components.containers import ROOT

Build = Callable[..., str]


def images(name: str) -> set[str]:
    command = ["docker", "images", f"stroke-{name}", "--format", "{{.Repository}}:{{.Tag}}"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True)
    return set(listed.stdout.split())


def inspected(tag: str) -> dict[str, Any]:
    command = ["docker", "image", "inspect", tag]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    (found,) = json.loads(done.stdout)
    return dict(found)


@pytest.fixture
def name() -> Iterator[str]:
    """The name of an image of the test's own; what was built of it is removed."""
    name = f"probe-{token_hex(4)}"
    yield name
    if left := images(name):
        subprocess.run(["docker", "rmi", *left], capture_output=True, check=True)


@pytest.fixture
def build(docker_engine: None, name: str, tmp_path: Path) -> Build:
    """Build the image in a folder of its own, from ``content`` and a ``note`` it does not hold."""
    folder = tmp_path / "deploy/images"
    (folder / name).mkdir(parents=True)
    for script in ("build.sh", "make-base.sh"):
        shutil.copy(ROOT / "deploy/images" / script, folder)
    (folder / name / "Dockerfile").write_text(
        "ARG BASE=debian:trixie-slim\nFROM ${BASE}\nCOPY content /\n"
    )

    def build(content: str, note: str = "", **settings: str) -> str:
        (folder / name / "content").write_text(content)
        (folder / name / "note").write_text(note)
        command = [str(folder / "build.sh"), name]
        environment = os.environ | settings
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return build


def test_an_image_that_was_asked_for_stays_however_old_its_layers_are(
    build: Build, name: str
) -> None:
    first = build("the same")
    # Another tag of the same layers: it is as old as the first one, and newly asked for.
    again = build("the same", note="not in the image")
    others = [build(f"other {number}") for number in range(4)]

    assert images(name) == {first, again, *others}


def test_what_nobody_asks_for_goes_and_three_newest_stay(build: Build, name: str) -> None:
    built = [build(f"content {number}", STROKE_IMAGE_HOURS="0") for number in range(5)]

    assert len(images(name)) == 3
    assert built[-1] in images(name)


def test_to_ask_for_an_image_again_is_noted_and_builds_nothing(build: Build) -> None:
    tag = build("the same")
    before = inspected(tag)

    assert build("the same") == tag
    after = inspected(tag)
    assert after["Id"] == before["Id"]
    assert after["Metadata"]["LastTagTime"] > before["Metadata"]["LastTagTime"]
