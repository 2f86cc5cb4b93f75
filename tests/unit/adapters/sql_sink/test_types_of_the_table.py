"""Types of the SQL copy's table: what a database tells of ours, and what the sink would make."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy.dialects import mssql, postgresql

from stroke.adapters.sql.tables import predictions
from stroke.adapters.sql_sink.schema import shape, target_type

# As SQLAlchemy's inspector gives the columns that our statement makes.
REFLECTED: dict[str, dict[str, Any]] = {
    "postgresql": {
        "id": postgresql.BIGINT(),
        "timestamp": postgresql.TIMESTAMP(precision=6),
        "gender": postgresql.VARCHAR(10),
        "age": postgresql.DOUBLE_PRECISION(),
        "hypertension": postgresql.SMALLINT(),
        "prediction_data": postgresql.JSONB(),
    },
    "mssql": {
        "id": mssql.BIGINT(),
        "timestamp": mssql.DATETIME2(6),  # type: ignore[no-untyped-call]
        "gender": mssql.NVARCHAR(20),
        "age": mssql.FLOAT(53),
        "hypertension": mssql.SMALLINT(),
        "prediction_data": mssql.NVARCHAR(None),
    },
}
# As the JDBC sink makes them where it has no table.
MADE_BY_SINK: dict[str, dict[str, Any]] = {
    "postgresql": {
        "gender": postgresql.TEXT(),
        "timestamp": postgresql.TIMESTAMP(timezone=True, precision=6),
        "age": postgresql.REAL(),
        "hypertension": postgresql.INTEGER(),
        "prediction_data": postgresql.JSON(),
    },
    "mssql": {
        "gender": mssql.VARCHAR(None),
        "timestamp": mssql.DATETIME2(3),  # type: ignore[no-untyped-call]
        "age": mssql.REAL(),  # type: ignore[no-untyped-call]
        "hypertension": mssql.INTEGER(),
        "prediction_data": mssql.VARCHAR(None),
    },
}


@pytest.mark.parametrize("dialect", ["postgresql", "mssql"])
def test_our_types_are_known_again_and_those_of_the_sink_are_not(dialect: Any) -> None:
    wanted = {
        name: shape(target_type(predictions.columns[name].type, dialect))
        for name in REFLECTED[dialect]
    }

    assert {name: shape(reflected) for name, reflected in REFLECTED[dialect].items()} == wanted
    for name, made in MADE_BY_SINK[dialect].items():
        assert shape(made) != wanted[name], name
