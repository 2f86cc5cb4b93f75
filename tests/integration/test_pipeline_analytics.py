"""The platform's own cluster of Spark: analyses, the stream, scores and the notebook on it."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pyarrow.parquet as pq
import pytest

from components.change_events import topic_events, until
from components.load import Load
from components.spark_cluster import Driver, SparkCluster
from components.stack import BUCKET, TOPIC, PipelineStack
from stroke.application.analyses.queries import analyses

pytestmark = pytest.mark.anyio

TABLES = {each.name: each.table for each in analyses() if not each.patient_level}
STREAMED = ("operations", "risk-distribution", "risk-by-gender", "trend-per-day")
Rows = list[tuple[Any, ...]]


@pytest.fixture(scope="module")
def cluster(pipeline: PipelineStack) -> Iterator[SparkCluster]:
    """The stack's cluster; the tests of other modules have its memory again."""
    cluster = SparkCluster(pipeline)
    cluster.launch()
    yield cluster
    cluster.remove()


@pytest.fixture(scope="module")
def filled(cluster: SparkCluster) -> SparkCluster:
    """Have predictions in every copy: some of them erased again."""

    async def load() -> None:
        load = Load(cluster.stack.api_url, tag="spark", key=cluster.stack.key)
        async with load.running():
            await load.until(more=600)
        async with httpx.AsyncClient(
            base_url=cluster.stack.api_url, headers=cluster.stack.key, timeout=60
        ) as http:
            for each in load.acknowledged[:20]:
                answer = await http.delete(f"/api/v1/predictions/{each.prediction_id}")
                assert answer.status_code == httpx.codes.NO_CONTENT

    asyncio.run(load())
    caught_up(cluster.stack)
    return cluster


def caught_up(stack: PipelineStack) -> None:
    done = stack.stroke("pipeline", "verify", "--timeout", "240")
    assert done.returncode == 0, done.stdout + done.stderr


def embedded(stack: PipelineStack, folder: Path, *options: str) -> tuple[dict[str, Any], Any]:
    """Return the record and the tables of the engine in one process."""
    done = stack.stroke("analytics", "run", "--output", str(folder), "--json", *options)
    assert done.returncode == 0, done.stderr
    found = {
        name: [tuple(row.values()) for row in pq.read_table(file).to_pylist()]
        for name, table in TABLES.items()
        if (file := folder / f"{table}.parquet").exists()
    }
    return json.loads(done.stdout), found


def assert_same(found: Rows, expected: Rows, name: str) -> None:
    """Compare rows of a table of PostgreSQL, which have no order."""
    assert len(found) == len(expected), name
    for row, other in zip(sorted(found, key=str), sorted(expected, key=str), strict=True):
        assert row == pytest.approx(other, abs=1e-12), name


def same(found: Rows, expected: Rows) -> bool:
    try:
        assert_same(found, expected, "")
    except AssertionError:
        return False
    return True


def results_at(stack: PipelineStack, names: Sequence[str]) -> dict[str, Rows]:
    return {name: stack.sink(f"SELECT * FROM {TABLES[name]}") for name in names}  # noqa: S608


def test_the_cluster_gives_the_tables_that_one_process_gives(
    filled: SparkCluster, tmp_path: Path
) -> None:
    done = filled.run(
        *("stroke", "analytics", "run", "--engine", "spark", "--json"),
        *("--output", filled.reports_url),
    )
    assert done.returncode == 0, done.stderr
    run = json.loads(done.stdout)
    here, expected = embedded(filled.stack, tmp_path / "reports")

    assert (run["engine"], here["engine"]) == ("spark", "duckdb")
    assert run["point"] == here["point"]
    assert (run["events"], run["predictions"]) == (here["events"], here["predictions"])
    assert expected.keys() == TABLES.keys()
    for name, rows in results_at(filled.stack, [*TABLES]).items():
        assert_same(rows, expected[name], name)


