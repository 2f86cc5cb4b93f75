"""deploy/jenkins: the Jenkinsfile, executed, and the scripts that it calls.

What deploys to a host (deploy.sh, rollback.sh, configure.sh) is run on one by test_ansible.py.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest

from components.containers import ROOT, build_image, free_port
from components.processes import wait_for
from components.ssh_host import script
from stroke import __version__

STAGES = ROOT / "deploy" / "jenkins" / "stages"
SCRIPTS = sorted(
    str(path.relative_to(ROOT))
    for folder in ("jenkins/stages", "backup", "host", "ansible")
    for path in (ROOT / "deploy" / folder).glob("*.sh")
    if path.stat().st_mode & 0o100
)
# What the pipeline's environment and credentials give to its commands.
GIVEN = {
    "ENVIRONMENT": "test",
    "RELEASE": "build-7",
    "HOST": "192.0.2.7",
    "STATUS": "success",
    "JOB_NAME": "stroke",
    "BUILD_URL": "https://ci.example.org/7",
    "HOST_SETTINGS": "settings.yml",
}


@pytest.fixture(scope="module")
def executed(docker_engine: None) -> subprocess.CompletedProcess[str]:
    """The Jenkinsfile's own tests (deploy/jenkins/test), run in their image."""
    command = ["docker", "run", "--rm", "--network", "none", build_image("jenkins-test")]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_jenkinsfile_does_what_its_tests_say(
    executed: subprocess.CompletedProcess[str],
) -> None:
    # Happy path, approval given and refused, retries, rollback, notices, which secrets show.
    ran = re.search(r"^OK \((\d+) tests\)$", executed.stdout, re.MULTILINE)

    assert executed.returncode == 0, executed.stdout[-6000:]
    assert ran is not None
    assert int(ran[1]) >= 10


