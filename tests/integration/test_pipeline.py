"""A prediction's way through the whole platform, as compose runs it."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from components.change_events import (
    lake_events,
    lake_ids,
    lake_table,
    latest,
    mysql_rows,
    plain,
    sink_ids,
    sink_row,
    sink_rows,
    topic_events,
    until,
)
from components.stack import PipelineStack

PATIENT = {
    "gender": "Female",
    "age": 67.25,
    "hypertension": 0,
    "heart_disease": 1,
    "avg_glucose_level": 228.69,
    "bmi": 36.6,
    "smoking_status": "formerly smoked",
    "name": "Zoë Ωmega 王小明 👩‍⚕️",
    "country": "Côte d'Ivoire",
    "province": "東京都",
}
WITHIN = 180.0


def predict(stack: PipelineStack, count: int, **changes: Any) -> list[int]:
    """Let the service predict for ``count`` patients; return the predictions' ids."""
    patients = [PATIENT | {"age": 20 + number % 60} | changes for number in range(count)]
    answer = httpx.post(
        f"{stack.api_url}/api/v1/predictions:batch",
        json={"patients": patients},
        headers=stack.key,
        timeout=60,
    )
    assert answer.status_code == 200, answer.status_code
    return [made["prediction_id"] for made in answer.json()["predictions"]]


def arrived(stack: PipelineStack, ids: list[int]) -> None:
    """Wait until both sinks hold these ids."""
    wanted = set(ids)
    until(lambda: wanted <= sink_ids(stack), within=WITHIN, what="the SQL sink")
    until(lambda: wanted <= lake_ids(stack), within=WITHIN, what="the lake")


def test_every_column_arrives_everywhere_exactly_as_it_is_stored(pipeline: PipelineStack) -> None:
    answer = httpx.post(
        f"{pipeline.api_url}/predict", json=PATIENT, headers=pipeline.key, timeout=30
    )
    assert answer.status_code == 200
    first = answer.json()["prediction_id"]
    ids = [first, *predict(pipeline, 50)]
    # As another writer may leave a row: nothing but an id, and values at the edge of their types.
    pipeline.mysql(
        "INSERT INTO predictions (timestamp, age, probability, name, prediction_data) VALUES"
        " (NULL, NULL, NULL, NULL, NULL),"
        " ('2026-01-01 00:00:00.000001', 0.1, 1e-300, '', '[1.5e-7]')"
    )
    ids += [row[0] for row in pipeline.mysql("SELECT id FROM predictions WHERE id > %s", ids[-1])]
    arrived(pipeline, ids)

    stored = {number: row for number, row in mysql_rows(pipeline).items() if number in ids}
    events = topic_events(pipeline)
    on_topic = {
        value["after"]["id"]: plain(value["after"])
        for _, _, value in events
        if value is not None and value["after"] is not None
    }
    assert stored[first]["name"] == PATIENT["name"]
    assert stored[first]["timestamp"].microsecond != 0
    assert stored[ids[-2]]["timestamp"] is None
    assert {number: on_topic[number] for number in ids} == stored
    for copy in (sink_rows(pipeline), latest(lake_events(pipeline))):
        assert {number: copy[number] for number in ids} == stored


def test_the_change_log_tells_where_each_event_comes_from(pipeline: PipelineStack) -> None:
    (number,) = predict(pipeline, 1)
    arrived(pipeline, [number])

    cluster = httpx.get(f"{pipeline.connect_url}/", timeout=10).json()["kafka_cluster_id"]
    offset, key, value = next(
        event for event in topic_events(pipeline) if event[2] and event[1]["id"] == number
    )
    (logged,) = [
        event for event in lake_events(pipeline) if (event["after"] or {}).get("id") == number
    ]
    where = logged["_kafka_metadata"]
    assert (where["topic"], where["partition"], where["offset"], where["cluster"]) == (
        "dbserver1.stroke_predictions.predictions",
        0,
        offset,
        cluster,
    )
    assert key == {"id": number}
    assert logged["op"] == value["op"] == "c"
    assert logged["before"] is None
    for name in ("file", "pos", "gtid", "ts_us", "server_id"):
        assert logged["source"][name] == value["source"][name]
    assert int(logged["ts_ms"].timestamp() * 1000) == value["ts_ms"]


