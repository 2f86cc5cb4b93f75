"""Records that a sink cannot take, on the whole platform: the rest flows, and they come later."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from pyiceberg.types import IntegerType

from builders.predictions import patient_json
from components.audit_entries import written_by_commands
from components.change_events import (
    lake_ids,
    lake_table,
    raw_records,
    sink_ids,
    sink_row,
    topic_events,
    until,
)
from components.stack import S3_SINK, SOURCE, SQL_SINK, TOPIC, PipelineStack
from stroke.adapters.kafka.topics import KafkaChangeTopic
from stroke.application.pipeline.broker import Broker

WITHIN = 180.0
CANARY = "Zoë Canary"
# Not for rows that are there: another drill may have left such ones.
PICKY = "ALTER TABLE predictions ADD CONSTRAINT picky CHECK (province <> 'Elsewhere') NOT VALID"


def predict(stack: PipelineStack, count: int, **changes: Any) -> list[int]:
    answer = httpx.post(
        f"{stack.api_url}/api/v1/predictions:batch",
        json={"patients": [patient_json(name=CANARY, **changes) for _ in range(count)]},
        headers=stack.key,
        timeout=60,
    )
    assert answer.status_code == 200, answer.status_code
    return [made["prediction_id"] for made in answer.json()["predictions"]]


def in_sql(stack: PipelineStack, ids: list[int]) -> None:
    until(lambda: set(ids) <= sink_ids(stack), within=WITHIN, what="the SQL sink")


def in_lake(stack: PipelineStack, ids: list[int]) -> None:
    until(lambda: set(ids) <= lake_ids(stack), within=WITHIN, what="the lake")


def waiting(stack: PipelineStack, *options: str) -> list[dict[str, Any]]:
    """Return the letters that the command lists."""
    done = stack.stroke("pipeline", "dlq", "list", "--json", *options)
    letters: list[dict[str, Any]] = json.loads(done.stdout)["letters"]
    assert done.returncode == any(not letter["settled"] for letter in letters), done.stderr
    return letters


def letters_come(stack: PipelineStack, count: int) -> list[dict[str, Any]]:
    """Return the letters once ``count`` of them wait."""

    def all_of_them() -> list[dict[str, Any]]:
        letters = waiting(stack)
        return letters if len(letters) == count else []

    return until(all_of_them, within=WITHIN, what=f"{count} letters")


def has_failed(stack: PipelineStack, name: str) -> bool:
    answer = httpx.get(f"{stack.connect_url}/connectors/{name}/status", timeout=10)
    return any(task["state"] == "FAILED" for task in answer.json()["tasks"])


@pytest.fixture
def all_is_well(pipeline: PipelineStack) -> Iterator[None]:
    """A test leaves equal copies, no letter that waits, and no name on a screen."""
    yield
    assert waiting(pipeline) == []
    verified = pipeline.stroke("pipeline", "verify", "--timeout", "240")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    shown = pipeline.stroke("pipeline", "dlq", "list", "--all")
    assert shown.returncode == 0
    assert CANARY not in shown.stdout + shown.stderr


@pytest.mark.usefixtures("all_is_well")
def test_a_value_that_the_sinks_cannot_take_waits_while_the_rest_flows(
    pipeline: PipelineStack,
) -> None:
    before = predict(pipeline, 3)
    pipeline.mysql("ALTER TABLE predictions MODIFY gender VARCHAR(300)")
    try:
        pipeline.mysql("INSERT INTO predictions (gender) VALUES (%s)", "x" * 200)
        [(poison,)] = pipeline.mysql("SELECT MAX(id) FROM predictions")
        after = predict(pipeline, 3)
        in_sql(pipeline, before + after)
        in_lake(pipeline, before + after)
        assert poison not in sink_ids(pipeline)

        found = letters_come(pipeline, 2)
        assert sorted(letter["connector"] for letter in found) == [SQL_SINK, S3_SINK]
        for letter in found:
            assert letter["prediction_id"] == poison
            assert letter["stage"] == "TRANSFORMATION"
            assert letter["reason"] == "org.apache.kafka.connect.errors.DataException"
        with written_by_commands(pipeline, CANARY) as written:
            again = pipeline.stroke("pipeline", "dlq", "replay", "--dry-run")
        assert written == []
        assert (again.returncode, len(waiting(pipeline))) == (0, 2)

        # The cause is mended; this very change is a letter, too: it tells the row before.
        pipeline.mysql("UPDATE predictions SET gender = 'Other' WHERE id = %s", poison)
        letters_come(pipeline, 4)
        with written_by_commands(pipeline, CANARY) as written:
            replayed = pipeline.stroke("pipeline", "dlq", "replay")

        both = f"replay: {' '.join(sorted((S3_SINK, SQL_SINK)))}"
        assert written == [("copy.change", both, how) for how in ("asked", "done")]
        assert replayed.returncode == 0, replayed.stderr
        assert replayed.stdout.startswith("1 rows sent again, 0 deletions sent")
        in_sql(pipeline, [poison])
        in_lake(pipeline, [poison])
        assert sink_row(pipeline, poison)["gender"] == "Other"
        assert {letter["settled"] for letter in waiting(pipeline, "--all")} == {True}
    finally:
        pipeline.mysql("ALTER TABLE predictions MODIFY gender VARCHAR(10)")


@pytest.mark.usefixtures("all_is_well")
@pytest.mark.soak("a drill: the sink fails, and is mended")
def test_a_record_that_fails_in_the_sink_itself_is_parked_and_sent_later(
    pipeline: PipelineStack,
) -> None:
    in_sql(pipeline, predict(pipeline, 1))
    pipeline.sink(PICKY)
    try:
        good = predict(pipeline, 3)
        (poison,) = predict(pipeline, 1, province="Elsewhere")
        until(lambda: has_failed(pipeline, SQL_SINK), within=WITHIN, what="the failure")
        good += predict(pipeline, 3)
        assert poison not in sink_ids(pipeline)
        offset = next(
            offset
            for offset, key, value in topic_events(pipeline)
            if value is not None and key["id"] == poison
        )

        with written_by_commands(pipeline, CANARY) as written:
            parked = pipeline.stroke(
                "pipeline", "dlq", "park", "sqlserver-sink", "--through", str(offset), "--yes"
            )

        assert written == [("copy.change", f"park: {SQL_SINK}", how) for how in ("asked", "done")]
        assert parked.returncode == 0, parked.stderr
        assert f"{SQL_SINK} goes on after offset {offset}" in parked.stdout
        in_sql(pipeline, good[3:])
        assert poison not in sink_ids(pipeline)
        letters = waiting(pipeline, SQL_SINK)
        assert letters[-1]["prediction_id"] == poison
        assert {letter["stage"] for letter in letters} == {"TASK_PUT"}
    finally:
        pipeline.sink("ALTER TABLE predictions DROP CONSTRAINT picky")

    assert pipeline.stroke("pipeline", "dlq", "replay", "sqlserver-sink").returncode == 0
    in_sql(pipeline, [*good, poison])


@pytest.mark.usefixtures("all_is_well")
@pytest.mark.soak("a drill: the sink fails on several records, and is mended")
def test_of_many_records_those_that_fail_are_found_named_and_parked_in_one_call(
    pipeline: PipelineStack,
) -> None:
    in_sql(pipeline, predict(pipeline, 1))
    pipeline.sink(PICKY)
    try:
        assert pipeline.stroke("connectors", "pause", "sqlserver-sink").returncode == 0
        good, bad = predict(pipeline, 20), predict(pipeline, 1, province="Elsewhere")
        good += predict(pipeline, 20)
        bad += predict(pipeline, 2, province="Elsewhere")
        good += predict(pipeline, 20)
        assert pipeline.stroke("connectors", "resume", "sqlserver-sink").returncode == 0
        until(lambda: has_failed(pipeline, SQL_SINK), within=WITHIN, what="the failure")

        found = pipeline.stroke("pipeline", "dlq", "park", "sqlserver-sink", "--dry-run")

        assert found.returncode == 0, found.stderr
        assert f"(prediction {bad[0]}): the row breaks a CHECK constraint" in found.stdout
        assert f"{TOPIC}-0@" in found.stdout
        parked = pipeline.stroke("pipeline", "dlq", "park", "sqlserver-sink", "--yes")

        assert parked.returncode == 0, parked.stderr
        assert parked.stdout.startswith("3 records parked"), parked.stdout
        in_sql(pipeline, good)
        letters = waiting(pipeline, SQL_SINK)
        assert [letter["prediction_id"] for letter in letters] == bad
        assert {letter["cause"] for letter in letters} == {
            "the row breaks a CHECK constraint of the copy"
        }
        verified = pipeline.stroke("pipeline", "verify", "--replica", "sql")
        assert verified.returncode == 1
        assert f"(prediction {bad[0]}): the row breaks a CHECK" in verified.stdout
        assert pipeline.stroke("connectors", "apply", "--dry-run").stdout.count("differs") == 0
    finally:
        pipeline.sink("ALTER TABLE predictions DROP CONSTRAINT picky")

    assert pipeline.stroke("pipeline", "dlq", "replay", "sqlserver-sink").returncode == 0
    in_sql(pipeline, [*good, *bad])


def take_writes(stack: PipelineStack, state: str) -> None:
    """Let the SQL sink's database take writes ("on") or not ("off"), and end its connections."""
    read_only = {"on": "off", "off": "on"}[state]
    for statement in (
        f"ALTER DATABASE stroke_predictions SET default_transaction_read_only = {read_only}",
        (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND datname = current_database()"
        ),
    ):
        # A connection of its own: one that is read-only itself could not end it.
        command = ["exec", "-T", "-e", "PGOPTIONS=-c default_transaction_read_only=off"]
        command += ["sql-sink", "psql", "-U", "stroke", "stroke_predictions", "-c", statement]
        stack.compose(*command)


