from __future__ import annotations

from datetime import datetime

import pytest

from stroke.adapters.sql.import_cells import BadCell, same, to_row
from stroke.adapters.sql.tables import COLUMNS


def test_cells_become_the_values_of_their_columns() -> None:
    assert to_row(
        {
            "id": "7",
            "timestamp": "2025-01-02 03:04:05",
            "age": "45.5",
            "hypertension": "1",
            "name": "Zoë",
            "prediction_data": '{"age": 45.5}',
            "model_version": None,
        }
    ) == {
        "id": 7,
        "timestamp": "2025-01-02 03:04:05.000000",
        "age": 45.5,
        "hypertension": 1,
        "name": "Zoë",
        "prediction_data": '{"age": 45.5}',
        "model_version": None,
    }


@pytest.mark.parametrize(
    ("column", "cell", "value"),
    [
        ("id", "11.0", 11),
        ("hypertension", "1.0", 1),
        ("hypertension", "Yes", 1),
        ("heart_disease", "false", 0),
        ("hypertension", "\0", 0),
        ("heart_disease", "\x01", 1),
        ("idempotency_key", "", None),
    ],
)
def test_other_programs_ways_to_write_a_value_are_taken(
    column: str, cell: str, value: object
) -> None:
    assert to_row({"id": "1", column: cell})[column] == value


def test_every_column_takes_null_but_the_id() -> None:
    assert to_row(dict.fromkeys(COLUMNS, None) | {"id": 1}) == dict.fromkeys(COLUMNS, None) | {
        "id": 1
    }
    with pytest.raises(BadCell, match="id is missing"):
        to_row({"name": "a"})


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        ("id", "0"),
        ("id", "-1"),
        ("id", "9223372036854775808"),
        ("id", "1.5"),
        ("timestamp", "yesterday"),
        ("timestamp", "0000-00-00 00:00:00"),
        ("age", "old"),
        ("age", "nan"),
        ("probability", "1e999"),
        ("hypertension", "maybe"),
        ("hypertension", "0.999999999999999"),
        ("heart_disease", "2"),
        ("hypertension", "300"),
        ("name", "secret" * 20),
        ("gender", "secretsecret"),
        ("contributing_factors", "secret, not json"),
        ("prediction_data", "{"),
        ("idempotency_key", "schlüssel"),
        ("site", "schlüssel"),
        ("site", "s" * 65),
        ("created_by", "k" * 129),
        ("model_version", "v" * 65),
    ],
)
def test_a_cell_that_its_column_cannot_hold_is_named_and_not_quoted(column: str, cell: str) -> None:
    with pytest.raises(BadCell, match=f"^{column} ") as refusal:
        to_row({"id": "1", column: cell})

    assert cell not in str(refusal.value)
    assert refusal.value.__cause__ is None


@pytest.mark.parametrize(
    ("column", "one", "other"),
    [
        ("prediction_data", '{"a": 1, "bb": 2}', '{"bb":2,"a":1}'),
        ("timestamp", "2025-01-02 03:04:05.000000", datetime(2025, 1, 2, 3, 4, 5)),  # noqa: DTZ001
        ("timestamp", "2025-01-02 03:04:05.000000", "2025-01-02 03:04:05"),
        ("age", 45.0, 45),
        ("name", None, None),
    ],
)
def test_values_that_mean_the_same_are_the_same(column: str, one: object, other: object) -> None:
    assert same(column, one, other)


@pytest.mark.parametrize(
    ("column", "one", "other"),
    [
        ("prediction_data", '{"a": 1}', '{"a": 2}'),
        ("contributing_factors", '["a", "b"]', '["b", "a"]'),
        ("timestamp", "2025-01-02 03:04:05.000001", "2025-01-02 03:04:05"),
        ("name", "", None),
        ("name", "a", "A"),
    ],
)
def test_values_that_differ_are_not(column: str, one: object, other: object) -> None:
    assert not same(column, one, other)
