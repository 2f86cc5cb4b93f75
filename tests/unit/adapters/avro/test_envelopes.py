from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.truth import EVENTS
from builders.truth_as_avro import MICROS, MILLIS, NEWER, envelope, schema_of
from contracts.analyses import EnvelopeFormatContract, EnvelopesContract
from stroke.adapters.avro.envelopes import AvroEnvelopes, EnvelopeReader
from stroke.application.analyses.changes import Counts, changes_schema

MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC)
NANOS = {"type": "long", "connect.name": "io.debezium.time.NanoTimestamp"}
MOMENT_US = 1_767_323_045_678_901


def read(
    *records: Any, row: Mapping[str, Any] = NEWER, with_name: bool = False
) -> tuple[list[dict[str, Any]], Counts]:
    reader = EnvelopeReader(schema_of(row), changes_schema(with_name=with_name), partition=3)
    return reader.batch(records).to_pylist(), reader.counts


def an_envelope(**changes: Any) -> dict[str, Any]:
    """Return the envelope of a created row, with other values in the row."""
    made = dict(envelope(EVENTS[1]))
    return {**made, "after": {**made["after"], **changes}}


def test_an_event_has_its_row_and_its_place_in_the_binlog() -> None:
    [row], counts = read(envelope(EVENTS[1]), with_name=True)
    expected = {**EVENTS[1], "cluster": "", "kafka_partition": 3, "turn": 0}
    expected["place"] = (999_999 << 40) + 4 + EVENTS[1]["place"]
    assert row == expected
    assert counts == Counts(events=1)


def test_names_are_there_only_on_request() -> None:
    assert "name" not in read(envelope(EVENTS[1]))[0][0]


def test_a_deletion_has_its_id_alone() -> None:
    deletion = next(event for event in EVENTS if event["op"] == "d")
    [row], _ = read(envelope(deletion))
    assert (row["op"], row["prediction_id"], row["probability"]) == ("d", 3, None)


def test_an_event_that_was_read_twice_is_the_same_event() -> None:
    first = envelope(EVENTS[1])
    again = {**first, "ts_ms": first["ts_ms"] + 60_000}
    rows, _ = read(first, again)
    assert rows[0] == rows[1]


