"""Kafka Connect in Kubernetes does what it does under compose."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.containers import ROOT, build_image
from components.helm_chart import CHART, Chart, Resource, of_kind, only
from components.processes import STROKE, environment
from fakes.pipeline import FakeClock, FakeConnect, FakeLake, FakeTopics
from stroke.application.pipeline.connectors import ConnectorService
from stroke.config import PipelineSettings
from stroke.container.pipeline import connector_files

MONITORED = CHART / "ci/monitored.yaml"
CLUSTER_ID = "Xf_9-bCdEfGhIjKlMnOpQr"
# Strimzi has fields of its own for these, or sets them by itself (KafkaConnect, API v1).
STRIMZI_SETS = {
    "bootstrap.servers",
    "group.id",
    "config.storage.topic",
    "offset.storage.topic",
    "status.storage.topic",
    "listeners",
    "rest.advertised.host.name",
    "plugin.path",
}
# What KafkaConnect and KafkaConnector refuse in their config.
STRIMZI_REFUSES = re.compile(
    r"(ssl|sasl|security|rest)\.|listeners|plugin\.path|bootstrap\.servers|group\.id"
    r"|(config|offset|status)\.storage\.topic|(consumer|producer)\.interceptor\.classes"
)


def variables(service: str) -> dict[str, str]:
    """Return the environment of a service of deploy/compose.yaml, as .env.example fills it."""
    text = (ROOT / "deploy/.env.example").read_text()
    filled = dict(re.findall(r"^([A-Z0-9_]+)=(.*)$", text, re.MULTILINE))
    filled |= {name: "x" for name in filled if re.search(r"(PASSWORD|SECRET|TOKEN)$", name)}
    compose = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text())
    found: dict[str, str] = compose["services"][service]["environment"]
    given = {name: expanded(str(value), filled) for name, value in found.items()}
    for name in [name for name in given if name.endswith("_FILE")]:
        # What the file holds, as deploy/secrets.sh writes it.
        secret = name.removesuffix("_FILE")
        assert given.pop(name) == f"/run/secrets/{secret}"
        given[secret] = expanded(compose["x-secrets"][secret], filled)
    return given


def expanded(text: str, given: Mapping[str, str]) -> str:
    """Fill ${NAME}, ${NAME:-default} and ${NAME:?hint}, the inner ones first."""

    def fill(found: re.Match[str]) -> str:
        return given.get(found[1]) or found[2] or ""

    while (filled := re.sub(r"\$\{(\w+)(?::-([^${}]*)|:\?[^}]*)?\}", fill, text)) != text:
        text = filled
    return text


# Compose's broker asks nobody who they are.
NO_LOGIN: dict[str, Any] = {
    "connect": {
        "tls": {"existingSecret": ""},
        "authentication": {"type": "none", "existingSecret": ""},
    }
}


@pytest.fixture(scope="module")
def values(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return what `stroke connectors render` makes of compose's settings."""
    return values_of_connectors(tmp_path_factory.mktemp("connectors"))


@pytest.fixture(scope="module")
def resources(chart: Chart, values: Path) -> list[Resource]:
    return chart.render(MONITORED, values, NO_LOGIN)


def values_of_connectors(folder: Path, **changes: str) -> Path:
    own = {**variables("connectors"), "STROKE_CONNECT_FOLDER": str(ROOT / "connectors"), **changes}
    done = subprocess.run(
        [STROKE, "connectors", "render", "--cluster-id", CLUSTER_ID],
        cwd=folder,
        env=environment(**own),
        capture_output=True,
        text=True,
        check=True,
    )
    path = folder / "connectors.json"
    path.write_text(done.stdout)
    return path


def applied(
    monkeypatch: pytest.MonkeyPatch, folder: Path, **changes: str
) -> tuple[dict[str, dict[str, str]], dict[str, dict[str, str]]]:
    """Return the configs that `apply` gives to Connect under compose, and the topics it makes."""
    for name, value in {**variables("connectors"), **changes}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("STROKE_CONNECT_FOLDER", str(ROOT / "connectors"))
    monkeypatch.chdir(folder)
    files = connector_files(PipelineSettings.load())
    specs = [files.load(file, cluster_id=CLUSTER_ID) for file in files.names()]
    classes = {spec.config["connector.class"]: frozenset[str]() for spec in specs}
    connect, topics, clock = FakeConnect(classes, cluster=CLUSTER_ID), FakeTopics(), FakeClock()
    service = ConnectorService(
        registry=connect,
        control=connect,
        specs=files,
        change_topic=topics,
        change_log=FakeLake(),
        sleep=clock.sleep,
        clock=clock,
    )

    async def apply() -> None:
        await service.apply(await service.plan(), within=10)

    asyncio.run(apply())
    return {name: one.config for name, one in connect.connectors.items()}, topics.made


def as_connect_sees_it(resource: Resource) -> dict[str, str]:
    spec = resource["spec"]
    return {
        "connector.class": spec["class"],
        "tasks.max": str(spec["tasksMax"]),
        **spec["config"],
    }


