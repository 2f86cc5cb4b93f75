"""deploy/helm/stroke, as Helm renders it for three sets of values."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from components.containers import ROOT
from components.edge_proxy import defaults
from components.helm_chart import CHART, Chart, Refused, Resource, containers, of_kind, only, pods
from stroke import __version__
from stroke.application.pipeline.broker import Broker
from stroke.config import PipelineSettings
from stroke.container.configured import has_connect, has_kafka, has_registry
from stroke.entrypoints.api import service

SETS = {path.stem: path for path in sorted((CHART / "ci").glob("*.yaml"))}
MINIMAL = SETS["minimal"]
KUBERNETES = "1.37.0"
# The two versions that Kubernetes' schemas do not have: resources of operators.
OPERATORS = ("kafka.strimzi.io/", "monitoring.coreos.com/")
CONNECTOR = {"class": "a.Source", "tasksMax": 1, "config": {"password": "${env:STROKE_X}"}}
CONNECT = {"connect": {"connectors": {"a-source": CONNECTOR}}}


@pytest.fixture(name="sets", scope="module")
def every_set(chart: Chart) -> dict[str, list[Resource]]:
    return {name: chart.render(path, CONNECT) for name, path in SETS.items()}


def test_there_are_three_sets_of_values() -> None:
    assert sorted(SETS) == ["minimal", "monitored", "production"]


def test_helm_finds_nothing_to_complain_of(chart: Chart) -> None:
    for path in SETS.values():
        assert "WARNING" not in chart.lint(path, CONNECT)


def test_every_resource_is_valid_by_kubernetes_own_schemas(sets: dict[str, list[Resource]]) -> None:
    kinds = set()
    for resources in sets.values():
        for one in resources:
            if not one["apiVersion"].startswith(OPERATORS):
                kinds.add(one["kind"])
                kubernetes_validate.validate(one, KUBERNETES, strict=True)
    assert kinds == {
        *("ConfigMap", "Deployment", "HorizontalPodAutoscaler", "Job", "NetworkPolicy"),
        *("PodDisruptionBudget", "Service"),
    }


def test_no_pod_can_more_than_it_has_to(sets: dict[str, list[Resource]]) -> None:
    for resources in sets.values():
        check_pods(resources)


def check_pods(resources: list[Resource], **volumes: str) -> None:
    """Look at what pods may; ``volumes`` are the kinds of those that only some have."""
    for pod in pods(resources):
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == 10001
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert {"hostNetwork", "hostPID", "hostIPC", "hostUsers"}.isdisjoint(pod)
        kinds = {one["name"]: set(one) - {"name"} for one in pod["volumes"]}
        assert kinds.pop("secrets") == {"secret"}
        assert kinds.pop("keys", {"secret"}) == {"secret"}
        assert kinds.pop("oidc", {"secret"}) == {"secret"}
        assert kinds.pop("clinical", {"configMap"}) == {"configMap"}
        for name, kind in volumes.items():
            assert kinds.pop(name) == {kind}
        assert kinds.pop("account", {"secret"}) == {"secret"}
        assert kinds.pop("service", {"secret"}) == {"secret"}
        assert kinds.pop("kafka", {"projected"}) == {"projected"}
        assert all(kind == {"emptyDir"} for kind in kinds.values())
    for container in containers(resources):
        may = container["securityContext"]
        assert may["allowPrivilegeEscalation"] is may["privileged"] is False
        assert may["readOnlyRootFilesystem"] is True
        assert may["capabilities"] == {"drop": ["ALL"]}
        mounts = container["volumeMounts"]
        assert [one["mountPath"] for one in mounts if not one.get("readOnly")] == ["/tmp"]  # noqa: S108
        assert {"memory", "cpu"} <= set(container["resources"]["requests"])
        assert "memory" in container["resources"]["limits"]


def test_no_secret_is_made_or_spelt_out(sets: dict[str, list[Resource]]) -> None:
    for resources in sets.values():
        assert not of_kind(resources, "Secret")
        for container in containers(resources):
            assert "envFrom" not in container or "secretRef" not in str(container["envFrom"])
            for one in container["env"]:
                assert "valueFrom" not in one
                assert "PASSWORD" not in one["name"] or one["value"].startswith("/run/secrets/")
                assert "_KEY" not in one["name"] or one["value"].startswith("/run/keys/")
        for settings in of_kind(resources, "ConfigMap"):
            assert not any("PASSWORD" in name for name in settings["data"])


def test_the_first_keys_come_from_a_secret_and_prometheus_sends_its_own(chart: Chart) -> None:
    resources = chart.render(SETS["monitored"], CONNECT)
    pod = only(resources, "Deployment")["spec"]["template"]["spec"]
    [api] = pod["containers"]
    files = {one["name"]: one["value"] for one in api["env"]}
    [mounted] = [one["mountPath"] for one in api["volumeMounts"] if one["name"] == "keys"]
    [keys] = [one["secret"] for one in pod["volumes"] if one["name"] == "keys"]
    assert keys["secretName"] == "stroke-keys"
    for item in keys["items"]:
        assert files[f"{item['key']}_FILE"] == f"{mounted}/{item['path']}"
    [scraped] = only(resources, "ServiceMonitor")["spec"]["endpoints"]
    assert scraped["authorization"] == {
        "credentials": {"name": "stroke-keys", "key": "STROKE_METRICS_KEY"}
    }
    assert only(resources, "ConfigMap")["data"]["STROKE_INSECURE"] == "false"


def test_the_secret_of_the_client_at_the_provider_comes_from_a_file(chart: Chart) -> None:
    for name, mounts in (("production", 1), ("minimal", 0)):
        pod = only(chart.render(SETS[name], CONNECT), "Deployment")["spec"]["template"]["spec"]
        [api] = pod["containers"]
        files = [one for one in api["env"] if one["name"] == "STROKE_OIDC_CLIENT_SECRET_FILE"]
        mounted = [one for one in api["volumeMounts"] if one["name"] == "oidc"]
        volumes = [one["secret"] for one in pod["volumes"] if one["name"] == "oidc"]
        assert (len(files), len(mounted), len(volumes)) == (mounts, mounts, mounts)
        for file, mount, secret in zip(files, mounted, volumes, strict=True):
            [item] = secret["items"]
            assert file["value"] == f"{mount['mountPath']}/{item['path']}"
            assert secret["secretName"] == "stroke-oidc"


def test_files_for_record_systems_come_from_a_config_map(chart: Chart) -> None:
    for name, mounts in (("production", 1), ("minimal", 0)):
        resources = chart.render(SETS[name], CONNECT)
        pod = only(resources, "Deployment")["spec"]["template"]["spec"]
        [api] = pod["containers"]
        mounted = [one for one in api["volumeMounts"] if one["name"] == "clinical"]
        volumes = [one["configMap"] for one in pod["volumes"] if one["name"] == "clinical"]
        assert volumes == [{"name": "stroke-clinical"}] * mounts
        assert [one["readOnly"] for one in mounted] == [True] * mounts
        codes = only(resources, "ConfigMap")["data"].get("STROKE_CLINICAL_CODES")
        assert codes == (f"{mounted[0]['mountPath']}/codes.json" if mounts else None)


def test_the_service_is_open_only_where_a_value_says_so(chart: Chart) -> None:
    closed = only(chart.render(MINIMAL), "ConfigMap")["data"]
    is_open = only(chart.render(MINIMAL, {"access": {"insecure": True}}), "ConfigMap")["data"]
    assert (closed["STROKE_INSECURE"], is_open["STROKE_INSECURE"]) == ("false", "true")


def test_the_probes_and_the_metrics_are_routes_of_the_service(
    sets: dict[str, list[Resource]],
) -> None:
    routes = {getattr(route, "path", "") for route in service.router.routes}
    [container] = only(sets["monitored"], "Deployment")["spec"]["template"]["spec"]["containers"]
    probes = ("startup", "readiness", "liveness")
    asked = {kind: container[f"{kind}Probe"]["httpGet"] for kind in probes}
    assert {one["path"] for one in asked.values()} <= routes
    assert asked["readiness"]["path"] == "/health/ready"
    assert asked["liveness"]["path"] == asked["startup"]["path"] == "/health/live"
    assert {one["port"] for one in asked.values()} == {"http"}
    # The route gives the database 5 s, a start the database 60 s.
    assert container["readinessProbe"]["timeoutSeconds"] > 5
    startup = container["startupProbe"]
    assert startup["periodSeconds"] * startup["failureThreshold"] > 60
    [scraped] = only(sets["monitored"], "ServiceMonitor")["spec"]["endpoints"]
    assert (scraped["path"], scraped["port"]) == ("/metrics", "http")


def test_a_pod_ends_when_all_that_waits_is_answered(chart: Chart) -> None:
    resources = chart.render(MINIMAL, {"shutdown": {"forgetSeconds": 7, "drainSeconds": 90}})
    pod = only(resources, "Deployment")["spec"]["template"]["spec"]
    slept = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    drained = int(only(resources, "ConfigMap")["data"]["STROKE_HTTP_SHUTDOWN_SECONDS"])
    assert (slept, drained) == (7, 90)
    assert pod["terminationGracePeriodSeconds"] > slept + drained
    rolling = only(resources, "Deployment")["spec"]["strategy"]["rollingUpdate"]
    assert rolling == {"maxUnavailable": 0, "maxSurge": 1}


def test_pods_are_found_spread_kept_and_scaled_by_the_same_labels(
    sets: dict[str, list[Resource]],
) -> None:
    resources = sets["production"]
    deployment = only(resources, "Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    chosen = deployment["spec"]["selector"]["matchLabels"]
    assert chosen.items() <= labels.items()
    assert only(resources, "Service")["spec"]["selector"] == chosen
    budget = only(resources, "PodDisruptionBudget")["spec"]
    assert budget["selector"]["matchLabels"] == chosen
    assert budget["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
    spread = deployment["spec"]["template"]["spec"]["topologySpreadConstraints"]
    assert {one["topologyKey"]: one["whenUnsatisfiable"] for one in spread} == {
        "topology.kubernetes.io/zone": "DoNotSchedule",
        "kubernetes.io/hostname": "ScheduleAnyway",
    }
    assert all(one["labelSelector"]["matchLabels"] == chosen for one in spread)
    scaler = only(resources, "HorizontalPodAutoscaler")["spec"]
    assert scaler["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (3, 12)
    assert "replicas" not in deployment["spec"]  # or each upgrade would undo the scaling
    assert only(sets["minimal"], "Deployment")["spec"]["replicas"] == 2


def test_traffic_is_let_through_to_and_from_what_is_named_and_nothing_else(
    sets: dict[str, list[Resource]],
) -> None:
    policy = only(sets["monitored"], "NetworkPolicy", "stroke")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    [ingress] = policy["ingress"]
    assert ingress["ports"] == [{"port": "http", "protocol": "TCP"}]
    named = [one["namespaceSelector"]["matchLabels"] for one in ingress["from"]]
    assert named == [
        {"kubernetes.io/metadata.name": "clinic"},
        {"kubernetes.io/metadata.name": "monitoring"},
    ]
    for resources in sets.values():
        for one in of_kind(resources, "NetworkPolicy"):
            dns, mysql = one["spec"]["egress"]
            assert {port["port"] for port in dns["ports"]} == {53}
            assert dns["to"][0]["podSelector"]["matchLabels"] == {"k8s-app": "kube-dns"}
            assert [port["port"] for port in mysql["ports"]] == [3306]
            assert mysql["to"]
    assert only(sets["minimal"], "NetworkPolicy", "stroke")["spec"]["ingress"] == []


def test_the_schema_is_brought_up_to_date_before_the_pods(sets: dict[str, list[Resource]]) -> None:
    job = only(sets["production"], "Job")
    policy = only(sets["production"], "NetworkPolicy", "migrations")
    for hook in (job, policy):
        assert hook["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    weights = [int(one["metadata"]["annotations"]["helm.sh/hook-weight"]) for one in (policy, job)]
    assert weights == sorted(weights)
    kept = job["metadata"]["annotations"]["helm.sh/hook-delete-policy"]
    assert kept == "before-hook-creation,hook-succeeded"
    [container] = job["spec"]["template"]["spec"]["containers"]
    assert container["args"] == ["db", "upgrade"]
    assert account(job["spec"]["template"]["spec"]) == "stroke-mysql-schema"
    assert account(only(sets["production"], "Deployment")["spec"]["template"]["spec"]) == (
        "stroke-mysql"
    )
    # It gives the service's account its rights, and knows its name, not its password.
    [service] = [
        one["secret"]
        for one in job["spec"]["template"]["spec"]["volumes"]
        if one["name"] == "service"
    ]
    assert service["secretName"] == "stroke-mysql"
    assert service["items"] == [{"key": "MYSQL_USER", "path": "MYSQL_USER"}]
    [folder] = [one for one in container["volumeMounts"] if one["name"] == "service"]
    name = {
        "name": "STROKE_DATABASE_SERVICE_USER_FILE",
        "value": f"{folder['mountPath']}/MYSQL_USER",
    }
    assert name in container["env"]
    # On an install, hooks run before there is a ConfigMap.
    assert "envFrom" not in container
    assert {"MYSQL_HOST", "STROKE_QUEUE_CAPACITY"} <= {one["name"] for one in container["env"]}
    api = only(sets["production"], "Deployment")["spec"]["template"]["spec"]["containers"][0]
    assert api["args"] == ["serve", "--no-migrate"]
    assert api["image"] == container["image"]
    assert "@sha256:" in api["image"]


def test_the_service_s_own_account_changes_the_schema_where_no_other_is_named(
    sets: dict[str, list[Resource]],
) -> None:
    pod = only(sets["minimal"], "Job")["spec"]["template"]["spec"]
    assert account(pod) == account(only(sets["minimal"], "Deployment")["spec"]["template"]["spec"])
    assert "service" not in {one["name"] for one in pod["volumes"]}
    assert "SERVICE_USER" not in json.dumps(pod)


def account(pod: Resource) -> str:
    """Return the Secret whose user and password a pod's container reads, as files."""
    [volume] = [one["secret"] for one in pod["volumes"] if one["name"] == "secrets"]
    files = {one["path"]: one["key"] for one in volume["items"]}
    [container] = pod["containers"]
    [folder] = [one for one in container["volumeMounts"] if one["name"] == "secrets"]
    for name in ("MYSQL_USER", "MYSQL_PASSWORD"):
        assert files[name] == name
        assert {"name": f"{name}_FILE", "value": f"{folder['mountPath']}/{name}"} in container[
            "env"
        ]
    found: str = volume["secretName"]
    return found


