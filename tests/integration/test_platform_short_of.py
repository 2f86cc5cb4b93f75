"""A platform that lacks what it takes for granted: room, keys, schemas, a binlog, memory, the time.

Its volumes are small and in memory, so that a disk is full in a second. Each drill ends with both
copies equal to MySQL, and with the cause named by the doctor where the fault does not mend itself.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from confluent_kafka.admin import AdminClient
from prometheus_client.parser import text_string_to_metric_families

from builders.predictions import patient_json
from components.change_events import raw_records, until
from components.containers import LABELS, build_image
from components.programs import program
from components.spark_cluster import Driver, SparkCluster
from components.stack import BUCKET, TOPIC, PipelineStack
from stroke.application.doctor.part_failures import FAILED_AT
from stroke.application.doctor.stack_checks import SINK_FAILED_AT

from .test_pipeline import predict

pytestmark = pytest.mark.soak("drills on a platform of their own, minutes each")

WITHIN = 300.0
VOLUMES = {"kafka-data": "300m", "mysql-data": "900m", "s3-data": "64m"}
FAKED = ("mysql", "kafka", "schema-registry", "connect", "api", "connectors", "verify", "sql-sink")
CLOCK = "libfaketimeMT.so.1"
# libfaketime does not know this wait of C11, which Kafka's client for Python is built on: it would
# last until the real clock reaches the time that the client was told.
WAITS = """
#include <errno.h>
#include <pthread.h>
#include <threads.h>
int cnd_timedwait(cnd_t *condition, mtx_t *lock, const struct timespec *until) {
  int ended = pthread_cond_timedwait((pthread_cond_t *)condition, (pthread_mutex_t *)lock, until);
  return ended == 0 ? thrd_success : ended == ETIMEDOUT ? thrd_timedout : thrd_error;
}
"""
JOURNAL = "kafkasql-journal"


def small_and_on_purpose(clock: Path) -> dict[str, Any]:
    """Return the changes to compose: small volumes, and a clock that can be set from outside."""
    faked: dict[str, Any] = {
        "environment": {
            "LD_PRELOAD": "${DRILL_PRELOAD:-}",
            "FAKETIME_TIMESTAMP_FILE": "/clock/now",
            "FAKETIME_CACHE_DURATION": "1",
            # Clocks that measure go on as they do on a host whose time is set.
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            # For another version of the C library: with it, a JVM waits for ever at its start.
            "FAKETIME_FORCE_MONOTONIC_FIX": "0",
        },
        "volumes": [f"{clock}:/clock:ro"],
    }
    services = {name: dict(faked) for name in FAKED}
    # What is in a volume counts here, because it is in memory.
    for name, limit in (("kafka", "1500m"), ("mysql", "2200m")):
        services[name] |= {"mem_limit": limit}
    services["s3"] = {"mem_limit": "600m"}
    for name in ("kafka", "mysql", "connect", "s3"):  # as they are in production
        services[name] |= {"restart": "unless-stopped"}
    owners = {"mysql-data": ""}
    return {
        "services": services,
        "volumes": {
            name: {
                "driver_opts": {
                    "type": "tmpfs",
                    "device": "tmpfs",
                    "o": f"size={size}" + owners.get(name, ",uid=10001,gid=10001"),
                }
            }
            for name, size in VOLUMES.items()
        },
    }


class Short(PipelineStack):
    """The platform on small volumes, which a container beside it holds, fills and frees."""

    def __init__(self, folder: Path) -> None:
        clock = folder / "clock"
        clock.mkdir(exist_ok=True)
        super().__init__(folder, small_and_on_purpose(clock))
        self._clock = clock
        self.set_clock("+0")
        self._holder = f"{self.project}-holder"

    def set_clock(self, offset: str) -> None:
        (self._clock / "now").write_text(f"{offset}\n")

    def preload(self) -> str:
        """Put the libraries that fake the time where containers see them; return their paths."""
        program("faketime", "faketime")
        found = next(Path("/usr/lib").glob(f"*/faketime/{CLOCK}"))
        (self._clock / CLOCK).write_bytes(found.read_bytes())
        source = self._clock / "waits.c"
        source.write_text(WAITS)
        compiler = program("cc", "build-essential")
        subprocess.run(
            [compiler, "-shared", "-fPIC", "-o", self._clock / "waits.so", source], check=True
        )
        return f"/clock/{CLOCK}:/clock/waits.so"

    def launch(self, **settings: str) -> None:
        self.prepare(**settings)
        self.is_up = True
        self.compose("create", "--no-build")
        command = ["docker", "run", "--detach", "--name", self._holder, "--user", "0"]
        command += [f"--label={key}={value}" for key, value in LABELS.items()]
        command += [f"--volume={self.project}_{name}:/{name}" for name in VOLUMES]
        command += ["--entrypoint", "sleep", build_image("kafka"), "infinity"]
        subprocess.run(command, check=True, capture_output=True)
        self.up()

    def remove(self) -> None:
        subprocess.run(["docker", "rm", "-f", self._holder], check=False, capture_output=True)
        super().remove()

    def fill(self, volume: str) -> None:
        script = f"dd if=/dev/zero of=/{volume}/filler bs=64k; df /{volume}"
        held = subprocess.run(
            ["docker", "exec", self._holder, "sh", "-c", script],
            check=True,
            capture_output=True,
            text=True,
        )
        assert "100%" in held.stdout, held.stdout

    def free(self, volume: str) -> None:
        subprocess.run(
            ["docker", "exec", self._holder, "rm", "-f", f"/{volume}/filler"], check=True
        )


@pytest.fixture(scope="module")
def short(docker_engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Short]:
    stack = Short(tmp_path_factory.mktemp("short"))
    try:
        stack.launch()
        yield stack
    finally:
        stack.remove()


class Streamed:
    """`analytics stream` beside the drills, on the platform's own cluster of Spark.

    It may end by what a drill does to it, if it says why. Then it is started again, as who runs it
    would do, and continues from its checkpoint.
    """

    _counts = "SELECT op, events FROM stroke_analytics_operations"

    def __init__(self, stack: PipelineStack, driver: Driver) -> None:
        self._stack = stack
        self._driver = driver

    def go_on(self) -> str:
        """Return how it fared in what has been done to the platform; have it run."""
        if self._driver.is_running():
            return "goes on"
        said = [x for x in self._driver.errors().splitlines() if x.startswith("stroke: ")]
        assert said, self._driver.errors()[-3000:]
        self._driver.start()
        return f"ends: {said[-1]}"

    def counts_each_event_once(self) -> int:
        """Wait until it has counted what the topic holds; return how many events these are."""
        events = sum(record.value() is not None for record in raw_records(self._stack, TOPIC))
        counted: list[int] = []

        def has_all() -> bool:
            self.go_on()
            counted.append(sum(count for _, count in self._stack.sink(self._counts)))
            return counted[-1] >= events

        until(has_all, within=WITHIN, what=f"the stream has counted {events} events")
        assert counted[-1] == events
        return events


@pytest.fixture(scope="module")
def streamed(short: Short) -> Iterator[Streamed]:
    cluster = SparkCluster(short)
    cluster.launch()
    command = ["stroke", "analytics", "stream", "operations", "--every", "5"]
    command += ["--minimum-count", "1", "--checkpoint", f"s3://{BUCKET}/stream-in-drills"]
    command += ["--output", cluster.reports_url]
    try:
        predict(short, 20)
        with cluster.driver("jupyter", *command) as driver:
            driver.wait_for_line(0)
            yield Streamed(short, driver)
    finally:
        cluster.remove()


@pytest.fixture(autouse=True)
def around(short: Short, streamed: Streamed, figures: Callable[[str], None]) -> Iterator[None]:
    """End each drill with a platform that is well, equal copies and a stream that missed none."""
    yield
    became_well(short)
    equal(short)
    fared = streamed.go_on()
    figures(
        f"analytics stream: it {fared}; {streamed.counts_each_event_once():,} events, each once"
    )


def examined(stack: PipelineStack, *, timeout: int = 20) -> dict[str, dict[str, str]]:
    """Return what the doctor, run as documented, says of each check that is not well."""
    command = ("exec", "-T", "connectors", "stroke", "doctor", "--json", "--timeout", str(timeout))
    report = stack.compose(*command, check=False)
    if not report:
        return {"doctor": {"state": "failed", "detail": "it did not run", "remedy": ""}}
    return {
        one["check"]: one
        for one in json.loads(report)["findings"]
        if one["state"] not in {"ok", "not configured"}
    }


def metrics(stack: PipelineStack, port: str) -> list[tuple[str, dict[str, str], float]]:
    """Return the name, labels and value of each sample at ``port``; none if nothing answers."""
    try:
        told = httpx.get(f"http://127.0.0.1:{stack.ports[port]}/metrics", timeout=10).text
        families = list(text_string_to_metric_families(told))
    except (httpx.HTTPError, ValueError):
        return []
    return [
        (sample.name, sample.labels, sample.value)
        for family in families
        for sample in family.samples
    ]


def tells(stack: PipelineStack, port: str, name: str, cause: str) -> bool:
    """Say whether a part tells of a failure of this cause. It costs a request."""
    return any(
        found == name and cause in labels.get("cause", "")
        for found, labels, _ in metrics(stack, port)
    )


def is_calm(stack: PipelineStack) -> bool:
    """Say whether the watcher sees every connector run, and no sink that failed or is behind."""
    seen = metrics(stack, "watch")
    runs = [value == 1 for name, _, value in seen if name == "stroke_connector_running"]
    behind = [value for name, _, value in seen if name == "stroke_sink_lag_records" and value]
    failed = [name for name, _, _ in seen if name == SINK_FAILED_AT]
    return bool(runs) and all(runs) and not behind and not failed


def became_well(stack: PipelineStack) -> None:
    # A look at the metrics costs next to nothing, and a start of the doctor seconds of a core. It
    # is asked in any case, soon: what the watcher does not see may be well or not.
    with contextlib.suppress(AssertionError):
        until(lambda: is_calm(stack), within=60, what="the watcher sees nothing wrong")
    found: dict[str, dict[str, str]] = {}
    deadline = time.monotonic() + WITHIN
    while time.monotonic() < deadline:
        found = examined(stack, timeout=60)
        if not found:
            return
        time.sleep(2)
    pytest.fail(f"the doctor still finds: {named(found)}")


def named(found: dict[str, dict[str, str]]) -> str:
    return "; ".join(f"{name}: {one['detail']}" for name, one in found.items())


def failing(
    stack: PipelineStack,
    check: str,
    *words: str,
    within: float = 180.0,
    sign: Callable[[], bool] = lambda: True,
) -> dict[str, dict[str, str]]:
    """Wait until the doctor names a failed check, with these words in what it says.

    It is not asked before there is a ``sign``, which is cheaper to look for, or for ``within``.
    """

    def seen() -> dict[str, dict[str, str]]:
        found = examined(stack)
        one = found.get(check, {"state": "", "detail": ""})
        said = one["state"] == "failed" and all(word in one["detail"] for word in words)
        last.append(named(found))
        return found if said else {}

    last: list[str] = []
    with contextlib.suppress(AssertionError):
        until(sign, within=within, what=f"a sign of {check}")
    try:
        return until(seen, within=within, what=f"the doctor about {check}")
    except AssertionError:
        # The sinks' own words are nowhere else, and the platform is gone after the drill.
        lines = stack.logs("connect").splitlines()
        told = [line for line in lines if " WARN " in line or " ERROR " in line or "Caused" in line]
        pytest.fail(
            f"{check} ({', '.join(words)}) was not named; last: {last[-1]}\n"
            + "\n".join(line[:300] for line in told[-40:])
        )


def equal(stack: PipelineStack) -> dict[str, Any]:
    done = stack.stroke("pipeline", "verify", "--json", "--timeout", "300", within=500)
    assert done.stdout, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    assert report["equal"], report
    assert {copy["replica"] for copy in report["replicas"]} == {"sql", "s3"}
    return report


def stored(stack: PipelineStack, ids: list[int]) -> None:
    least, most = min(ids), max(ids)
    found = stack.mysql("SELECT id FROM predictions WHERE id BETWEEN %s AND %s", least, most)
    assert set(ids) <= {number for (number,) in found}


Figures = Callable[[str], None]


def test_a_full_disk_under_s3_is_named_and_nothing_is_lost(short: Short, figures: Figures) -> None:
    short.fill("s3-data")
    try:
        ids = predict(short, 200)
        found = failing(
            short,
            "connectors run",
            "S3 fails",
            sign=lambda: tells(short, "watch", SINK_FAILED_AT, "S3 fails"),
        )
    finally:
        short.free("s3-data")
    # As the doctor advises: the watcher waits for minutes before it restarts one so often failed.
    assert short.stroke("connectors", "restart", "--only-failed").returncode == 0

    figures(f"S3's disk full: {named(found)}")
    stored(short, ids)


def test_wrong_keys_of_s3_are_named_and_the_right_ones_bring_everything_back(
    short: Short, figures: Figures
) -> None:
    short.compose("exec", "s3", "sh", "-c", "echo local > /tmp/key")
    short.configure(AWS_ACCESS_KEY_ID="another")
    try:
        # Not `up`, which waits for the watcher, which waits for connectors that cannot run.
        short.compose("restart", "connect", "connectors")
        ids = predict(short, 200)
        found = failing(short, "lake", "credentials")
    finally:
        short.configure()
        short.compose("exec", "s3", "rm", "-f", "/tmp/key")  # noqa: S108
        short.compose("restart", "connect", "connectors")

    figures(f"wrong keys of S3: {named(found)}")
    stored(short, ids)


def test_a_binlog_purged_by_hand_before_it_was_read_is_made_up_for_by_a_snapshot(
    short: Short, figures: Figures
) -> None:
    before = predict(short, 50)
    equal(short)
    short.compose("stop", "connectors", "connect")
    missed = predict(short, 100)
    erased = before[3]
    httpx.delete(
        f"{short.api_url}/api/v1/predictions/{erased}", headers=short.key, timeout=30
    ).raise_for_status()
    short.mysql("FLUSH BINARY LOGS")

    def purged() -> bool:
        """Purge; MySQL keeps what a reader that has just gone may still read, and says nothing."""
        logs = short.mysql("SHOW BINARY LOGS")
        short.mysql(f"PURGE BINARY LOGS TO '{logs[-1][0]}'")
        return len(logs) == 1

    until(purged, within=120, what="the purge")

    short.compose("up", "--detach", "--no-build", "--no-deps", "connect", "connectors")
    after = predict(short, 50)
    until(
        lambda: short.stroke("connectors", "status").returncode == 0,
        within=WITHIN,
        what="the connectors run",
    )
    done = short.stroke("pipeline", "verify", "--json", "--timeout", "300", within=500)
    assert done.stdout, done.stderr
    report = json.loads(done.stdout)
    for copy in report["replicas"]:
        assert (copy["missing"], copy["different"], copy["duplicates"]) == (0, 0, 0), report
        # A deletion that nobody read: no snapshot tells of it, verify does.
        assert copy["ids"]["extra"] == [erased]
    found = examined(short)
    mended = short.stroke("pipeline", "repair", "--yes", "--timeout", "240", within=500)
    assert mended.returncode == 0, mended.stderr
    figures(f"binlog purged: the source made a snapshot; 1 deletion was missed: {named(found)}")
    stored(short, missed + after)


def test_a_connect_out_of_memory_is_named_and_goes_on_with_more(
    short: Short, figures: Figures
) -> None:
    short.configure(STROKE_CONNECT_HEAP="56m")
    try:
        short.compose("up", "--detach", "--no-build", "--no-deps", "connect")
        ids = predict(short, 200)
        found = failing(
            short,
            "Kafka Connect",
            "ran out of memory",
            "STROKE_CONNECT_HEAP",
            sign=lambda: tells(short, "jmx", FAILED_AT, "out-of-memory"),
        )
        assert "OutOfMemoryError" in short.logs("connect")
    finally:
        short.configure()
        short.compose("up", "--detach", "--no-build", "--wait", "connect")

    figures(f"Connect out of memory: {named(found)}")
    stored(short, ids)


def test_a_registry_whose_storage_is_lost_gets_its_schemas_again(
    short: Short, figures: Figures
) -> None:
    """Every copy is up to date when it is lost: an older event needs a schema that is gone."""
    predict(short, 50)
    equal(short)
    admin = AdminClient({"bootstrap.servers": short.bootstrap_servers})
    topics = [name for name in admin.list_topics(timeout=20).topics if name.startswith("kafkasql")]
    assert JOURNAL in topics
    for gone in admin.delete_topics(topics).values():
        gone.result(30)
    short.compose("restart", "schema-registry")
    ids = predict(short, 100)
    found = examined(short)
    figures(f"registry's storage lost: {named(found) or 'the doctor finds nothing'}")

    short.compose("restart", "connect")
    stored(short, ids)


def test_a_full_disk_under_the_broker_is_named_and_nothing_is_lost(
    short: Short, figures: Figures
) -> None:
    short.fill("kafka-data")
    ids: list[int] = []
    try:
        for _ in range(5):
            ids += predict(short, 200)  # the service does not depend on the pipeline
        found = failing(
            short,
            "Kafka",
            "its disk is full",
            sign=lambda: tells(short, "broker_jmx", FAILED_AT, "disk-full"),
        )
    finally:
        short.free("kafka-data")

    figures(f"the broker's disk full: {named(found)}")
    stored(short, ids)


def test_a_full_disk_under_mysql_refuses_predictions_and_loses_none_that_was_acknowledged(
    short: Short, figures: Figures
) -> None:
    acknowledged: list[int] = []
    refused = 0

    def one() -> int:
        """Predict for one patient; return the status, 0 for no answer."""
        try:
            answer = httpx.post(
                f"{short.api_url}/api/v1/predict",
                json=patient_json(),
                headers=short.key,
                timeout=20,
            )
        except httpx.HTTPError:
            return 0
        if answer.status_code == httpx.codes.OK:
            acknowledged.append(answer.json()["prediction_id"])
        return answer.status_code

    short.fill("mysql-data")
    try:
        deadline = time.monotonic() + 120
        while refused < 3 and time.monotonic() < deadline:
            if one() != httpx.codes.OK:
                refused += 1
            elif len(acknowledged) % 50 == 0:  # what MySQL freed itself
                with contextlib.suppress(AssertionError):
                    short.fill("mysql-data")
        found = examined(short)
    finally:
        short.free("mysql-data")

    figures(f"MySQL's disk full: {len(acknowledged)} stored, {refused} refused; {named(found)}")
    assert refused == 3
    assert found, "the doctor finds nothing"
    became_well(short)
    assert one() == httpx.codes.OK
    stored(short, acknowledged)


@pytest.mark.timeout(1800)  # ten waits, each with a limit of its own
def test_clocks_an_hour_off_and_back_cost_nothing(short: Short, figures: Figures) -> None:
    short.configure(DRILL_PRELOAD=short.preload())
    try:
        short.compose("up", "--detach", "--no-build", "--wait")
        became_well(short)
        ids = predict(short, 100)
        short.set_clock("+1h")
        time.sleep(5)
        said = short.compose("exec", "-T", "connect", "date", "+%s")
        assert abs(int(said) - time.time() - 3600) < 60
        ids += predict(short, 100)
        became_well(short)
        equal(short)
        ends = short.crashes("connect")
        short.set_clock("+0")
        ids += predict(short, 100)
        until(lambda: short.crashes("connect") > ends, within=WITHIN, what="Connect ends itself")
        found = failing(short, "lake", "after this clock's", "stroke lake set-back")
        assert short.stroke("lake", "set-back", "--yes").returncode == 0
        # As the doctor advises: the watcher waits for minutes before it restarts it.
        assert short.stroke("connectors", "restart", "--only-failed").returncode == 0
        became_well(short)
        equal(short)
    finally:
        short.set_clock("+0")
        short.configure()
        short.compose("up", "--detach", "--no-build", "--wait")

    figures(f"clocks an hour ahead and back: both copies equal each time; {named(found)}")
    stored(short, ids)