def in_kubernetes(resources: list[Resource]) -> dict[str, dict[str, str]]:
    found = of_kind(resources, "KafkaConnector")
    return {one["metadata"]["name"]: as_connect_sees_it(one) for one in found}


def test_the_connectors_are_those_of_compose_key_by_key(
    resources: list[Resource], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    configs, topics = applied(monkeypatch, tmp_path)
    assert len(configs) == 3
    assert in_kubernetes(resources) == configs
    made = {one["spec"]["topicName"]: one["spec"] for one in of_kind(resources, "KafkaTopic")}
    assert {name: one["config"] for name, one in made.items()} == topics
    assert {one["partitions"] for one in made.values()} == {1}


def test_what_settings_change_is_changed_in_both(
    chart: Chart, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    changes = {
        "STROKE_CDC_MASK": "name",
        "STROKE_CDC_MASK_SALT": "x",
        "STROKE_LAKE_CATALOG": "glue",
        "STROKE_KAFKA_REPLICATION_FACTOR": "3",
        "STROKE_LAKE_COMMIT_SECONDS": "60",
    }
    changed = values_of_connectors(tmp_path, **changes)
    configs, _ = applied(monkeypatch, tmp_path, **changes)
    found = chart.render(MONITORED, changed, NO_LOGIN)
    assert in_kubernetes(found) == configs
    assert "mask" in configs["stroke-predictions-connector"]["transforms"]
    assert {one["spec"]["replicas"] for one in of_kind(found, "KafkaTopic")} == {3}


def test_clients_of_the_connectors_own_log_in_as_the_worker_does(
    chart: Chart, values: Path, resources: list[Resource]
) -> None:
    found = chart.render(MONITORED, values)
    connect = only(found, "KafkaConnect")["spec"]
    assert connect["authentication"]["passwordSecret"]["secretName"] == "stroke-connect"
    assert connect["tls"]["trustedCertificates"][0]["secretName"] == "stroke-cluster-ca-cert"
    login = {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.jaas.config": "${env:KAFKA_SASL_JAAS_CONFIG}",
        "ssl.truststore.type": "PEM",
        "ssl.truststore.certificates": "${env:KAFKA_CA_CERTIFICATES}",
    }
    clients = {
        "stroke-predictions-connector": [
            "schema.history.internal.producer.",
            "schema.history.internal.consumer.",
        ],
        "s3-sink-stroke-predictions": ["iceberg.kafka."],
        "mssql-sink-predictions": [],
    }
    without = in_kubernetes(resources)
    for name, config in in_kubernetes(found).items():
        added = {prefix + key: value for prefix in clients[name] for key, value in login.items()}
        assert config == {**without[name], **added}
    files = mounted(connect)
    assert files["KAFKA_SASL_JAAS_CONFIG"] == ("stroke-connect", "sasl.jaas.config")
    assert files["KAFKA_CA_CERTIFICATES"] == ("stroke-cluster-ca-cert", "ca.crt")


def mounted(connect: Resource) -> dict[str, tuple[str, str]]:
    """Return the files that the worker's provider finds: name, then Secret and key."""
    folders = connect["config"]["config.providers.env.param.folders"].split(",")
    mounts = {
        one["name"]: one["mountPath"]
        for one in connect["template"]["connectContainer"]["volumeMounts"]
    }
    found = {}
    for volume in connect["template"]["pod"]["volumes"]:
        # Strimzi takes additional volumes below /mnt alone.
        assert mounts[volume["name"]].startswith("/mnt/")
        assert (mounts[volume["name"]] in folders) == ("secret" in volume)
        for item in volume.get("secret", {"items": []})["items"]:
            found[item["path"]] = (volume["secret"]["secretName"], item["key"])
    return found


def test_what_a_library_reads_from_variables_is_named_and_is_no_file(
    chart: Chart, values: Path
) -> None:
    own = {"connect": {"secretNames": ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]}}
    connect = only(chart.render(MONITORED, values, own), "KafkaConnect")["spec"]
    env = connect["template"]["connectContainer"]["env"]
    from_secrets = {one["name"] for one in env if "valueFrom" in one}
    assert from_secrets == {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
    assert from_secrets.isdisjoint(mounted(connect))


def test_the_worker_is_set_as_the_one_of_compose(resources: list[Resource]) -> None:
    script = (ROOT / "deploy/images/kafka/bin/run").read_text()
    [properties] = re.findall(r"  connect\)\n.*?PROPERTIES\n(.*?)\nPROPERTIES", script, re.DOTALL)
    lines = [line for line in properties.splitlines() if not line.startswith("#")]
    compose = {key: expanded(value, {}) for key, _, value in (one.partition("=") for one in lines)}
    connect = only(resources, "KafkaConnect")
    config = {key: str(value) for key, value in connect["spec"]["config"].items()}
    replicas = {f"{topic}.storage.replication.factor" for topic in ("config", "offset", "status")}
    assert config.keys() == compose.keys() - STRIMZI_SETS
    assert {key for key in config if config[key] != compose[key]} == replicas
    fields = ("groupId", "configStorageTopic", "offsetStorageTopic", "statusStorageTopic")
    keys = ("group.id", "config.storage.topic", "offset.storage.topic", "status.storage.topic")
    assert [connect["spec"][field] for field in fields] == [compose[key] for key in keys]


def test_strimzi_is_given_nothing_that_it_refuses(resources: list[Resource]) -> None:
    operated = [one for one in resources if one["apiVersion"].startswith("kafka.strimzi.io/")]
    assert {one["apiVersion"] for one in operated} == {"kafka.strimzi.io/v1"}
    connect = only(resources, "KafkaConnect")
    assert connect["metadata"]["annotations"]["strimzi.io/use-connector-resources"] == "true"
    assert not [key for key in connect["spec"]["config"] if STRIMZI_REFUSES.match(key)]
    for one in of_kind(resources, "KafkaConnector"):
        assert one["metadata"]["labels"]["strimzi.io/cluster"] == connect["metadata"]["name"]
        assert {"name", "connector.class", "tasks.max"}.isdisjoint(one["spec"]["config"])
    for one in operated:
        assert re.fullmatch(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?", one["metadata"]["name"])


def test_the_worker_knows_each_name_in_the_connectors_and_no_secret_in_clear(
    resources: list[Resource],
) -> None:
    configs = json.dumps(in_kubernetes(resources))
    named = set(re.findall(r"\$\{env:(\w+)\}", configs))
    connect = only(resources, "KafkaConnect")["spec"]
    given = connect["template"]["connectContainer"]["env"]
    files = mounted(connect)
    assert named <= {one["name"] for one in given} | files.keys()
    compose = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text())
    assert named <= variables("connect").keys() | {*compose["services"]["connect"]["secrets"]}
    assert not [one for one in given if re.search("PASSWORD", one["name"])]
    secrets = [name for name in files if re.search("PASSWORD", name)]
    assert len(secrets) == 3
    assert {files[name] for name in secrets} == {("stroke-pipeline", name) for name in secrets}


def test_the_tables_of_both_sinks_are_made_before_their_connectors(
    resources: list[Resource],
) -> None:
    job = only(resources, "Job", "tables")
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    pod = job["spec"]["template"]["spec"]
    commands = [one["args"] for one in (*pod["initContainers"], *pod["containers"])]
    assert commands == [["pipeline", "sink-schema", "--apply"], ["lake", "create"]]


def test_the_worker_is_of_the_version_that_our_plugins_are_built_for(
    resources: list[Resource],
) -> None:
    pom = (ROOT / "connectors/pom.xml").read_text()
    version = only(resources, "KafkaConnect")["spec"]["version"]
    assert f"<kafka.version>{version}</kafka.version>" in pom


def test_a_worker_writes_to_its_scratch_and_to_strimzis_tmp_only(
    resources: list[Resource],
) -> None:
    spec = only(resources, "KafkaConnect")["spec"]
    container = spec["template"]["connectContainer"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    volumes = {one["name"]: one for one in spec["template"]["pod"]["volumes"]}
    places = {one["mountPath"]: volumes[one["name"]] for one in container["volumeMounts"]}
    [scratch] = [path for path, volume in places.items() if "emptyDir" in volume]
    assert places[scratch]["emptyDir"] == {"sizeLimit": "2Gi"}
    # Strimzi gives /tmp 5 MiB of memory: a file of the lake on its way does not fit.
    properties = {one["name"]: one["value"] for one in spec["jvmOptions"]["javaSystemProperties"]}
    assert properties == {"java.io.tmpdir": scratch}
    assert scratch.startswith("/mnt/")  # where Strimzi lets others mount


def test_the_image_for_strimzi_holds_our_plugins_and_its_user_can_read_them(
    docker_engine: None, tmp_path: Path
) -> None:
    # On Debian: an image of Strimzi's is not to be had everywhere. Where its workers look for
    # plugins and as whom they run (1001) is Strimzi's contract.
    base = subprocess.run(
        ["deploy/images/make-base.sh", "trixie", "stroke-base:trixie"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    images = {"KAFKA_IMAGE": build_image("kafka"), "STRIMZI_IMAGE": base}
    given = [part for one in images.items() for part in ("--build-arg", "=".join(one))]
    source = str(ROOT / "deploy/images/strimzi-connect")
    command = ["docker", "build", "--quiet", "--iidfile", str(tmp_path / "id"), *given, source]
    subprocess.run(command, capture_output=True, check=True)
    image = (tmp_path / "id").read_text().strip()
    pins = (ROOT / "connectors/jars.sha256").read_text().splitlines(keepends=True)
    check = "cd /opt/kafka && sha256sum --strict --check --quiet && ls plugins"
    try:
        looked = subprocess.run(
            ["docker", "run", "--rm", "-i", "--user", "1001:0", image, "sh", "-c", check],
            input="".join(line for line in pins if "  plugins/" in line),
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        subprocess.run(["docker", "rmi", image], capture_output=True, check=True)
    assert looked.returncode == 0, looked.stdout + looked.stderr
    assert set(looked.stdout.split()) == {
        "avro-converter",
        "debezium-connector-jdbc",
        "debezium-connector-mysql",
        "iceberg-sink",
        "transforms",
    }
