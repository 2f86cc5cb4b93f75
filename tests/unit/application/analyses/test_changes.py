"""Values that a source gives as columns of ``changes``: each is read for itself."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stroke.application.analyses.changes import Counts, arrow_column, changes_schema
from stroke.application.analyses.timestamps import TimeUnit

ODD: Sequence[Any] = (
    None,
    True,
    1,
    2**53 + 1,
    2**63,
    10**400,
    0.5,
    1.0,
    1e300,
    float("nan"),
    float("inf"),
    "12",
    "1.0",
    " 12",
    "１２",  # noqa: RUF001  # digits of another script
    "1_0",
    "2026-10-02",
    "\ud800",
    b"12",
    b"\xff",
    Decimal("1.00"),
    Decimal("0.5"),
    Decimal("NaN"),
    [1],
    date(2026, 10, 2),
    datetime(2026, 10, 2, tzinfo=UTC),
)
COLUMNS = ("timestamp_us", "age", "hypertension", "gender")


def read(values: Sequence[Any], column: str) -> tuple[list[str], int]:
    counts = Counts()
    unit = TimeUnit(times=1_000)
    made = arrow_column(values, changes_schema().field(column), counts, unit=unit)
    return [repr(value) for value in made.to_pylist()], counts.strange_values


@given(column=st.sampled_from(COLUMNS), values=st.lists(st.sampled_from(ODD), max_size=4))
def test_a_value_is_read_whatever_stands_beside_it(column: str, values: list[Any]) -> None:
    alone = [read([value], column) for value in values]

    assert read(values, column) == ([made[0] for made, _ in alone], sum(lost for _, lost in alone))


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        ("hypertension", "1", "1"),
        ("hypertension", "1.0", "None"),
        ("hypertension", Decimal("1.00"), "1"),
        ("hypertension", b"12", "None"),
        ("hypertension", 0.5, "None"),
        ("age", "67.5", "67.5"),
        ("age", "1_0", "None"),
        ("age", " 67", "None"),
        ("age", b"67", "None"),
        ("gender", b"Male", "'Male'"),
        ("gender", b"\xff", "None"),
        ("gender", 7, "None"),
        ("timestamp_us", 2**62, "None"),
        ("timestamp_us", "0000-01-01", "None"),
        ("timestamp_us", "2026-10-02T08:15:00+18:00", "None"),
        ("timestamp_us", "2026-10-02T24:00:00Z", "None"),
        ("timestamp_us", "2026-10-02\n", "None"),
        ("timestamp_us", "1970-01-01T00:00:00.000001Z", "1"),
    ],
)
def test_what_a_column_takes(column: str, value: object, expected: str) -> None:
    assert read([value], column) == ([expected], int(expected == "None"))
