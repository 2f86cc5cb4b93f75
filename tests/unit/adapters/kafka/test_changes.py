"""The change log as it lies on the topic, up to what every analysis says of it."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import partial

import pyarrow as pa
import pytest

from builders.changes import silent
from builders.truth import EVENTS, TRUTH
from builders.truth_as_avro import envelope, framed, kafka_value, schema_text
from stroke.adapters.avro.envelopes import EnvelopeReader
from stroke.adapters.duckdb.engine import DuckDbEngine
from stroke.adapters.kafka.changes import PartitionReader, Record
from stroke.adapters.kafka.wire_format import unframed
from stroke.application.analyses.changes import Counts, changes_schema
from stroke.application.analyses.ports import SourceRead
from stroke.application.analyses.queries import analyses
from stroke.domain.errors import InvalidData

NO_CHANGE = {"op": "t", "before": None, "after": None}


def topic() -> list[Record]:
    """Return records as Debezium and others leave them, in the order of their offsets."""
    once = {(each["cluster"], each["place"], each["turn"]): each for each in EVENTS}
    values: list[bytes | None] = []
    for change in once.values():
        values.append(kafka_value(change))
        if change["op"] == "d":
            values.append(None)
    source = envelope(EVENTS[0])["source"]
    values += [
        b"",
        b"no frame",
        kafka_value(EVENTS[1])[:20],
        framed(NO_CHANGE | {"source": source}, 300),
    ]
    return [(offset * 2, value) for offset, value in enumerate(values)]  # markers lie between


def reader(*, with_name: bool = False) -> PartitionReader:
    shape = changes_schema(with_name=with_name)
    return PartitionReader(schema_text, partial(EnvelopeReader, shape=shape, partition=3))


def batches(read: PartitionReader, *, size: int = 4) -> Iterator[pa.RecordBatch]:
    records = topic()
    for start in range(0, len(records), size):
        yield from read.batches(records[start : start + size])


@pytest.fixture
def engine() -> Iterator[DuckDbEngine]:
    with DuckDbEngine(memory_mib=256) as engine:
        yield engine


def test_every_analysis_of_the_topic_gives_the_truth(engine: DuckDbEngine) -> None:
    read = reader()
    given = SourceRead(batches(read), dict)
    assert engine.load(given, with_name=False, on_progress=silent).predictions == 6

    for analysis in analyses(top=2, minimum=1):
        truth = TRUTH[analysis.name]
        found = [tuple(row.values()) for row in engine.query(analysis).to_pylist()]
        assert len(found) == len(truth), analysis.name
        for row, expected in zip(found, truth, strict=True):
            assert row[: len(expected)] == pytest.approx(expected, abs=1e-12), analysis.name


def test_what_is_no_event_is_counted() -> None:
    read = reader()
    events = sum(batch.num_rows for batch in batches(read))

    tombstones = sum(value is None for _, value in topic())
    assert tombstones > 0
    assert read.counts() == Counts(events=events, tombstones=tombstones, strange_records=4)


def test_an_event_has_its_offset_and_when_it_was_read() -> None:
    [batch] = reader(with_name=True).batches([(41, kafka_value(EVENTS[1]))])
    [row] = batch.to_pylist()

    assert (row["place"], row["turn"], row["kafka_partition"]) == (41, 0, 3)
    assert row["ts_us"] == 1000 * envelope(EVENTS[1])["ts_ms"]
    assert row["name"] == EVENTS[1]["name"]


def test_a_schema_that_the_registry_does_not_know_ends_the_run() -> None:
    unknown = struct.pack(">bI", 0, 9) + b"xyz"
    with pytest.raises(InvalidData, match="the schema 9"):
        list(reader().batches([(0, unknown)]))


@pytest.mark.parametrize("data", [None, b"", b"\0\0\0\0\7", b"\1\0\0\0\7x", "text"])
def test_what_has_no_frame_is_none(data: object) -> None:
    assert unframed(data) is None


def test_a_frame_names_its_schema() -> None:
    assert unframed(b"\0\0\0\1\x2cxyz") == (300, b"xyz")
