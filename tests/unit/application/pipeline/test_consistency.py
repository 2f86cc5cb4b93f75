from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stroke.application.pipeline import consistency
from stroke.application.pipeline.column_values import canonical_value
from stroke.application.pipeline.consistency import (
    Comparison,
    Discrepancy,
    canonical_json,
    row_digest,
    runs,
    table_row_digest,
)

NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = NUMBERS | st.text() | st.booleans() | st.none()
ROWS = st.dictionaries(st.text(min_size=1, max_size=5), VALUES, max_size=5)
DOCUMENTS = st.recursive(
    VALUES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def present(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if value is not None}


@given(ROWS, ROWS)
def test_digests_are_equal_where_rows_are(one: dict[str, Any], other: dict[str, Any]) -> None:
    # -0.0 == 0.0 and True == 1: a number is its value
    assert (row_digest(one) == row_digest(other)) == (present(one) == present(other))


@given(ROWS)
def test_the_order_of_columns_does_not_count(row: dict[str, Any]) -> None:
    assert row_digest(dict(reversed(row.items()))) == row_digest(row)


@given(ROWS, st.data())
def test_any_changed_value_is_noticed(row: dict[str, Any], data: st.DataObject) -> None:
    column = data.draw(st.text(min_size=1, max_size=5))
    value = data.draw(VALUES.filter(lambda value: value != row.get(column)))

    assert row_digest({**row, column: value}) != row_digest(row)


def test_a_null_counts_as_a_column_that_is_not_there() -> None:
    assert row_digest({"id": 1, "ward": None}) == row_digest({"id": 1})
    assert row_digest({"id": 1, "ward": ""}) != row_digest({"id": 1})


def test_text_is_not_the_number_that_it_spells() -> None:
    assert row_digest({"a": "1"}) != row_digest({"a": 1})


def test_the_smallest_difference_of_two_doubles_is_one() -> None:
    assert row_digest({"p": 0.1}) != row_digest({"p": math.nextafter(0.1, 1)})


@given(st.datetimes(), st.integers(-14, 14))
def test_a_moment_is_whole_microseconds_wherever_it_was_said(moment: datetime, hours: int) -> None:
    utc = moment.replace(tzinfo=UTC)
    try:
        elsewhere = utc.astimezone(timezone(timedelta(hours=hours)))
    except OverflowError:
        return

    micros = canonical_value(moment)

    assert isinstance(micros, int)
    assert datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros) == utc
    assert canonical_value(elsewhere) == micros


@pytest.mark.parametrize(
    ("stored", "canonical"),
    [
        (None, None),
        ("Zoë", "Zoë"),
        (Decimal("2.50"), 2.5),
        (Decimal(12345678901234567890), 12345678901234567890),
        (b"\x01\xff", "01ff"),
        (datetime(2026, 1, 2).date(), "2026-01-02"),  # noqa: DTZ001 -- MySQL's have none
    ],
)
def test_what_drivers_give_becomes_canonical(stored: object, canonical: object) -> None:
    assert canonical_value(stored) == canonical


@given(DOCUMENTS)
def test_a_document_is_the_same_however_it_is_written(document: Any) -> None:
    spaced = json.dumps(document, indent=2)
    tight = json.dumps(document, separators=(",", ":"), ensure_ascii=False)

    assert canonical_json(spaced) == canonical_json(tight)
    assert json.loads(canonical_json(spaced) or "") == document


@given(DOCUMENTS, DOCUMENTS)
def test_documents_that_differ_stay_different(one: Any, other: Any) -> None:
    same = canonical_json(json.dumps(one)) == canonical_json(json.dumps(other))

    # Python takes True for 1; JSON does not
    assert same == (one == other and _kinds(one) == _kinds(other))


def _kinds(document: Any) -> Any:
    if isinstance(document, dict):
        return {name: _kinds(value) for name, value in document.items()}
    if isinstance(document, list):
        return [_kinds(value) for value in document]
    return isinstance(document, bool)


@pytest.mark.parametrize(
    ("mysql", "elsewhere"),
    [
        ("1e20", "100000000000000000000"),  # PostgreSQL's jsonb, and Debezium's binlog reader
        ("12345678.0", "12345678"),
        ("1e-7", "0.0000000999999999999999954748111825886258685613938723690807819366455078125"),
        ("-0.0", "0"),
        ('{"b": 1.50, "a": [true, null]}', '{"a":[true,null],"b":1.5}'),
        ('"\\u00eb"', '"ë"'),
    ],
)
def test_numbers_of_a_document_are_their_values(mysql: str, elsewhere: str) -> None:
    assert canonical_json(mysql) == canonical_json(elsewhere)


def test_no_document_stays_none() -> None:
    assert canonical_json(None) is None


@given(st.sets(st.integers(-50, 50)))
def test_runs_hold_exactly_the_ids_and_do_not_touch(ids: set[int]) -> None:
    found = list(runs(sorted(ids)))

    assert [n for first, last in found for n in range(first, last + 1)] == sorted(ids)
    assert all(later[0] > earlier[1] + 1 for earlier, later in pairwise(found))


def test_a_comparison_lists_some_ids_and_counts_all() -> None:
    comparison = Comparison("sql")

    for number in range(consistency.LISTED + 5):
        comparison.add(Discrepancy.MISSING, number)

    assert len(comparison.missing) == consistency.LISTED
    assert comparison.count(Discrepancy.MISSING) == consistency.LISTED + 5
    assert comparison.count(Discrepancy.EXTRA) == 0


@pytest.mark.parametrize("kind", Discrepancy)
def test_a_copy_that_is_wrong_about_one_id_is_not_equal(kind: Discrepancy) -> None:
    comparison = Comparison("sql")
    assert comparison.is_equal

    comparison.add(kind, 7)

    assert comparison.ids(kind) == [7]
    assert not comparison.is_equal


def test_a_copy_with_an_event_twice_is_not_equal() -> None:
    assert not Comparison("s3", rows=1, duplicates=1).is_equal


KINDS = {"id": "bigint", "note": "varchar", "document": "json"}


def test_a_row_of_a_table_counts_the_columns_that_the_source_has() -> None:
    row = {"id": Decimal(1), "document": '{"b": 1.0, "a": []}', "of the copy alone": 7}

    found = table_row_digest(row.items(), KINDS)

    assert found == row_digest({"id": 1, "document": '{"a":[],"b":1}'})
    assert found == table_row_digest([*row.items(), ("note", None)][::-1], KINDS)


@given(st.text())
def test_only_a_text_in_a_column_of_documents_is_read_as_one(text: str) -> None:
    assert table_row_digest([("note", text)], KINDS) == row_digest({"note": text})
    none = f"}}{text}"  # whatever follows

    assert table_row_digest([("document", none)], KINDS) == row_digest({"document": none})


@pytest.mark.parametrize("number", [7, True, 1.5, Decimal("2.50")])
def test_what_is_no_text_in_a_column_of_documents_is_its_value(number: object) -> None:
    expected = row_digest({"document": canonical_value(number)})

    assert table_row_digest([("document", number)], KINDS) == expected