def erasing(chart: Chart, **connect: Any) -> list[Resource]:
    wanted = {"connect": {"erasures": {"enabled": True}, **connect}}
    return chart.render(SETS["monitored"], CONNECT, wanted)


def test_a_pod_carries_out_erasures_where_a_value_says_so(chart: Chart) -> None:
    resources = erasing(chart)
    deployment = only(resources, "Deployment", "-erasures")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"].items() <= labels.items()
    pod = deployment["spec"]["template"]["spec"]
    check_pods([deployment], account="secret", kafka="projected")
    [container] = pod["containers"]
    assert container["args"] == ["erase", "work"]
    given = {one["name"]: one["value"] for one in container["env"]}
    assert given["STROKE_CONNECT_URL"] == "http://demo-stroke-connect-connect-api:8083"
    assert only(resources, "ConfigMap")["data"]["STROKE_ERASURE_WORKER"] == "pipeline"
    without = chart.render(SETS["monitored"], CONNECT)
    assert not [one for one in without if one["metadata"]["name"].endswith("-erasures")]
    assert "STROKE_ERASURE_WORKER" not in only(without, "ConfigMap")["data"]


def test_the_pod_of_erasures_logs_in_by_files_as_the_workers_do(
    chart: Chart, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pod = only(erasing(chart), "Deployment", "-erasures")["spec"]["template"]["spec"]
    [container] = pod["containers"]
    volumes = {one["name"]: one for one in pod["volumes"]}
    mounts = {one["mountPath"]: volumes[one["name"]] for one in container["volumeMounts"]}
    assert mounts["/run/secrets"]["secret"]["secretName"] == "stroke-pipeline"
    assert mounts["/run/account"]["secret"]["secretName"] == "stroke-mysql"
    named = [one["secret"] for one in mounts["/run/kafka"]["projected"]["sources"]]
    assert named == [
        {"name": "stroke-cluster-ca-cert", "items": [{"key": "ca.crt", "path": "ca.crt"}]},
        {"name": "stroke-connect", "items": [{"key": "password", "path": "password"}]},
    ]
    # The settings themselves take what the pod has: nothing is missing, and no name is wrong.
    for folder, names in {
        "kafka": ("ca.crt", "password"),
        "account": ("MYSQL_USER", "MYSQL_PASSWORD"),
        "secrets": (),
    }.items():
        (tmp_path / folder).mkdir()
        for name in names:
            (tmp_path / folder / name).write_text(f"the {name}\n")
    for one in container["env"]:
        assert "PASSWORD" not in one["name"] or one["value"].startswith("/run/")
        monkeypatch.setenv(one["name"], one["value"].replace("/run/", f"{tmp_path}/"))
    settings = PipelineSettings.load()
    assert settings.kafka.broker == Broker(
        "stroke-kafka-bootstrap.kafka.svc:9093",
        "SASL_SSL",
        user="stroke-connect",
        password="the password",
        ca_file=tmp_path / "kafka/ca.crt",
    )
    assert settings.database.sqlalchemy_url.password == "the MYSQL_PASSWORD"
    assert settings.database.sqlalchemy_url.host == "mysql.data.svc"
    looks = (has_kafka, has_registry, has_connect)
    assert all(look(settings) for look in looks)


@pytest.mark.parametrize(
    ("connect", "protocol"),
    [
        ({}, "SASL_SSL"),
        ({"authentication": {"type": "none"}}, "SSL"),
        ({"tls": {"existingSecret": ""}}, "SASL_PLAINTEXT"),
        ({"authentication": {"type": "none"}, "tls": {"existingSecret": ""}}, "PLAINTEXT"),
    ],
)
def test_the_pod_of_erasures_has_the_login_that_the_brokers_ask_for(
    chart: Chart, connect: dict[str, Any], protocol: str
) -> None:
    pod = only(erasing(chart, **connect), "Deployment", "-erasures")["spec"]["template"]["spec"]
    given = {one["name"]: one["value"] for one in pod["containers"][0]["env"]}
    assert given["STROKE_KAFKA_SECURITY_PROTOCOL"] == protocol
    assert ("STROKE_KAFKA_CA_FILE" in given) == protocol.endswith("SSL")
    assert ("STROKE_KAFKA_PASSWORD_FILE" in given) == protocol.startswith("SASL")
    kinds = {one["name"] for one in pod["volumes"]}
    assert ("kafka" in kinds) == (protocol != "PLAINTEXT")


def test_strimzis_workers_let_the_pod_of_erasures_ask_them(chart: Chart) -> None:
    resources = erasing(chart)
    policy = only(resources, "NetworkPolicy", "-erasures")["spec"]
    connect = only(resources, "KafkaConnect")["metadata"]["name"]
    assert policy["podSelector"]["matchLabels"] == {
        "strimzi.io/cluster": connect,
        "strimzi.io/kind": "KafkaConnect",
    }
    [rule] = policy["ingress"]
    [peer] = rule["from"]
    labels = only(resources, "Deployment", "-erasures")["spec"]["template"]["metadata"]["labels"]
    assert peer["podSelector"]["matchLabels"].items() <= labels.items()
    assert rule["ports"] == [{"port": 8083, "protocol": "TCP"}]


def test_erasures_without_an_image_of_the_pipeline_are_refused(chart: Chart) -> None:
    with pytest.raises(Refused) as refused:
        erasing(chart, tables={"enabled": False, "image": ""})
    assert "connect.erasures needs connect.tables.image" in str(refused.value)


def test_a_large_number_stays_a_whole_number(chart: Chart) -> None:
    resources = chart.render(MINIMAL, {"settings": {"STROKE_HTTP_MAX_BODY_BYTES": 16777216}})
    assert only(resources, "ConfigMap")["data"]["STROKE_HTTP_MAX_BODY_BYTES"] == "16777216"


def test_changed_settings_roll_the_pods(chart: Chart) -> None:
    def checksum(**settings: int) -> str:
        deployment = only(chart.render(MINIMAL, {"settings": settings}), "Deployment")
        found: str = deployment["spec"]["template"]["metadata"]["annotations"]["checksum/settings"]
        return found

    assert checksum() == checksum()
    assert checksum() != checksum(STROKE_QUEUE_CAPACITY=9)


def test_a_cluster_without_the_prometheus_operator_gets_no_service_monitor(chart: Chart) -> None:
    assert not of_kind(chart.render(SETS["monitored"], CONNECT, has="v1"), "ServiceMonitor")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"replica": 3}, "additional properties 'replica' not allowed"),
        ({"replicas": "3"}, "'/replicas': got string, want integer"),
        ({"database": {"password": "x"}}, "additional properties 'password' not allowed"),
        ({"database": {"existingSecret": ""}}, "'/database/existingSecret': minLength"),
        ({"settings": {"STROKE_CDC_MASK_SALT": "x"}}, "invalid propertyName"),
        ({"settings": {"STROKE_HTTP_PORT": 9}}, "invalid propertyName"),
        ({"networkPolicy": {"database": []}}, "'/networkPolicy/database': minItems"),
        ({"networkPolicy": {"database": [{"cidr": "0.0.0.0/0"}]}}, "'/networkPolicy/database/0"),
        ({"image": {"digest": "latest"}}, "'/image/digest': 'latest' does not match pattern"),
        ({"spread": {"zones": "Never"}}, "'/spread/zones': value must be one of"),
        ({"connect": {"enabled": True}}, "'/connect/connectors': minProperties"),
    ],
)
def test_wrong_values_are_refused_and_named(
    chart: Chart, values: dict[str, Any], message: str
) -> None:
    with pytest.raises(Refused) as refused:
        chart.render(MINIMAL, values)
    assert message in str(refused.value)


