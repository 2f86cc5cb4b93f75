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

from components.checkout import copy_checkout
from components.containers import ROOT, free_port, mysql_image
from components.processes import environment, wait_for
from components.programs import program

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


@pytest.fixture
def registry(docker_engine: None, tmp_path: Path) -> Iterator[str]:
    """Have a registry on this machine; return its name, with which images of it begin."""
    port = free_port()
    config = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": str(tmp_path / "registry")}},
        "http": {"addr": f"127.0.0.1:{port}"},
    }
    file = tmp_path / "registry.json"
    file.write_text(json.dumps(config))
    command = [program("docker-registry", "docker-registry"), "serve", str(file)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(f"http://127.0.0.1:{port}/v2/", within=30, alive=process)
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def docker(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.soak("a registry, from which images are pulled")
def test_what_is_pulled_is_pinned_to_its_digest_and_what_is_made_here_is_not(
    build: Build, registry: str, tmp_path: Path
) -> None:
    made = build("one")
    pulled = {name: f"{registry}/{token_hex(4)}:1" for name in ("mysql", "grafana", "base")}
    for image in pulled.values():
        docker("tag", made, image)
        docker("push", image)
        docker("rmi", image)
    checkout = copy_checkout(tmp_path / "checkout")
    settings = checkout / "deploy/.env"
    given = {f"STROKE_{name.upper()}_IMAGE": image for name, image in pulled.items()}
    given["COMPOSE_PROFILES"] = "monitoring"
    stack = [str(checkout / "deploy/stack.sh"), "pin"]
    subprocess.run([checkout / "deploy/make-env.sh"], env=environment(), check=True)
    others = [
        line for line in settings.read_text().splitlines() if line.partition("=")[0] not in given
    ]
    lines = [*others, *(f"{name}={value}" for name, value in given.items())]
    settings.write_text("".join(f"{line}\n" for line in lines))

    try:
        for _ in range(2):
            done = subprocess.run(
                stack, env=environment(), capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stderr

        now = settings.read_text().splitlines()
        changed = dict(line.split("=", 1) for line in now if line not in lines)
        assert changed.keys() == given.keys() - {"COMPOSE_PROFILES"}
        assert len(now) == len(lines)
        for name, image in changed.items():
            assert image.startswith(f"{given[name]}@sha256:")
            docker("pull", "-q", image)  # as compose does
    finally:
        left = docker("images", "--format", "{{.Repository}}:{{.Tag}}").splitlines()
        mine = [image for image in left if image.startswith(registry)]
        subprocess.run(["docker", "rmi", *mine], capture_output=True, check=False)


# It builds nothing: it says its step, waits until the test has seen that, and makes up a tag.
STAND_IN = """\
#!/bin/bash
if [[ $1 == --tag ]]; then echo "stroke-$2:not-here$3"; exit; fi
echo "Step 3/7 : RUN install what $1 needs" >> "$STROKE_BUILD_LOG"
until [[ -e $SEEN ]]; do sleep 0.1; done
if [[ $1 == edge ]]; then echo "the network of $1 is away" >&2; exit 1; fi
echo "stroke-$1:made"
"""


@pytest.mark.soak("progress is told every five seconds")
def test_builds_run_side_by_side_tell_their_steps_and_one_that_fails_stops_no_other(
    docker_engine: None, tmp_path: Path
) -> None:
    checkout = copy_checkout(tmp_path / "checkout")
    (checkout / "deploy/images/build.sh").write_text(STAND_IN)
    seen = tmp_path / "seen"
    given = {"SEEN": str(seen), "STROKE_MYSQL_IMAGE": mysql_image(), "STROKE_BUILD_JOBS": "3"}
    given["COMPOSE_PROFILES"] = "local,edge"
    process = subprocess.Popen(
        [str(checkout / "deploy/stack.sh"), "images"],
        env=environment() | given,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    said: list[str] = []
    at_once: set[str] = set()
    with process:
        try:
            for line in process.stderr:
                said.append(line)
                if " : RUN install what " in line:
                    at_once.add(line.split()[1].rstrip(":"))
                if len(at_once) == 3:  # none of them can end before
                    seen.touch()
        finally:
            seen.touch()

    told = "".join(said)
    assert "to be built: " in told
    assert "api (pipeline)" in told
    assert "up to 3 at a time" in told
    assert "3/7 : RUN install what" in told
    assert "the network of edge is away" in told
    assert process.returncode == 1
