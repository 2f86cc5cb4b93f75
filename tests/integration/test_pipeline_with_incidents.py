"""Names that must not leave, and a Kafka that is made anew: after what wants the first one."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import httpx
import pytest
from confluent_kafka.admin import AdminClient

from components.change_events import (
    lake_events,
    lake_table,
    mysql_rows,
    raw_records,
    sink_rows,
    until,
)
from components.stack import BUCKET, PipelineStack

from .test_pipeline import WITHIN, arrived, predict

pytestmark = pytest.mark.soak("incidents: Kafka made anew, and a platform with masked names")

CANARY = "Quizzaciously Ünïque"
WORD = CANARY.split(maxsplit=1)[0]  # bounds in Iceberg's metadata are cut to 16 characters
BASE = "subjects/dbserver1.stroke_predictions.predictions-value"


def stroke(pipeline: PipelineStack, *arguments: str) -> subprocess.CompletedProcess[str]:
    done = pipeline.stroke(*arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def letters(pipeline: PipelineStack, *options: str) -> list[dict[str, Any]]:
    """Return the dead letters that wait."""
    listed = pipeline.stroke("pipeline", "dlq", "list", "--json", *options)
    found: list[dict[str, Any]] = json.loads(listed.stdout)["letters"]
    return found


def verified(pipeline: PipelineStack) -> dict[str, Any]:
    done = pipeline.stroke("pipeline", "verify", "--json", "--timeout", "300", within=500)
    assert done.stdout, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


@pytest.fixture
def clean(pipeline: PipelineStack) -> Iterator[PipelineStack]:
    """Give the stack, and see that a test leaves it with equal copies and no letters."""
    yield pipeline
    assert verified(pipeline)["equal"]
    assert letters(pipeline) == []


def test_a_masked_name_never_leaves_mysql(clean: PipelineStack) -> None:
    done = clean.stroke("connectors", "apply", "mysql-source", STROKE_CDC_MASK="name")
    assert done.returncode == 0, done.stderr
    try:
        ids = predict(clean, 20, name=CANARY)
        clean.mysql("UPDATE predictions SET province = 'elsewhere' WHERE id = %s", ids[0])
        httpx.delete(f"{clean.api_url}/api/v1/predictions/{ids[1]}", headers=clean.key, timeout=30)
        arrived(clean, [ids[0], *ids[2:]])
        assert mysql_rows(clean, f"id = {ids[2]}")[ids[2]]["name"] == CANARY
        assert sink_rows(clean, f"id = {ids[2]}")[ids[2]]["name"] == "***"

        assert leaks(clean, WORD) == []
        assert leaks(clean, "***") != [], "the search finds what is there"
    finally:
        clean.mysql("DELETE FROM predictions WHERE name = %s", CANARY)
        # While the mask is on: a deletion tells the row that is gone.
        until(lambda: not sink_rows(clean, "name = '***'"), within=WITHIN, what="the deletion")
        stroke(clean, "connectors", "apply", "mysql-source")
    assert leaks(clean, WORD) == []


def leaks(pipeline: PipelineStack, text: str) -> list[str]:
    """Return every topic, object, log and page of metrics that holds ``text``."""
    needles = {text.encode(), json.dumps(text)[1:-1].encode()}
    return [
        place
        for place, content in everything(pipeline)
        if any(needle in content for needle in needles)
    ]


def everything(pipeline: PipelineStack) -> Iterator[tuple[str, bytes]]:
    """Give all that left MySQL: on topics, in the bucket, in copies, logs and metrics."""
    yield from on_topics(pipeline)
    yield from in_the_bucket(pipeline)
    for event in lake_events(pipeline):
        yield "the Iceberg table", _text(event)
    # The metadata hold the least and the greatest name of each file.
    for file in lake_table(pipeline).inspect.files().to_pylist():
        yield "the Iceberg table's metadata", _text(file) + _bounds(file)
    for row in sink_rows(pipeline).values():
        yield "the SQL sink", _text(row)
    for service in ("kafka", "connect", "schema-registry", "api", "connectors", "verify", "mysql"):
        yield f"the log of {service}", pipeline.logs(service).encode()
    for name in ("jmx", "watch", "verify", "api"):
        url = f"http://127.0.0.1:{pipeline.ports[name]}/metrics"
        yield url, httpx.get(url, timeout=20).content


def on_topics(pipeline: PipelineStack) -> Iterator[tuple[str, bytes]]:
    admin = AdminClient({"bootstrap.servers": pipeline.bootstrap_servers})
    for topic, described in admin.list_topics(timeout=20).topics.items():
        if len(described.partitions) == 1:
            for message in raw_records(pipeline, topic):
                content = (message.key() or b"") + (message.value() or b"")
                yield f"{topic}@{message.offset()}", content


def in_the_bucket(pipeline: PipelineStack) -> Iterator[tuple[str, bytes]]:
    s3: Any = boto3.client(
        "s3",
        endpoint_url=pipeline.s3_endpoint,
        region_name="us-east-1",
        aws_access_key_id="local",
        aws_secret_access_key="local",
    )
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
        for found in page.get("Contents", []):
            yield found["Key"], s3.get_object(Bucket=BUCKET, Key=found["Key"])["Body"].read()
    s3.close()


def _text(found: Any) -> bytes:
    return json.dumps(found, ensure_ascii=False, default=str).encode()


def _bounds(file: dict[str, Any]) -> bytes:
    kept = (file["lower_bounds"] or [], file["upper_bounds"] or [])
    return b"|".join(value for bounds in kept for _, value in bounds)


def test_a_kafka_made_anew_beside_surviving_copies_is_reported_and_recovered_from(
    clean: PipelineStack, figures: Callable[[str], None]
) -> None:
    before = predict(clean, 500)
    arrived(clean, before)
    clean.compose("stop", "connectors", "verify", "connect", "schema-registry", "kafka")
    clean.compose("rm", "--force", "kafka")
    subprocess.run(
        ["docker", "volume", "rm", f"{clean.project}_kafka-data"], check=True, capture_output=True
    )
    erased = before[7]
    httpx.delete(f"{clean.api_url}/api/v1/predictions/{erased}", headers=clean.key, timeout=30)
    clean.compose("up", "--detach", "--no-build", "--wait", "kafka", "schema-registry", "connect")

    status = clean.stroke("connectors", "status")
    assert status.returncode == 1, "there are no connectors"
    dry = clean.stroke("connectors", "apply", "--dry-run")
    assert "cluster" in dry.stdout + dry.stderr
    late = clean.stroke("pipeline", "verify", "--timeout", "5")
    assert late.returncode == 1
    assert "`stroke connectors apply` makes them" in late.stderr

    # The documented command: what is missing is started, the connectors are applied.
    clean.compose("up", "--detach", "--no-build", "--wait")
    after = predict(clean, 500)
    arrived(clean, after)

    report = verified(clean)
    for copy in report["replicas"]:
        assert (copy["missing"], copy["different"], copy["duplicates"]) == (0, 0, 0)
        # A deletion that Kafka never saw: no snapshot tells of it.
        assert copy["ids"]["extra"] == [erased]
    stroke(clean, "pipeline", "repair", "--yes")
    report = verified(clean)
    assert report["equal"]
    figures(
        "Kafka made anew: "
        + "; ".join(
            f"{copy['replica']}: {copy['rows']:,} rows compared, 0 missing, 0 duplicates"
            for copy in report["replicas"]
        )
    )
