"""Directories of Avro files as they lie on S3: a real S3 server, and the command."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from builders.truth import EVENTS, TRUTH
from builders.truth_as_avro import (
    FOLDER,
    GARBAGE,
    TOPIC,
    avro_file,
    envelope,
    write_change_log,
)
from components.object_store import ObjectStore
from components.processes import run_stroke
from stroke.adapters.avro.changes import AvroChanges
from stroke.application.analyses.queries import analyses

TABLES = {each.name: each.table for each in analyses()}


def run(store: ObjectStore, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run_stroke(
        *("analytics", "run", *arguments),
        folder=folder,
        within=120,
        settings={
            "STROKE_LAKE_ENDPOINT": store.endpoint,
            "STROKE_LAKE_PATH_STYLE": "true",
            "STROKE_LAKE_ACCESS_KEY_ID": "local",
            "STROKE_LAKE_SECRET_ACCESS_KEY": "local",
        },
    )


def rows_of(folder: Path, name: str) -> list[tuple[Any, ...]]:
    found = pq.read_table(folder / f"{TABLES[name]}.parquet").to_pylist()
    width = len(TRUTH[name][0])
    return [tuple(row.values())[:width] for row in found]


def test_the_analyses_of_a_prefix_meet_the_truth(s3: ObjectStore, tmp_path: Path) -> None:
    place = write_change_log(s3.files, s3.new_bucket())
    options = ("--top", "2", "--minimum-count", "1", "--output", "out", "--json")
    done = run(s3, tmp_path, *TRUTH, "--source", f"s3://{place}", *options)
    assert (done.returncode, done.stderr) == (0, "")
    said = json.loads(done.stdout)
    assert (said["source"], said["events"], said["predictions"]) == ("avro", len(EVENTS), 6)
    assert said["point"] | GARBAGE == said["point"]
    for name, expected in TRUTH.items():
        found = rows_of(tmp_path / "out", name)
        assert len(found) == len(expected), name
        for row, values in zip(found, expected, strict=True):
            assert row == pytest.approx(values, abs=1e-12), name


def test_what_is_no_event_is_reported(s3: ObjectStore, tmp_path: Path) -> None:
    place = write_change_log(s3.files, s3.new_bucket())
    done = run(s3, tmp_path, "operations", "--source", f"s3://{place}", "--output", "out")
    assert done.returncode == 0
    assert done.stderr == (
        "not events: tombstones: 3; records that are no change of a row: 2; "
        "broken places in files: 1; files that are not of Avro, or of an unknown compression: 3\n"
    )


def test_a_source_that_is_none_is_one_clear_line(s3: ObjectStore, tmp_path: Path) -> None:
    for source in ("iceburg", f"s3://{s3.new_bucket()}/topics"):
        done = run(s3, tmp_path, "--source", source, "--output", "out")
        assert done.returncode == 1
        assert done.stderr.startswith("stroke: ")
        assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


BLOCKS, IN_BLOCK = 520, 400
BIG = 128 * 1024 * 1024


def a_big_object(store: ObjectStore, path: str) -> int:
    """Upload, in the parts of a multipart upload, a file of one block over and over."""
    events = [{**EVENTS[1], "prediction_id": number, "place": number} for number in range(IN_BLOCK)]
    records = [envelope(event) for event in events]
    for record in records:
        record["after"]["prediction_data"] = "x" * 600
    whole = avro_file(records, sync_interval=1 << 30)
    head = len(avro_file([])) - 16  # as long as this one's, but for its marker
    header, block = whole[: head + 16], whole[head + 16 :]
    assert header.endswith(block[-16:])
    with store.files.open_output_stream(path) as stream:
        stream.write(header)
        for _ in range(BLOCKS):
            stream.write(block)
    return len(header) + BLOCKS * len(block)


def test_an_object_of_many_parts_is_read_by_both_processes(s3: ObjectStore) -> None:
    bucket = s3.new_bucket()
    place = f"{bucket}/{FOLDER}/{TOPIC}+0+0000000000.avro"
    assert a_big_object(s3, place) > BIG
    given = AvroChanges(s3.files, f"{bucket}/topics").read(with_name=False)
    ids = dict[int, int]()
    batches = 0
    for batch in given.rows:
        batches += 1
        for number in batch.column("prediction_id").to_pylist():
            ids[number] = ids.get(number, 0) + 1
    assert ids == dict.fromkeys(range(IN_BLOCK), BLOCKS)
    position = given.position()
    assert position["events"] == BLOCKS * IN_BLOCK
    assert position["broken_places"] == 0
    assert batches > 5
