"""Directories of Avro files as a source, on this machine's disk."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import fastavro
import pyarrow as pa
import pytest
from pyarrow import fs

from builders.changes import Batches
from builders.truth import EVENTS
from builders.truth_as_avro import (
    GARBAGE,
    NEWER,
    TOPIC,
    avro_file,
    envelope,
    schema_of,
    write,
    write_change_log,
)
from contracts.analyses import ChangeSourceContract
from stroke.adapters.avro.changes import AvroChanges
from stroke.application.analyses.timestamps import without_time_types
from stroke.domain.errors import InvalidData, ReplicaUnavailable

LOCAL = fs.LocalFileSystem()


def read(folder: str, **options: Any) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    given = AvroChanges(LOCAL, folder, **{"workers": 1, **options}).read(with_name=False)
    rows = pa.Table.from_batches(given.rows).to_pylist()
    return rows, dict(given.position())


def by_place(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: (row["place"], row["prediction_id"], row["op"]))


def test_events_are_separated_from_what_lies_among_them(tmp_path: Path) -> None:
    folder = write_change_log(LOCAL, str(tmp_path))
    rows, point = read(folder)
    ops = sorted(row["op"] for row in rows)
    assert ops == sorted(event["op"] for event in EVENTS)
    assert point | GARBAGE | {"events": len(EVENTS), "objects": 7, "folder": folder} == point
    assert [path.rpartition("+")[2] for path in point["unreadable"]] == [
        "0000000004.avro",
        "0000000005.avro",
        "0000000006.avro",
    ]


def test_binlog_files_are_ordered_by_their_number(tmp_path: Path) -> None:
    """As text, mysql-bin.1000000 comes before mysql-bin.999999."""
    rows, _ = read(write_change_log(LOCAL, str(tmp_path)))
    assert by_place(rows)[-1]["prediction_id"] == 7


@pytest.mark.parametrize("part_bytes", [300, 1000, 5000])
def test_parts_of_objects_give_what_whole_ones_give(tmp_path: Path, part_bytes: int) -> None:
    folder = write_change_log(LOCAL, str(tmp_path))
    whole, parts = read(folder), read(folder, part_bytes=part_bytes)
    assert by_place(parts[0]) == by_place(whole[0])
    assert parts[1] == whole[1]


def test_processes_give_what_one_gives(tmp_path: Path) -> None:
    folder = write_change_log(LOCAL, str(tmp_path))
    assert read(folder, workers=2) == read(folder)


def test_the_partition_is_the_one_that_the_path_names(tmp_path: Path) -> None:
    content = avro_file([envelope(EVENTS[0])])
    for number, name in enumerate(
        (f"{TOPIC}/partition=5/a.avro", f"{TOPIC}/day=2/{TOPIC}+7+0000000000.avro", "plain.avro")
    ):
        write(LOCAL, f"{tmp_path}/{number}/{name}", content)
    rows, _ = read(str(tmp_path))
    assert [row["kafka_partition"] for row in rows] == [5, 7, 0]


def test_a_folder_of_several_topics_is_refused(tmp_path: Path) -> None:
    for topic in ("a", "b"):
        write(LOCAL, f"{tmp_path}/topics/{topic}/partition=0/x.avro", b"")
    with pytest.raises(InvalidData, match=r"more than one topic: name one of its folders \(a, b\)"):
        read(str(tmp_path))


def test_a_folder_without_avro_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidData, match=r"has no \.avro files"):
        read(str(tmp_path))
    with pytest.raises(ReplicaUnavailable, match="cannot be listed"):
        read(f"{tmp_path}/nowhere")


def test_an_object_that_goes_away_while_it_is_read_ends_the_run(tmp_path: Path) -> None:
    folder = write_change_log(LOCAL, str(tmp_path))
    given = AvroChanges(LOCAL, folder, workers=1).read(with_name=False)
    for path in tmp_path.rglob("*.avro"):
        path.unlink()
    with pytest.raises(ReplicaUnavailable, match="is it still there"):
        list(given.rows)


MILLIS_OF_2026 = 1_767_323_045_678


def numbers_as_times(records: list[dict[str, Any]], row: Mapping[str, Any]) -> bytes:
    """Return a file whose schema has logical times, written from their numbers."""
    schema = schema_of(row)
    sink = io.BytesIO()
    head = io.BytesIO()
    fastavro.writer(head, schema, [], sync_marker=b"m" * 16)
    numbers = fastavro.parse_schema(without_time_types(json.loads(json.dumps(schema))))
    fastavro.writer(sink, numbers, records, sync_marker=b"m" * 16)
    body = sink.getvalue()
    empty = io.BytesIO()
    fastavro.writer(empty, numbers, [], sync_marker=b"m" * 16)
    return head.getvalue() + body[len(empty.getvalue()) :]


@pytest.mark.parametrize("stored", [253_402_300_800_000, -(2**62), 2**62, MILLIS_OF_2026])
def test_a_time_that_no_calendar_has_costs_no_other_row(tmp_path: Path, stored: int) -> None:
    """A logical type makes moments of numbers, of which some have none."""
    row = {**NEWER, "timestamp": {"type": "long", "logicalType": "timestamp-millis"}}
    records = [dict(envelope(event)) for event in EVENTS[:2]]
    for record, time in zip(records, (stored, MILLIS_OF_2026), strict=True):
        record["after"] = {**record["after"], "timestamp": time}
    write(LOCAL, f"{tmp_path}/times.avro", numbers_as_times(records, row))

    rows, point = read(str(tmp_path))

    assert [each["timestamp_us"] for each in rows][1] == 1000 * MILLIS_OF_2026
    assert (point["events"], point["broken_places"]) == (2, 0)


class TestAvroChanges(ChangeSourceContract[Batches]):
    @pytest.fixture
    def source(self, tmp_path: Path) -> AvroChanges:
        return AvroChanges(LOCAL, write_change_log(LOCAL, str(tmp_path)), workers=1)

    @pytest.fixture
    def gone(self, tmp_path: Path) -> AvroChanges:
        return AvroChanges(LOCAL, f"{tmp_path}/nowhere")