class Streamed:
    """What a stream has counted, and what it should have."""

    def __init__(self, stack: PipelineStack, name: str) -> None:
        self._stack = stack
        self._query = f"SELECT op, events FROM {TABLES['operations']}"  # noqa: S608
        self.checkpoint = f"s3://{BUCKET}/{name}"
        self.command = ["stroke", "analytics", "stream", *STREAMED]
        self.command += ["--every", "5", "--minimum-count", "1", "--checkpoint", self.checkpoint]

    def counted_events(self) -> int:
        return sum(count for _, count in self._stack.sink(self._query))

    async def complete(self, stream: Driver, folder: Path) -> int:
        """Wait until its tables tell what one process tells; return the number of events."""
        await asyncio.to_thread(caught_up, self._stack)
        events = Counter(
            value["op"] for _, _, value in topic_events(self._stack) if value is not None
        )
        await asyncio.to_thread(
            stream.wait_until,
            lambda: self.counted_events() >= events.total(),
            what="the stream has read everything",
        )
        assert dict(self._stack.sink(self._query)) == events
        _, expected = embedded(
            self._stack, folder, *STREAMED[1:], "--source", "db", "--minimum-count", "1"
        )
        # The tables of a batch are written one after the other: the others follow the operations.
        await asyncio.to_thread(
            stream.wait_until,
            lambda: all(
                same(rows, expected[name])
                for name, rows in results_at(self._stack, STREAMED[1:]).items()
            ),
            what="every table tells what one process tells",
        )
        for name, rows in results_at(self._stack, STREAMED[1:]).items():
            assert_same(rows, expected[name], name)
        return events.total()


@pytest.mark.soak("a stream is killed within a batch, and catches up")
async def test_a_stream_that_is_killed_loses_nothing_and_counts_nothing_twice(
    filled: SparkCluster, tmp_path: Path, figures: Callable[[str], None]
) -> None:
    stack = filled.stack
    streamed = Streamed(stack, "stream")
    load = Load(stack.api_url, tag="stream", pause=0.05, key=stack.key)
    with filled.driver("jupyter", *streamed.command, "--output", filled.reports_url) as stream:
        async with load.running(clients=1):
            await asyncio.to_thread(stream.wait_for_line, 0)
            # In the middle of a batch: its first table is there, and the others are not.
            before = streamed.counted_events()
            await asyncio.to_thread(
                stream.wait_until,
                lambda: streamed.counted_events() > before,
                what="the stream goes on",
            )
            await asyncio.to_thread(stream.kill)
            lines = len(stream.lines())
            await asyncio.to_thread(stream.start)
            await asyncio.to_thread(stream.wait_for_line, lines)
        events = await streamed.complete(stream, tmp_path)
        figures(
            f"stream: {len(load.acknowledged):,} predictions acknowledged around its kill; "
            f"{events:,} events, each counted once"
        )


@pytest.mark.soak("a stream lives through the end of each part that it needs")
async def test_a_stream_whose_parts_die_goes_on_or_says_why_and_counts_each_event_once(
    filled: SparkCluster, tmp_path: Path, figures: Callable[[str], None]
) -> None:
    stack = filled.stack
    streamed = Streamed(stack, "stream-with-faults")
    with filled.driver("jupyter", *streamed.command, "--output", filled.reports_url) as stream:
        await asyncio.to_thread(stream.wait_for_line, 0)
        for part in ("kafka", "schema-registry", "s3", "sql-sink"):
            load = Load(stack.api_url, tag=part, pause=0.2, key=stack.key)
            async with load.running(clients=1):
                await asyncio.to_thread(stack.kill, part)
                await asyncio.sleep(20)  # several updates of the tables are due meanwhile
                await asyncio.to_thread(stack.start, part)
            fared = "goes on"
            if not stream.is_running():
                said = [x for x in stream.errors().splitlines() if x.startswith("stroke: ")]
                assert said, stream.errors()[-3000:]
                fared = f"ends: {said[-1]}"
                await asyncio.to_thread(stream.start)
            lines = len(stream.lines())
            await asyncio.to_thread(stream.wait_for_line, lines)
            figures(f"stream without {part}: it {fared}")
        await streamed.complete(stream, tmp_path)