@pytest.mark.usefixtures("all_is_well")
@pytest.mark.soak("a drill: the sink's database takes no writes, and does again")
def test_for_a_database_that_takes_no_writes_no_record_is_parked(pipeline: PipelineStack) -> None:
    in_sql(pipeline, predict(pipeline, 1))
    take_writes(pipeline, "off")
    try:
        ids = predict(pipeline, 3)
        until(
            lambda: "read-only" in pipeline.stroke("connectors", "status").stdout,
            within=WITHIN,
            what="the cause in words",
        )

        parked = pipeline.stroke("pipeline", "dlq", "park", "sqlserver-sink", "--yes")

        assert parked.returncode == 1
        assert "the SQL sink's database is read-only" in parked.stderr
        assert waiting(pipeline, SQL_SINK) == []
        # Between a restart by the watcher and the next failure it runs.
        until(
            lambda: (
                "the SQL sink's database is read-only"
                in pipeline.stroke("doctor", "--timeout", "1").stdout
            ),
            within=WITHIN,
            what="the doctor about the cause",
        )
    finally:
        take_writes(pipeline, "on")
    pipeline.stroke("connectors", "restart", "sqlserver-sink")
    in_sql(pipeline, ids)


def insert(stack: PipelineStack, size: int) -> int:
    """Insert a row by SQL, as other programs do; its document has so many bytes."""
    document = json.dumps({"note": "x" * size})
    stack.mysql("INSERT INTO predictions (prediction_data) VALUES (%s)", document)
    [(made,)] = stack.mysql("SELECT MAX(id) FROM predictions")
    return int(made)