def test_each_command_of_the_pipeline_is_one_that_its_script_takes(
    executed: subprocess.CompletedProcess[str],
) -> None:
    commands = re.findall(r"ran: (.*)", executed.stdout)
    ours = [line for line in commands if line.startswith("deploy/jenkins/")]
    assert len(ours) == 11

    for line in ours:
        if "plan.sh" in line:
            continue  # deploy/aws checks its own parameters, with AWS
        done = subprocess.run(
            ["bash", "-c", f"{line} --dry-run"],
            cwd=ROOT,
            env={"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/nonexistent", **GIVEN},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{line}: {done.stderr}"


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_tells_what_it_does_and_refuses_what_it_does_not_know(name: str) -> None:
    text = (ROOT / name).read_text()
    assert text.startswith("#!/bin/bash\nset -euo pipefail\n")

    shown = script(name, "--help")
    assert shown.stdout.startswith("Usage: ")
    assert "--dry-run" in shown.stdout
    if "ansible" not in name:  # it hands on what it does not know
        assert script(name, "--no-such-option", check=False).returncode == 2


def test_what_would_change_a_host_refuses_a_host_that_is_none() -> None:
    for name in ("deploy", "rollback"):
        for address in ("", "-oProxyCommand=x", "a b", "$(x)"):
            arguments = ["--host", address, "--release", "one", "--dry-run"]
            done = script(f"deploy/jenkins/stages/{name}.sh", *arguments, check=False)
            assert done.returncode == 1, (name, address)
    done = script(
        "deploy/jenkins/stages/deploy.sh", "--host", "h", "--release", "../x", check=False
    )
    assert "which release?" in done.stderr


def test_people_are_notified_through_the_webhook_and_a_refusal_is_an_error() -> None:
    notify = ["deploy/jenkins/stages/notify.sh", "--status", "rolled-back", "--message", 'a "b" $c']
    with _serving(HTTPStatus.OK) as (url, taken):
        script(*notify, settings={"STROKE_NOTIFY_URL": f"{url}/secret"})
    assert taken == [("/secret", {"text": 'a "b" $c', "status": "rolled-back"})]

    with _serving(HTTPStatus.FORBIDDEN) as (url, taken):
        done = script(*notify, settings={"STROKE_NOTIFY_URL": f"{url}/secret"}, check=False)
    assert done.returncode == 1
    assert "the webhook did not take it" in done.stderr
    assert "/secret" not in done.stdout + done.stderr


def test_targets_must_all_be_up_and_there_must_be_some() -> None:
    def asked(*health: str) -> subprocess.CompletedProcess[str]:
        found = [
            {"health": each, "scrapePool": "api", "scrapeUrl": "http://api:8000", "lastError": ""}
            for each in health
        ]
        with _serving(HTTPStatus.OK, {"data": {"activeTargets": found}}) as (url, _):
            arguments = ["--url", url, "--within", "0"]
            return script("deploy/jenkins/stages/targets.sh", *arguments, check=False)

    assert asked("up", "up").returncode == 0
    assert asked("up", "down").returncode == 1
    assert "http://api:8000" in asked("down").stderr
    assert asked().returncode == 1


def test_no_dockerfile_and_no_file_holds_what_a_scan_objects_to(tmp_path: Path) -> None:
    scan = ["deploy/jenkins/stages/scan.sh", "--only", "dockerfiles", "--only", "secrets"]
    done = script(*scan)
    assert done.stdout.count("nothing found") == 2

    # One that does: the scan sees it.
    bad = ROOT / "deploy" / "images" / "ssh-host" / "Dockerfile"
    found = subprocess.run(
        [ROOT / ".venv-infrastructure/bin/hadolint", "-"],
        input=bad.read_text().replace("SIGRTMIN", "SIGRTMIN\nCMD x\nCMD y\n#"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 1


def test_a_bill_of_materials_names_what_is_in_an_image(tmp_path: Path) -> None:
    (tmp_path / "images.env").write_text(f"STROKE_S3_IMAGE={build_image('moto')}\n")

    files = ["--images", str(tmp_path / "images.env"), "--output", str(tmp_path)]
    script("deploy/jenkins/stages/sbom.sh", *files)

    of_python = json.loads((tmp_path / "python.cdx.json").read_text())
    wheel = of_python["metadata"]["component"]
    assert (wheel["name"], wheel["version"]) == ("stroke", __version__)
    pinned = (ROOT / "requirements" / "app.txt").read_text()
    pins = set(re.findall(r"^([\w.-]+)==", pinned, re.MULTILINE))
    assert {each["name"] for each in of_python["components"]} == pins
    (of_image,) = tmp_path.glob("stroke-moto-*.cdx.json")
    bill = json.loads(of_image.read_text())
    assert (bill["bomFormat"], bill["metadata"]["component"]["type"]) == ("CycloneDX", "container")
    purls = {each["purl"].partition("@")[0] for each in bill["components"]}
    assert {"pkg:pypi/moto", "pkg:deb/debian/python3-venv", "pkg:deb/debian/libc6"} <= purls


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[dict[str, str]]:
    """What reaches a stand-in for AWS that has an image to start hosts from."""
    port = free_port()
    command = [sys.executable, str(ROOT / "tests/components/cloud_server.py"), str(port)]
    with (tmp_path / "moto.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    settings = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
    }
    try:
        wait_for(f"http://127.0.0.1:{port}/moto-api/data.json", alive=process)
        yield settings
    finally:
        process.kill()
        process.wait()


def test_what_was_planned_is_provisioned_and_passed_to_what_configures(
    cloud: dict[str, str], tmp_path: Path
) -> None:
    ec2, ssm = (
        boto3.client(
            service,
            endpoint_url=cloud["AWS_ENDPOINT_URL"],
            region_name="us-east-1",
            aws_access_key_id="local",
            aws_secret_access_key="local",
        )
        for service in ("ec2", "ssm")
    )
    image = ec2.describe_images()["Images"][0]["ImageId"]
    ssm.put_parameter(Name="/images/debian", Value=image, Type="String")
    plan = ["deploy/jenkins/stages/plan.sh", "--environment", "test"]
    provision = ["deploy/jenkins/stages/provision.sh", "--environment", "test"]
    provision += ["--output", str(tmp_path)]

    assert "plan.sh writes it" in script(*provision, settings=cloud, check=False).stderr
    of_image = ["--parameter", "ImageId=/images/debian", "--parameter"]
    approved, newer = tmp_path / "plan.txt", tmp_path / "newer.txt"
    script(*plan, "--output", str(approved), *of_image, "AdminCidr=203.0.113.8/32", settings=cloud)
    # Somebody plans something else meanwhile: that is not what was approved.
    script(*plan, "--output", str(newer), *of_image, "AdminCidr=203.0.113.7/32", settings=cloud)
    refused = script(*provision, settings=cloud, check=False)
    assert refused.returncode != 0
    assert "has no change set plan-" in refused.stderr
    assert ec2.describe_instances()["Reservations"] == []

    newer.rename(approved)
    script(*provision, settings=cloud)

    (made,) = ec2.describe_instances()["Reservations"][0]["Instances"]
    assert (tmp_path / "host").read_text().strip() == made["PublicIpAddress"]
    assert "S3_BUCKET=" in (tmp_path / "settings.env").read_text()
    groups = ec2.describe_security_groups()["SecurityGroups"]
    assert "203.0.113.7/32" in str(groups)
    assert "203.0.113.8/32" not in str(groups)


@contextmanager
def _serving(
    status: HTTPStatus, answer: Any = None
) -> Iterator[tuple[str, list[tuple[str, dict[str, str]]]]]:
    """Answer every request so; yield the address, and what was posted."""
    taken: list[tuple[str, dict[str, str]]] = []

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        do_GET = _answer  # noqa: N815 -- the names that http.server calls

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            taken.append((self.path, json.loads(body)))
            self._answer()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", taken
        finally:
            server.shutdown()
            thread.join()