@pytest.mark.soak("one more source, on a session of its own")
def test_what_is_on_kafka_can_be_analysed_at_once(filled: SparkCluster, tmp_path: Path) -> None:
    names = ("risk-distribution", "operations")
    done = filled.run(
        *("stroke", "analytics", "run", *names, "--engine", "spark"),
        *("--source", "kafka", "--output", filled.reports_url, "--json"),
    )
    assert done.returncode == 0, done.stderr
    run = json.loads(done.stdout)
    here, expected = embedded(filled.stack, tmp_path, *names, "--source", "kafka")

    events = topic_events(filled.stack)
    [(rows,)] = filled.stack.mysql("SELECT COUNT(*) FROM predictions")
    for each in (run, here):
        assert each["events"] == sum(value is not None for _, _, value in events)
        assert each["point"]["tombstones"] == sum(value is None for _, _, value in events) > 0
        assert each["point"]["topic"] == TOPIC
        assert each["predictions"] == rows
    assert expected.keys() == set(names)
    for name, found in results_at(filled.stack, names).items():
        assert_same(found, expected[name], name)


_SCORE = """
set -e
stroke simulate 3000 --seed 7 > patients.csv
stroke score patients.csv here.parquet
python - << 'PYTHON'
import os, pyarrow.csv as csv, pyarrow.parquet as pq
from pyarrow import fs
s3 = fs.S3FileSystem(endpoint_override=os.environ["STROKE_LAKE_ENDPOINT"])
pq.write_table(csv.read_csv("patients.csv"), "BUCKET/patients/part.parquet", filesystem=s3)
PYTHON
stroke score --engine spark s3://BUCKET/patients s3://BUCKET/scored --json
python - << 'PYTHON'
import os, pyarrow.parquet as pq
from pyarrow import fs
s3 = fs.S3FileSystem(endpoint_override=os.environ["STROKE_LAKE_ENDPOINT"])
here = pq.read_table("here.parquet")["probability"].to_pylist()
there = pq.read_table("BUCKET/scored", filesystem=s3)["probability"].to_pylist()
assert len(here) == len(there) == 3000
print(max(abs(one - other) for one, other in zip(sorted(here), sorted(there))))
PYTHON
""".replace("BUCKET", BUCKET)


@pytest.mark.soak("one more session of Spark")
def test_the_cluster_scores_as_one_process_does(filled: SparkCluster) -> None:
    done = filled.run("bash", "-c", _SCORE)

    assert done.returncode == 0, done.stderr
    *_, summary, difference = done.stdout.splitlines()
    assert json.loads(summary)["scored"] == 3000
    assert float(difference) <= 1e-12


@pytest.mark.soak("one more session of Spark")
def test_the_notebook_runs_and_finds_the_tables_whole(filled: SparkCluster) -> None:
    done = filled.run(
        *("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--nbmake", "analytics.ipynb"),
        within=600,
    )

    assert done.returncode == 0, done.stdout[-3000:]
    assert "1 passed" in done.stdout


def test_nobody_gets_in_without_the_token_or_the_secret(cluster: SparkCluster) -> None:
    ports = cluster.stack.ports
    lab = f"http://127.0.0.1:{ports['jupyter']}/api/contents"
    token = cluster.stack.passwords["STROKE_JUPYTER_TOKEN"]
    for given in ({}, {"token": token[:-1]}):
        assert httpx.get(lab, params=given, timeout=60).status_code == httpx.codes.FORBIDDEN
    assert httpx.get(lab, params={"token": token}, timeout=60).status_code == httpx.codes.OK

    def workers() -> list[str]:
        state = httpx.get(f"http://127.0.0.1:{ports['spark_ui']}/json/", timeout=60).json()
        return [each["state"] for each in state["workers"]]

    assert workers() == ["ALIVE"]
    stranger = ("spark-worker", "worker", "spark://spark-master:7077")
    secret = {"STROKE_SPARK_SECRET": "a secret of its own", "STROKE_SPARK_SECRET_FILE": ""}
    with cluster.driver(*stranger, **secret) as refused:
        until(
            lambda: "Failed to connect to master" in refused.errors(),
            within=180,
            what="the master refuses a worker with another secret",
        )
        assert workers() == ["ALIVE"]
    rest = cluster.run("bash", "-c", "exec 3<> /dev/tcp/spark-master/6066", within=20)
    assert "refused" in rest.stderr