@pytest.mark.usefixtures("all_is_well")
@pytest.mark.soak("a drill: rows of megabytes, and one that is too large")
def test_large_rows_arrive_and_one_that_is_too_large_is_named_while_the_rest_flows(
    pipeline: PipelineStack,
) -> None:
    # As an earlier version left the topic.
    limits = KafkaChangeTopic(Broker(pipeline.bootstrap_servers))
    asyncio.run(limits.set_limit(TOPIC, 1_048_588))
    planned = pipeline.stroke("connectors", "apply", "--dry-run")
    assert f"topic {TOPIC}: max.message.bytes: 1048588 -> 17825792" in planned.stdout
    applied = pipeline.stroke("connectors", "apply")
    assert applied.returncode == 0, applied.stderr

    passing = [insert(pipeline, size) for size in (2_400_000, 7_900_000, 15_000_000)]
    pipeline.mysql("UPDATE predictions SET name = 'x' WHERE id = %s", passing[0])
    too_large = insert(pipeline, 20_000_000)
    after = predict(pipeline, 3)

    in_sql(pipeline, passing + after)
    in_lake(pipeline, passing + after)
    (letter,) = letters_come(pipeline, 1)
    assert (letter["connector"], letter["prediction_id"]) == (SOURCE, too_large)
    assert letter["cause"] == "a change event is larger than Kafka takes"
    assert not has_failed(pipeline, SOURCE)
    verified = pipeline.stroke("pipeline", "verify")
    assert verified.returncode == 1
    assert f"(prediction {too_large}): a change event is larger" in verified.stdout

    # Made smaller, it is still too large as the row before; the replay sends what it is now.
    pipeline.mysql("UPDATE predictions SET prediction_data = '{}' WHERE id = %s", too_large)
    letters_come(pipeline, 2)
    assert pipeline.stroke("pipeline", "dlq", "replay", "mysql-source").returncode == 0
    in_sql(pipeline, [too_large])
    in_lake(pipeline, [too_large])


