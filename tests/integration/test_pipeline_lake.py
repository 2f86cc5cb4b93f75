"""The upkeep of the table that the real sink writes, on the whole platform."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from confluent_kafka import Producer

from components.audit_entries import written_by_commands
from components.change_events import lake_events, lake_table, mysql_rows, raw_records, until
from components.stack import BUCKET, TOPIC, PipelineStack

from .test_pipeline_verify import NAME, assert_equal, predict

LETTERS: Final = "dlq.s3-sink-stroke-predictions"


def upkeep(stack: PipelineStack, *arguments: str) -> dict[str, Any]:
    done = stack.stroke("lake", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def stored(stack: PipelineStack) -> list[tuple[str, int]]:
    places = [event["_kafka_metadata"] for event in lake_events(stack)]
    return [(place["cluster"], place["offset"]) for place in places]


def test_the_sink_goes_on_exactly_after_compaction_expiry_and_a_kill(
    pipeline: PipelineStack,
) -> None:
    """It finds its last commit although everything before it is forgotten."""
    for _ in range(2):
        snapshots = len(lake_table(pipeline).snapshots())
        predict(pipeline, 150)
        until(
            lambda: len(lake_table(pipeline).snapshots()) > snapshots,  # noqa: B023
            within=180,
            what="the sink commits",
        )
    assert_equal(pipeline)
    before = stored(pipeline)

    predict(pipeline, 150)  # commits in the middle of it
    compacted = upkeep(pipeline, "compact", "--all")
    expired = upkeep(pipeline, "expire", "--older-than-days", "0", "--keep", "1")
    assert compacted["files_before"] > compacted["files_after"] > 0
    assert expired["snapshots"] > 0
    assert expired["files"] > 0
    assert set(stored(pipeline)) >= set(before)

    predict(pipeline, 150)
    pipeline.kill("connect")
    pipeline.start("connect")
    predict(pipeline, 50)
    assert_equal(pipeline)
    found = stored(pipeline)
    assert len(found) == len(set(found))
    assert upkeep(pipeline, "orphans", "--older-than-hours", "1")["files"] == []


def test_erased_predictions_leave_every_copy_and_the_pipeline_goes_on(
    pipeline: PipelineStack, tmp_path: Path
) -> None:
    """In the middle of traffic: the command waits for the copies by itself."""
    kept, erased = predict(pipeline, 20), [str(each) for each in predict(pipeline, 20)]
    assert_equal(pipeline)
    predict(pipeline, 50)

    with written_by_commands(pipeline, NAME) as written:
        done = pipeline.stroke("erase", *erased, "--yes", "--json", "--wait", "300")

    assert done.returncode == 0, done.stderr
    assert written == [
        ("prediction.erase", "20 predictions", "asked"),
        *(("prediction.erase", each, "asked") for each in erased),
        *(("prediction.erase", each, "done") for each in erased),
    ]
    report = json.loads(done.stdout)
    assert report["erased"] == [int(each) for each in erased]
    assert report["removed"]["lake"] >= len(erased)
    proved = pipeline.stroke("erase", "prove", *erased, "--json")
    assert proved.returncode == 0, proved.stdout
    # The events of the rows are in Kafka's topic still, each with the time of its end.
    left = json.loads(proved.stdout)["traces"]
    assert {each["place"] for each in left} == {"topic"}
    assert all(each["until"] for each in left)
    ends = {each["what"]: each["until"] for each in json.loads(proved.stdout)["kept"]}
    assert set(ends) == {"MySQL's binlog", f"Kafka's topic {TOPIC}"}
    assert all(ends.values())
    there = pipeline.stroke("erase", "prove", str(kept[0]), "--json")
    assert there.returncode == 1
    places = {each["place"] for each in json.loads(there.stdout)["traces"]}
    assert places == {"database", "SQL copy", "lake", "topic"}
    # Others have the same name: it is in every copy still, and in no row that was erased.
    values = tmp_path / "values.txt"
    values.write_text(NAME)
    searched = pipeline.stroke("erase", "prove", erased[0], "--values", str(values), "--json")
    assert searched.returncode == 1, searched.stderr
    assert NAME not in searched.stdout
    named = json.loads(searched.stdout)["values"]
    copies = {"database", "SQL copy", f"bucket {BUCKET}", "topics"}
    assert {each["place"] for each in named} == copies
    assert not {f"table predictions, row {each}" for each in erased} & {t["where"] for t in named}
    piped = f"echo '{NAME}' | stroke erase prove {erased[0]} --values - --json"
    inside = pipeline.compose("exec", "-T", "connectors", "sh", "-c", piped, check=False)
    assert copies <= {each["place"] for each in json.loads(inside)["values"]}
    predict(pipeline, 50)
    assert_equal(pipeline)


def test_events_that_the_lake_loses_and_events_that_are_shown_are_in_the_audit_trail(
    pipeline: PipelineStack,
) -> None:
    ids = predict(pipeline, 3)
    assert_equal(pipeline)
    answer = httpx.delete(
        f"{pipeline.api_url}/api/v1/predictions/{ids[0]}", headers=pipeline.key, timeout=30
    )
    assert answer.status_code == 204
    assert_equal(pipeline)

    with written_by_commands(pipeline, NAME) as written:
        done = upkeep(pipeline, "erase", str(ids[0]), "--yes")
        table = pipeline.stroke("pipeline", "tail", "--limit", "3")
        shown = pipeline.stroke("pipeline", "tail", "--limit", "20", "--json")

    assert done["events"] >= 2
    assert written == [
        ("prediction.erase", "1 prediction in the lake", "asked"),
        ("prediction.erase", "1 prediction in the lake", "done"),
        ("data.export", "records of a topic", "asked"),
        ("data.export", "records of a topic", "done"),
    ]
    assert (table.returncode, shown.returncode) == (0, 0)
    assert NAME not in table.stdout
    records = [json.loads(line) for line in shown.stdout.splitlines()]
    after = [(record["value"] or {}).get("after") or {} for record in records]
    assert ids[2] in {row["id"] for row in after if row.get("name") == NAME}
    assert_equal(pipeline)


@pytest.mark.soak("it kills Connect, and waits for copies under load")
def test_an_erasure_ends_though_connect_is_killed_in_the_middle_of_it(
    pipeline: PipelineStack,
) -> None:
    """With a letter and a checkpoint about the erased rows, in the middle of traffic."""
    ids = predict(pipeline, 20)
    erased = [str(each) for each in ids]
    assert_equal(pipeline)
    *_, about_the_last = raw_records(pipeline, TOPIC)
    producer = Producer({"bootstrap.servers": pipeline.bootstrap_servers})
    producer.produce(LETTERS, about_the_last.value(), about_the_last.key())
    producer.flush(30)

    def stroke(*arguments: str) -> subprocess.CompletedProcess[str]:
        return pipeline.stroke(*arguments, within=900, STROKE_ERASURE_ANALYSES="reports")

    analysed = stroke(
        *("analytics", "run", "latest-snapshot", "--output", "reports", "--checkpoint", "reports")
    )
    assert analysed.returncode == 0, analysed.stderr
    before = stroke("erase", "prove", erased[-1], "--json")
    found = {each["place"] for each in json.loads(before.stdout)["traces"]}
    assert {"database", "SQL copy", "lake", "dead letters", "checkpoint in reports"} <= found

    over = threading.Event()

    def traffic() -> None:
        while not over.is_set():
            predict(pipeline, 5)
            time.sleep(0.5)

    with ThreadPoolExecutor(2) as beside:
        sending = beside.submit(traffic)
        erasing = beside.submit(stroke, "erase", *erased, "--yes", "--json", "--wait", "300")
        until(
            lambda: not mysql_rows(pipeline, f"id IN ({', '.join(erased)})"),
            within=120,
            what="the rows are gone from MySQL",
        )
        pipeline.kill("connect")
        time.sleep(10)
        pipeline.start("connect")
        done = erasing.result()
        over.set()
        sending.result()
    if done.returncode != 0:  # a copy was behind: the same command finishes it
        done = stroke("erase", *erased, "--yes", "--json", "--wait", "300")
    assert done.returncode == 0, done.stderr
    proved = stroke("erase", "prove", *erased, "--json")
    assert proved.returncode == 0, proved.stdout
    assert {each["place"] for each in json.loads(proved.stdout)["traces"]} == {"topic"}
    assert_equal(pipeline)
