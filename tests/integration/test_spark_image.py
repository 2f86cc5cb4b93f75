"""The images of Spark: what they hold, whom they refuse, and what they show."""

from __future__ import annotations

import json
import secrets
import subprocess
from collections.abc import Callable, Iterator
from configparser import ConfigParser
from pathlib import Path

import pytest

from components.change_events import until
from components.confined import CONFINED, LABEL, Container, docker, started, variables
from components.containers import ROOT, build_image
from components.processes import environment

RUN = ROOT / "deploy/images/spark/bin/run"
MASTER = "spark://spark-master:7077"
SECRET = secrets.token_hex(16)
TOKEN = secrets.token_hex(16)

pytestmark = pytest.mark.usefixtures("docker_engine")


@pytest.fixture(scope="module", params=[None, "pyspark"], ids=["spark", "pyspark"])
def any_image(request: pytest.FixtureRequest, docker_engine: None) -> str:
    return build_image("spark", request.param)


@pytest.fixture(scope="module")
def image(docker_engine: None) -> str:
    return build_image("spark")


@pytest.fixture(scope="module")
def network(docker_engine: None) -> Iterator[str]:
    name = f"stroke-spark-{secrets.token_hex(4)}"
    docker("network", "create", *LABEL, name)
    yield name
    docker("network", "rm", name)


@pytest.fixture(scope="module")
def master(image: str, network: str) -> Iterator[Container]:
    options = (f"--network={network}", "--network-alias=spark-master", "--memory=640m")
    settings = {"SPARK_MASTER_HOST": "spark-master", "SPARK_DAEMON_MEMORY": "256m"}
    with started(
        image, *options, command=["master"], STROKE_SPARK_SECRET=SECRET, **settings
    ) as master:
        master.wait_until_healthy()
        yield master


def run(image: str, *command: str, network: str = "none", **settings: str) -> tuple[int, str]:
    """Run a command in the image; return its exit code and all that it printed."""
    name = f"stroke-spark-{secrets.token_hex(4)}"
    options = [f"--name={name}", *LABEL, *CONFINED, f"--network={network}", "--memory=1500m"]
    try:
        done = subprocess.run(
            ["docker", "run", *options, *variables(settings), image, *command],
            capture_output=True,
            text=True,
            check=False,
            timeout=180,
        )
    finally:
        docker("rm", "-fv", name)
    return done.returncode, done.stdout + done.stderr


def test_the_images_run_as_a_number_that_is_not_root(any_image: str) -> None:
    user = json.loads(docker("inspect", "-f", "{{json .Config.User}}", any_image))

    assert user == "10001:10001"
    assert run(any_image, "id", "-u") == (0, "10001\n")


def test_the_images_hold_nothing_that_builds_or_fetches(any_image: str) -> None:
    tools = "gcc cc c++ make pip pip3 curl wget git mvn javac"
    libraries = "hatchling setuptools pip"

    found = run(any_image, "bash", "-c", f"for t in {tools}; do command -v $t; done; echo end")
    assert found == (0, "end\n")
    script = (
        f"import importlib.util as u; print([n for n in '{libraries}'.split() if u.find_spec(n)])"
    )
    assert run(any_image, "python", "-c", script) == (0, "[]\n")


@pytest.mark.parametrize("given", [True, False], ids=["keys", "a role"])
def test_a_command_finds_the_keys_of_s3_as_libraries_of_aws_look_for_them(
    tmp_path: Path, *, given: bool
) -> None:
    """The keys are files of secrets, which are empty where the machine has a role."""
    file = tmp_path / "credentials"
    settings = {"AWS_SHARED_CREDENTIALS_FILE": str(file)}
    for name, value in (("AWS_ACCESS_KEY_ID", "local"), ("AWS_SECRET_ACCESS_KEY", "pa$$ %s")):
        (tmp_path / name).write_text(value if given else "")
        settings[f"{name}_FILE"] = str(tmp_path / name)

    subprocess.run([RUN, "true"], env=environment(**settings), check=True)

    if not given:
        assert not file.exists()
        return
    assert file.stat().st_mode & 0o777 == 0o600
    subprocess.run([RUN, "true"], env=environment(**settings), check=True)  # as at the next start
    profile = ConfigParser(interpolation=None)
    profile.read(file)
    assert dict(profile["default"]) == {
        "aws_access_key_id": "local",
        "aws_secret_access_key": "pa$$ %s",
    }


