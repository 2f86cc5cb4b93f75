from __future__ import annotations

import pytest
from sqlalchemy import Column, MetaData, Table, Time

from stroke.adapters.kafka_connect.column_types import required_columns
from stroke.adapters.sql.tables import COLUMNS, predictions


def test_every_column_of_the_table_has_connects_type_of_it() -> None:
    required = dict(part.split(":") for part in required_columns(predictions).split(","))

    assert tuple(required) == COLUMNS
    assert required["id"] == required["timestamp"] == "int64"
    assert required["hypertension"] == "int16"
    assert required["probability"] == "float64"
    assert required["name"] == "string(100)"
    assert required["contributing_factors"] == "string"


def test_a_type_that_nobody_thought_of_is_an_error() -> None:
    with pytest.raises(TypeError):
        required_columns(Table("t", MetaData(), Column("at", Time)))