@pytest.mark.parametrize(
    ("kind", "value", "micros"),
    [
        (MICROS, MOMENT_US, MOMENT_US),
        (MILLIS, MOMENT_US // 1000, MOMENT_US // 1000 * 1000),
        (
            {"type": "long", "connect.name": "io.debezium.time.NanoTimestamp"},
            MOMENT_US * 1000,
            None,
        ),
        ({"type": "long", "logicalType": "timestamp-micros"}, MOMENT, None),
        ({"type": "string", "connect.name": "io.debezium.time.ZonedTimestamp"}, None, None),
        *(
            ({"type": "long", "logicalType": f"{where}timestamp-{unit}"}, value, micros)
            for where in ("", "local-")
            for unit, value, micros in (
                ("millis", MOMENT_US // 1000, MOMENT_US // 1000 * 1000),
                ("micros", MOMENT_US, MOMENT_US),
                ("nanos", MOMENT_US * 1000 + 999, MOMENT_US),
            )
        ),
        (
            {"type": "long", "connect.name": "org.apache.kafka.connect.data.Timestamp"},
            MOMENT_US // 1000,
            MOMENT_US // 1000 * 1000,
        ),
        (
            {
                "type": "long",
                "connect.name": "org.apache.kafka.connect.data.Timestamp",
                "logicalType": "timestamp-millis",
            },
            MOMENT_US // 1000,
            MOMENT_US // 1000 * 1000,
        ),
        ({"type": "int", "logicalType": "date"}, 20_455, 20_455 * 86_400_000_000),
        ({"type": "int", "connect.name": "io.debezium.time.Date"}, -1, -86_400_000_000),
        ({"type": "string", "connect.name": "io.debezium.time.IsoTimestamp"}, None, None),
        (
            {"type": "string", "connect.name": "io.debezium.time.ZonedTimestamp"},
            "2026-01-02T05:04:05.678901999+02:00",
            MOMENT_US,
        ),
        ("string", "2026-01-02 03:04:05.678901", MOMENT_US),
        # the last microsecond of the calendar, and what no calendar has
        (MICROS, 253_402_300_799_999_999, 253_402_300_799_999_999),
        (MILLIS, 253_402_300_800_000, 253_402_300_800_000_000),
        (MICROS, -(2**63), -(2**63)),
    ],
)
def test_a_time_is_read_in_the_unit_that_its_type_names(
    kind: Any, value: Any, micros: int | None
) -> None:
    given_value = "2026-01-02T03:04:05.678901Z" if value is None else value
    [row], counts = read(an_envelope(timestamp=given_value), row={**NEWER, "timestamp": kind})
    assert row["timestamp_us"] == (micros or MOMENT_US)
    assert counts.strange_values == 0


@pytest.mark.parametrize(
    "kind",
    [
        "long",
        {"type": "long"},
        {"type": "long", "connect.name": "com.example.Seconds"},
        {"type": "long", "logicalType": "seconds"},
        {
            "type": "long",
            "connect.name": "io.debezium.time.Timestamp",
            "logicalType": "timestamp-micros",
        },
    ],
)
@pytest.mark.parametrize("value", [MOMENT_US // 1_000_000, MOMENT_US // 1000, MOMENT_US, 0])
def test_a_time_whose_unit_is_not_named_is_missing_and_counted(kind: Any, value: int) -> None:
    """As microseconds, milliseconds of 2026 would be a moment of 1970."""
    [row], counts = read(an_envelope(timestamp=value), row={**NEWER, "timestamp": kind})

    assert row["timestamp_us"] is None
    assert counts == Counts(events=1, strange_values=1)


@pytest.mark.parametrize(
    "text", ["", "yesterday", "0000-00-00 00:00:00", "2026-13-01T00:00:00Z", "2026", "1767323045"]
)
def test_a_text_that_is_no_time_is_missing_and_counted(text: str) -> None:
    [row], counts = read(an_envelope(timestamp=text), row={**NEWER, "timestamp": "string"})

    assert row["timestamp_us"] is None
    assert counts == Counts(events=1, strange_values=1)


def test_columns_of_another_version_of_the_table_are_null_or_nobody_s_business() -> None:
    made = an_envelope(shoe_size=43)
    del made["after"]["model_version"]
    [row], counts = read(made)
    assert row["model_version"] is None
    assert "shoe_size" not in row
    assert counts == Counts(events=1)


def test_numbers_come_in_any_shape_that_connect_has_for_them() -> None:
    [row], counts = read(an_envelope(age=Decimal("67.50"), bmi="36.6", hypertension=True))
    assert (row["age"], row["bmi"], row["hypertension"]) == (67.5, 36.6, 1)
    assert counts.strange_values == 0


def test_a_value_of_another_kind_counts_as_null() -> None:
    rows, counts = read(an_envelope(age="old", timestamp=[1], hypertension=0.5), an_envelope())
    assert (rows[0]["age"], rows[0]["timestamp_us"], rows[0]["hypertension"]) == (None, None, None)
    assert rows[0]["gender"] == rows[1]["gender"]
    assert counts == Counts(events=2, strange_values=3)


SOURCE = envelope(EVENTS[1])["source"]


@pytest.mark.parametrize(
    "strange",
    [
        {},
        7,
        "c",
        {"op": "c"},
        {**an_envelope(), "after": None},
        {**an_envelope(), "op": "t"},
        {**an_envelope(), "op": ["c"]},
        an_envelope(id=None),
        an_envelope(id="7"),
        an_envelope(id=2**63),  # as a column of BIGINT UNSIGNED may have it
        an_envelope(id=-(2**70)),
        *(
            {**an_envelope(), "source": {**SOURCE, **changes}}
            for changes in (
                {"file": None},
                {"file": "binlog"},
                {"file": "binlog.99999999"},
                {"pos": "4"},
                {"pos": -5 - (999_999 << 40)},
                {"row": "0"},
                {"row": 2**63},
                {"ts_us": None, "ts_ms": None},
                {"ts_us": 2**63},
            )
        ),
    ],
)
def test_what_is_no_change_of_a_row_is_counted(strange: Any) -> None:
    rows, counts = read(an_envelope(), strange)
    assert (len(rows), counts) == (1, Counts(events=1, strange_records=1))


def test_tombstones_are_counted() -> None:
    assert read(None, None) == ([], Counts(tombstones=2))


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=3),
    lambda inner: st.dictionaries(
        st.sampled_from(["op", "before", "after", "source", "id", "file", "pos", "age"]), inner
    ),
    max_leaves=8,
)


@given(st.sampled_from([*an_envelope()]), ANYTHING, st.sampled_from([*NEWER]), ANYTHING)
def test_nothing_in_a_record_ends_the_reading(
    field: str, value: Any, column: str, cell: Any
) -> None:
    rows, counts = read({**an_envelope(), field: value}, an_envelope(**{column: cell}), value)
    assert counts.events + counts.strange_records + counts.tombstones == 3
    assert len(rows) == counts.events >= 1


class TestAvroEnvelopes(EnvelopeFormatContract):
    @pytest.fixture
    def format_(self) -> AvroEnvelopes:
        return AvroEnvelopes()


class TestEnvelopeReader(EnvelopesContract):
    @pytest.fixture
    def envelopes(self) -> EnvelopeReader:
        return EnvelopeReader(schema_of(NEWER), changes_schema(with_name=True), partition=3)