@pytest.mark.usefixtures("all_is_well")
@pytest.mark.soak("a drill: the lake is in the way, and is mended")
def test_a_record_is_parked_out_of_the_lake_s_way_and_sent_later(pipeline: PipelineStack) -> None:
    in_lake(pipeline, predict(pipeline, 1))
    assert pipeline.stroke("connectors", "pause", "s3-sink").returncode == 0
    first, *rest = predict(pipeline, 4)

    parked = pipeline.stroke("pipeline", "dlq", "park", "s3-sink", "--yes")

    assert parked.returncode == 0, parked.stderr
    assert parked.stdout.startswith("1 records parked")
    in_lake(pipeline, rest)
    assert first not in lake_ids(pipeline)
    (letter,) = waiting(pipeline, S3_SINK)
    assert letter["prediction_id"] == first
    number = str(letter["letter"])
    assert (
        pipeline.stroke("pipeline", "dlq", "replay", "s3-sink", "--letter", number).returncode == 0
    )
    in_lake(pipeline, [first])


@pytest.mark.usefixtures("all_is_well")
@pytest.mark.soak("a drill: the lake's sink fails on several records, and is mended")
def test_of_many_records_the_lake_s_sink_names_those_that_fail_and_they_are_parked_in_one_call(
    pipeline: PipelineStack,
) -> None:
    in_lake(pipeline, predict(pipeline, 1))
    # Somebody gave the column another type in the lake.
    with lake_table(pipeline).update_schema() as changed:
        changed.add_column(("after", "bay"), IntegerType())
    pipeline.mysql("ALTER TABLE predictions ADD COLUMN bay VARCHAR(9) NULL")
    try:
        assert pipeline.stroke("connectors", "pause", "s3-sink").returncode == 0
        ids = predict(pipeline, 60)
        bad = [ids[20], ids[41], ids[42]]
        for number in ids:
            bay = CANARY[:9] if number in bad else "7"
            pipeline.mysql("UPDATE predictions SET bay = %s WHERE id = %s", bay, number)
        assert pipeline.stroke("connectors", "resume", "s3-sink").returncode == 0
        until(lambda: has_failed(pipeline, S3_SINK), within=WITHIN, what="the failure")
        first = next(
            offset
            for offset, key, value in topic_events(pipeline)
            if key["id"] == bad[0] and value is not None and value["op"] == "u"
        )
        # The watcher restarts it now and then, and it fails again.
        shown = until(
            lambda: (
                text
                if f"on the record {TOPIC}-0 at offset {first}"
                in (text := " ".join(pipeline.logs("connectors").split()))
                else ""
            ),
            within=WITHIN,
            what="the watcher about the record",
        )

        found = pipeline.stroke("pipeline", "dlq", "park", "s3-sink", "--dry-run")
        assert found.returncode == 0, found.stderr
        assert f"{TOPIC}-0@{first} (prediction {bad[0]})" in found.stdout
        parked = pipeline.stroke("pipeline", "dlq", "park", "s3-sink", "--yes")

        assert parked.returncode == 0, parked.stderr
        assert parked.stdout.startswith("3 records parked"), parked.stdout
        assert [letter["prediction_id"] for letter in waiting(pipeline, S3_SINK)] == bad
        assert CANARY[:9] not in found.stdout + parked.stdout + shown
        assert "different" not in pipeline.stroke("connectors", "apply", "--dry-run").stdout
        in_lake(pipeline, predict(pipeline, 3))
    finally:
        pipeline.mysql("ALTER TABLE predictions DROP COLUMN bay")
        with lake_table(pipeline).update_schema() as changed:
            changed.delete_column(("after", "bay"))

    assert pipeline.stroke("pipeline", "dlq", "replay", "s3-sink").returncode == 0


@pytest.mark.usefixtures("all_is_well")
@pytest.mark.soak("a drill: one more kind of dead letter")
def test_the_deletion_of_a_row_that_is_gone_is_sent_again(pipeline: PipelineStack) -> None:
    (gone,) = predict(pipeline, 1)
    in_lake(pipeline, [gone])
    in_sql(pipeline, [gone])
    assert pipeline.stroke("connectors", "pause", "sqlserver-sink").returncode == 0
    pipeline.mysql("DELETE FROM predictions WHERE id = %s", gone)
    until(
        lambda: (gone, None) in [(key["id"], value) for _, key, value in topic_events(pipeline)],
        within=WITHIN,
        what="the tombstone",
    )
    deletion = next(
        offset
        for offset, key, value in topic_events(pipeline)
        if key["id"] == gone and value is not None and value["op"] == "d"
    )

    parked = pipeline.stroke(
        "pipeline", "dlq", "park", "sqlserver-sink", "--through", str(deletion + 1), "--yes"
    )
    assert parked.stdout.startswith("2 records parked"), parked.stderr
    assert gone in sink_ids(pipeline)
    replayed = pipeline.stroke("pipeline", "dlq", "replay")

    assert replayed.stdout.startswith("0 rows sent again, 1 deletions sent"), replayed.stderr
    until(lambda: gone not in sink_ids(pipeline), within=WITHIN, what="the deletion")


