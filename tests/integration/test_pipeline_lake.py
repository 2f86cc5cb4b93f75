"""The upkeep of the table that the real sink writes, on the whole platform."""

from __future__ import annotations

import json
from typing import Any

from components.change_events import lake_events, lake_table, until
from components.stack import TOPIC, PipelineStack

from .test_pipeline_verify import assert_equal, predict


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
    pipeline: PipelineStack,
) -> None:
    """In the middle of traffic: the command waits for the copies by itself."""
    kept, erased = predict(pipeline, 20), [str(each) for each in predict(pipeline, 20)]
    assert_equal(pipeline)
    predict(pipeline, 50)

    done = pipeline.stroke("erase", *erased, "--yes", "--json", "--wait", "300")

    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["erased"] == [int(each) for each in erased]
    assert told["removed"]["lake"] >= len(erased)
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
    predict(pipeline, 50)
    assert_equal(pipeline)
