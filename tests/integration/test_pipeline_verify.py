"""The proof and the repair of copies, on the whole platform."""

from __future__ import annotations

import json
from typing import Any

import httpx

from builders.predictions import patient_json
from components.audit_entries import written_by_commands
from components.stack import PipelineStack

NAME = "Zoë 王 😀"
WITHIN = ("--timeout", "240", "--chunk-size", "500")


def predict(stack: PipelineStack, count: int) -> list[int]:
    """Let the service predict for ``count`` patients; return the predictions' ids."""
    answer = httpx.post(
        f"{stack.api_url}/api/v1/predictions:batch",
        json={"patients": [patient_json(age=20.0 + n % 60, name=NAME) for n in range(count)]},
        headers=stack.key,
        timeout=60,
    )
    assert answer.status_code == 200, answer.status_code
    return [made["prediction_id"] for made in answer.json()["predictions"]]


def verified(stack: PipelineStack, *options: str) -> tuple[int, dict[str, Any]]:
    """Run the command; return its exit code and each copy's part of what it says."""
    done = stack.stroke("pipeline", "verify", "--json", *WITHIN, *options)
    assert done.stdout, done.stderr
    return done.returncode, {one["replica"]: one for one in json.loads(done.stdout)["replicas"]}


def assert_equal(stack: PipelineStack) -> None:
    code, copies = verified(stack)
    assert code == 0, copies
    [(rows,)] = stack.mysql("SELECT COUNT(*) FROM predictions")
    for copy in copies.values():
        wrong = {what: copy[what] for what in ("missing", "extra", "different", "duplicates")}
        assert wrong == dict.fromkeys(wrong, 0)
        assert copy["rows"] == rows
    assert copies.keys() == {"sql", "s3"}


def test_copies_equal_mysql_right_after_the_last_commit(pipeline: PipelineStack) -> None:
    ids = predict(pipeline, 300)
    pipeline.mysql("UPDATE predictions SET risk_category = 'High' WHERE id = %s", ids[7])
    pipeline.mysql("DELETE FROM predictions WHERE id IN (%s, %s)", ids[3], ids[200])

    assert_equal(pipeline)


def test_damage_is_found_exactly_listed_and_repaired(pipeline: PipelineStack) -> None:
    ids = predict(pipeline, 300)
    assert_equal(pipeline)
    extra = ids[-1] + 5000
    missing = [ids[0], *ids[100:150], ids[170]]
    pipeline.sink("DELETE FROM predictions WHERE id = ANY($1::bigint[])", missing)
    pipeline.sink("UPDATE predictions SET name = 'Zoe' WHERE id = $1", ids[60])
    pipeline.sink("INSERT INTO predictions (id, name) VALUES ($1, 'nobody'), (-1, 'nobody')", extra)

    code, copies = verified(pipeline, "--replica", "sql")
    listed = pipeline.stroke("pipeline", "repair", "--dry-run", "--replica", "sql", *WITHIN)
    still, _ = verified(pipeline, "--replica", "sql")

    assert (code, still) == (1, 1)
    assert copies["sql"]["ids"] == {
        "missing": missing,
        "extra": [-1, extra],
        "different": [ids[60]],
    }
    assert listed.returncode == 0, listed.stderr
    assert f"sql missing: {ids[0]}, {ids[100]}-{ids[149]}, {ids[170]}\n" in listed.stdout

    with written_by_commands(pipeline, "Zoe") as written:
        repaired = pipeline.stroke("pipeline", "repair", "--yes", *WITHIN)

    assert written == [("copy.change", "repair: sql", how) for how in ("asked", "done")]
    assert repaired.returncode == 1  # MySQL cannot tell of an id that it cannot give
    assert "53 sent again, 1 deletions sent" in repaired.stderr
    assert "-1: delete them from the copy by hand" in repaired.stderr
    assert "Zo" not in repaired.stdout + repaired.stderr
    pipeline.sink("DELETE FROM predictions WHERE id = -1")
    assert_equal(pipeline)
    assert pipeline.mysql("SELECT id FROM predictions WHERE id = %s", extra) == []


def test_nothing_is_sent_where_nothing_is_wrong(pipeline: PipelineStack) -> None:
    predict(pipeline, 1)
    before = pipeline.mysql("SELECT COUNT(*) FROM debezium_signal")

    with written_by_commands(pipeline) as written:
        done = pipeline.stroke("pipeline", "repair", *WITHIN)

    assert (done.returncode, written) == (0, []), done.stderr
    assert pipeline.mysql("SELECT COUNT(*) FROM debezium_signal") == before


def test_a_copy_that_stands_still_is_named(pipeline: PipelineStack) -> None:
    assert pipeline.stroke("connectors", "pause", "sqlserver-sink").returncode == 0
    try:
        predict(pipeline, 1)
        done = pipeline.stroke("pipeline", "verify", "--timeout", "15")
    finally:
        assert pipeline.stroke("connectors", "resume", "sqlserver-sink").returncode == 0

    assert done.returncode == 1
    assert "sql did not reach" in done.stderr
    assert_equal(pipeline)


def test_the_sink_s_table_is_there_already(pipeline: PipelineStack) -> None:
    done = pipeline.stroke("pipeline", "sink-schema", "--apply")

    assert (done.returncode, done.stdout) == (0, "the table predictions is there already\n")