def test_the_change_log_is_partitioned_by_day_and_written_as_parquet(
    pipeline: PipelineStack,
) -> None:
    arrived(pipeline, predict(pipeline, 3))

    table = lake_table(pipeline)
    files = table.inspect.files().to_pylist()
    assert files
    assert {file["file_format"] for file in files} == {"PARQUET"}
    assert sum(file["record_count"] for file in files) == len(lake_events(pipeline))
    (field,) = table.spec().fields
    assert (field.name, str(field.transform)) == ("ts_day", "day")
    days = {event["ts_ms"].date() for event in lake_events(pipeline)}
    assert {file["partition"]["ts_day"] for file in files} == days


def test_an_update_and_a_deletion_reach_the_sinks(pipeline: PipelineStack) -> None:
    changed, erased, kept = predict(pipeline, 3)
    arrived(pipeline, [changed, erased, kept])

    pipeline.mysql("UPDATE predictions SET province = 'Île' WHERE id = %s", changed)
    gone = httpx.delete(
        f"{pipeline.api_url}/api/v1/predictions/{erased}", headers=pipeline.key, timeout=30
    )
    assert gone.status_code == 204

    until(lambda: erased not in sink_ids(pipeline), within=WITHIN, what="the deletion")
    until(
        lambda: sink_row(pipeline, changed)["province"] == "Île",
        within=WITHIN,
        what="the update",
    )
    until(lambda: erased not in lake_ids(pipeline), within=WITHIN, what="it in the lake")
    log = [
        event
        for event in lake_events(pipeline)
        if (event["after"] or event["before"])["id"] in (changed, erased)
    ]
    assert sorted(event["op"] for event in log) == ["c", "c", "d", "u"]
    (update,) = [event for event in log if event["op"] == "u"]
    assert (update["before"]["province"], update["after"]["province"]) == ("東京都", "Île")
    (deletion,) = [event for event in log if event["op"] == "d"]
    assert deletion["after"] is None
    assert deletion["before"]["name"] == PATIENT["name"]
    tombstones = [key["id"] for _, key, value in topic_events(pipeline) if value is None]
    assert erased in tombstones


def test_a_column_added_in_mid_stream_reaches_the_sinks(pipeline: PipelineStack) -> None:
    before = predict(pipeline, 5)
    pipeline.mysql("ALTER TABLE predictions ADD COLUMN ward VARCHAR(30) NULL")
    try:
        after = predict(pipeline, 5)
        pipeline.mysql("UPDATE predictions SET ward = '3 Ä' WHERE id = %s", after[0])
        arrived(pipeline, before + after)
        until(
            lambda: sink_row(pipeline, after[0]).get("ward") == "3 Ä",
            within=WITHIN,
            what="the new column",
        )
        until(
            lambda: latest(lake_events(pipeline))[after[0]].get("ward") == "3 Ä",
            within=WITHIN,
            what="the new column in the lake",
        )
        assert sink_row(pipeline, before[0])["ward"] is None
        assert latest(lake_events(pipeline))[before[0]]["ward"] is None
        verified = pipeline.stroke("pipeline", "verify", "--json")
        assert verified.returncode == 0, verified.stdout
    finally:
        pipeline.mysql("ALTER TABLE predictions DROP COLUMN ward")


def test_the_registry_refuses_a_schema_that_older_events_do_not_fit(
    pipeline: PipelineStack,
) -> None:
    arrived(pipeline, predict(pipeline, 1))
    base = f"{pipeline.registry_url}/apis/ccompat/v7"
    for part in ("key", "value"):
        subject = f"dbserver1.stroke_predictions.predictions-{part}"
        config = httpx.get(f"{base}/config/{subject}", timeout=10).json()
        assert config["compatibilityLevel"] == "BACKWARD"
        latest_version = httpx.get(f"{base}/subjects/{subject}/versions/latest", timeout=10).json()
        schema = json.loads(latest_version["schema"])
        schema["fields"].append({"name": "required_and_new", "type": "string"})

        refused = httpx.post(
            f"{base}/subjects/{subject}/versions",
            json={"schema": json.dumps(schema)},
            headers={"Content-Type": "application/vnd.schemaregistry.v1+json"},
            timeout=10,
        )

        assert refused.status_code == 409, refused.text


@pytest.mark.parametrize("secret", ["STROKE_CDC_PASSWORD", "STROKE_SINK_PASSWORD"])
def test_no_stored_config_holds_a_secret(pipeline: PipelineStack, secret: str) -> None:
    listed = httpx.get(f"{pipeline.connect_url}/connectors", timeout=10).json()
    stored = "".join(
        httpx.get(f"{pipeline.connect_url}/connectors/{name}/{what}", timeout=10).text
        for name in listed
        for what in ("config", "tasks", "status")
    )
    assert "${env:" in stored
    assert pipeline.passwords[secret] not in stored