def test_the_schema_knows_every_value_and_no_other() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert _paths(schema, values) == set(_leaves(values))


def _paths(schema: dict[str, Any], values: Any, path: str = "") -> set[str]:
    """Return the paths of the described leaves; each object on the way must be closed."""
    if not (isinstance(values, dict) and "properties" in schema):
        assert schema["description"], path
        return {path}
    assert schema["additionalProperties"] is False, path
    named = {name: one for name, one in schema["properties"].items() if name != "global"}
    assert set(named) == set(values), path
    return set().union(
        *(_paths(one, values[name], f"{path}/{name}") for name, one in named.items())
    )


def _leaves(values: Any, path: str = "") -> Iterator[str]:
    closed = path.endswith(("/resources", "/dns"))  # shapes that the schema has once, for all
    if isinstance(values, dict) and values and not closed:
        for name, one in values.items():
            yield from _leaves(one, f"{path}/{name}")
    else:
        yield path


def test_the_readme_tells_the_values_as_they_are() -> None:
    table = subprocess.run(
        [sys.executable, ROOT / "deploy/helm/values_table.py"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert table in (CHART / "README.md").read_text(), table


def test_the_chart_is_of_the_version_of_the_service() -> None:
    assert yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"] == __version__


EDGE = {"edge": {"enabled": True, "image": "registry/stroke-edge:1", "tlsSecret": "stroke-tls"}}


def test_the_edge_can_no_more_than_it_has_to_and_reaches_the_service_alone(chart: Chart) -> None:
    resources = chart.render(MINIMAL, EDGE, {"edge": {"settings": {"EDGE_SECONDS": 5}}})
    for one in resources:
        kubernetes_validate.validate(one, KUBERNETES, strict=True)
    pod = only(resources, "Deployment", "edge")["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    [container] = pod["containers"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    settings = {one["name"]: one["value"] for one in container["env"]}
    service = only(resources, "Service", "stroke")
    port = service["spec"]["ports"][0]["port"]
    assert settings == {
        "EDGE_SERVICE": f"{service['metadata']['name']}:{port}",
        "EDGE_SECONDS": "5",
    }
    assert settings.keys() <= defaults().keys()
    policy = only(resources, "NetworkPolicy", "edge")["spec"]
    dns, api = policy["egress"]
    assert {each["port"] for each in dns["ports"]} == {53}
    labels = only(resources, "Deployment", "stroke")["spec"]["selector"]["matchLabels"]
    assert api["to"] == [{"podSelector": {"matchLabels": labels}}]
    [let_in] = only(resources, "NetworkPolicy", "stroke")["spec"]["ingress"]
    chosen = only(resources, "Deployment", "edge")["spec"]["selector"]["matchLabels"]
    assert {"podSelector": {"matchLabels": chosen}} in let_in["from"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"edge": {"image": ""}}, "'/edge/image': minLength"),
        ({"edge": {"tlsSecret": ""}}, "'/edge/tlsSecret': minLength"),
        ({"edge": {"settings": {"EDGE_PORT": 1}}}, "invalid propertyName"),
        ({"edge": {"settings": {"STROKE_X": 1}}}, "invalid propertyName"),
    ],
)
def test_an_edge_without_a_certificate_or_with_other_settings_is_refused(
    chart: Chart, values: dict[str, Any], message: str
) -> None:
    with pytest.raises(Refused) as refused:
        chart.render(MINIMAL, EDGE, values)
    assert message in str(refused.value)