@pytest.mark.usefixtures("all_is_well")
@pytest.mark.soak("a drill: one more kind of dead letter")
def test_a_changed_column_stops_nothing_and_its_rows_come_once_it_is_mended(
    pipeline: PipelineStack,
) -> None:
    before = predict(pipeline, 3)
    pipeline.mysql("ALTER TABLE predictions MODIFY age VARCHAR(20)")
    try:
        pipeline.mysql("UPDATE predictions SET age = '40.5' WHERE id = %s", before[0])
        (letter,) = letters_come(pipeline, 1)
        assert (letter["connector"], letter["prediction_id"]) == (SOURCE, before[0])
        assert letter["topic"] == TOPIC
        assert not has_failed(pipeline, SOURCE)
        copy = list(raw_records(pipeline, f"dlq.{SOURCE}"))[-1]
        assert b'"age":"40.5"' in copy.value()
    finally:
        pipeline.mysql("ALTER TABLE predictions MODIFY age DOUBLE")
    after = predict(pipeline, 3)
    in_sql(pipeline, before + after)
    in_lake(pipeline, before + after)
    assert sink_row(pipeline, before[0])["age"] != 40.5

    assert pipeline.stroke("pipeline", "dlq", "replay", "mysql-source").returncode == 0

    until(
        lambda: sink_row(pipeline, before[0])["age"] == 40.5,
        within=WITHIN,
        what="the row as it is now",
    )


@pytest.mark.usefixtures("all_is_well")
@pytest.mark.soak("a drill: one more kind of dead letter")
def test_a_column_that_is_added_not_null_stops_nothing(pipeline: PipelineStack) -> None:
    before = predict(pipeline, 2)
    in_sql(pipeline, before)
    pipeline.mysql("ALTER TABLE predictions ADD COLUMN bed INT NOT NULL DEFAULT 7")
    try:
        after = predict(pipeline, 2)
        pipeline.mysql("UPDATE predictions SET bed = 8 WHERE id = %s", before[0])
        in_sql(pipeline, before + after)
        in_lake(pipeline, before + after)
        until(
            lambda: sink_row(pipeline, before[0]).get("bed") == 8,
            within=WITHIN,
            what="the new column",
        )
        assert sink_row(pipeline, after[0])["bed"] == 7

        pipeline.mysql("ALTER TABLE predictions ADD COLUMN ward VARCHAR(9) NULL DEFAULT 'A'")
        in_sql(pipeline, predict(pipeline, 1))
        pipeline.mysql("ALTER TABLE predictions MODIFY ward VARCHAR(9) NOT NULL DEFAULT 'A'")
        last = predict(pipeline, 1)
        in_sql(pipeline, last)
        assert sink_row(pipeline, last[0])["ward"] == "A"
        assert not has_failed(pipeline, SOURCE)
    finally:
        for name in ("bed", "ward"):
            if pipeline.mysql("SHOW COLUMNS FROM predictions LIKE %s", name):
                pipeline.mysql(f"ALTER TABLE predictions DROP COLUMN {name}")


@pytest.fixture(scope="module")
def delivered(pipeline: PipelineStack) -> PipelineStack:
    """Have a record that the sink of the lake has behind it."""
    in_lake(pipeline, predict(pipeline, 1))
    return pipeline


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("replay", "--letter", "1"), 2, "name the CONNECTOR"),
        (("replay", "s3-sink", "--letter", "999999"), 1, "999999"),
        (("list", "no-such-sink"), 1, "no connector is called no-such-sink"),
        (("park", "s3-sink", "--through", "0", "--yes"), 1, "already"),
        (("park", "mysql-source", "--yes"), 1, "no sink"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(
    delivered: PipelineStack, arguments: tuple[str, ...], code: int, said: str
) -> None:
    done = delivered.stroke("pipeline", "dlq", *arguments)

    assert (done.returncode, "Traceback" in done.stderr) == (code, False)
    assert said in done.stderr