@pytest.mark.soak("sessions of Spark for minutes; the gate has one analysis on both engines")
def test_the_tests_that_need_spark_pass_in_the_image(
    docker_engine: None, figures: Callable[[str], None]
) -> None:
    tests = build_image("spark", "test")

    ran = subprocess.run(
        ["docker", "run", "--rm", *LABEL, *CONFINED, tests, "tests/spark", "-q", "--soak=spark"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 0, ran.stdout[-4000:]
    figures(f"tests on Spark inside the image: {ran.stdout.splitlines()[-1]}")


@pytest.mark.parametrize("role", [["master"], ["worker", MASTER]], ids=["master", "worker"])
def test_without_a_secret_no_part_of_a_cluster_starts(image: str, role: list[str]) -> None:
    code, said = run(image, *role)

    assert code == 2
    assert "STROKE_SPARK_SECRET is not set" in said


@pytest.mark.parametrize("token", ["", "short"])
def test_jupyterlab_does_not_start_without_a_token_that_cannot_be_guessed(token: str) -> None:
    code, said = run(build_image("spark", "pyspark"), STROKE_JUPYTER_TOKEN=token)

    assert (code, said) == (2, "lab: STROKE_JUPYTER_TOKEN must have 16 characters or more\n")


def test_jupyterlab_shows_its_token_to_nobody() -> None:
    with started(build_image("spark", "pyspark"), STROKE_JUPYTER_TOKEN=TOKEN) as lab:
        lab.wait_until_healthy()
        processes = lab.execute("bash", "-c", "cat /proc/[0-9]*/cmdline")
        log = lab.log

    assert "jupyter" in processes
    assert "9999" in log
    assert TOKEN not in processes + log


# A driver with the lake's settings, which prints what its page and the processes show.
_DRIVER = f"""
import urllib.request
from pathlib import Path
from stroke.config import PipelineSettings
from stroke.container.spark import lake_session
with lake_session(PipelineSettings.load(), "driver", master="{MASTER}") as spark:
    context = spark.sparkContext
    page = f"{{context.uiWebUrl}}/api/v1/applications/{{context.applicationId}}/environment"
    print(urllib.request.urlopen(page).read().decode())
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        print(process.read_bytes())
"""


def test_a_driver_needs_the_secret_and_shows_none(
    master: Container, image: str, network: str
) -> None:
    driver = ("python", "-c", _DRIVER)
    password, key = secrets.token_hex(8), secrets.token_hex(8)
    lake = {
        "STROKE_LAKE_CATALOG_URI": f"mysql://iceberg:{password}@nowhere/catalog",
        "STROKE_LAKE_ACCESS_KEY_ID": "local",
        "STROKE_LAKE_SECRET_ACCESS_KEY": key,
    }
    options = (f"--network={network}", "--memory=1g")
    with started(image, *options, command=driver, **lake) as stranger:
        code, said = run(image, *driver, network=network, STROKE_SPARK_SECRET=SECRET, **lake)
        until(
            lambda: "Failed to connect to master" in stranger.log,
            within=180,
            what="the master refuses a driver without the secret",
        )
        page = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:8080/json/').read())"
        state = master.execute("python", "-c", page)

    assert code == 0, said
    assert state.count('"name" : "driver"') == 1
    assert "jdbc.password" in said  # what follows is not true because nothing was shown
    assert "org.apache.spark.deploy.SparkSubmit" in said
    for secret in (SECRET, password, key):
        assert secret not in said + state + master.log
