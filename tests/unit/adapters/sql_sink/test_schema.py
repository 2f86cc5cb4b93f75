from __future__ import annotations

import re

import pytest
from sqlalchemy import Column, Interval, MetaData, Table, make_url

from stroke.adapters.sql.tables import COLUMNS, predictions
from stroke.adapters.sql_sink.database import SinkDatabase, SinkDialect
from stroke.adapters.sql_sink.schema import ddl
from stroke.domain.errors import InvalidSetting


def types(dialect: SinkDialect) -> dict[str, str]:
    """Return each column's definition by its name."""
    found = re.findall(r'^\t[\["](\w+)[\]"] (.+?),?$', ddl(predictions, "p", dialect), re.MULTILINE)
    return dict(found)


@pytest.mark.parametrize("dialect", ["mssql", "postgresql"])
def test_the_table_has_the_source_s_columns_in_their_order(dialect: SinkDialect) -> None:
    assert tuple(types(dialect)) == COLUMNS


def test_sql_server_gets_types_that_hold_what_mysql_holds() -> None:
    assert types("mssql") == {
        "id": "BIGINT NOT NULL",  # and no IDENTITY
        "timestamp": "DATETIME2(6) NULL",
        "gender": "NVARCHAR(20) NULL",
        "age": "DOUBLE PRECISION NULL",
        "hypertension": "SMALLINT NULL",
        "heart_disease": "SMALLINT NULL",
        "avg_glucose_level": "DOUBLE PRECISION NULL",
        "bmi": "DOUBLE PRECISION NULL",
        "smoking_status": "NVARCHAR(40) NULL",
        "name": "NVARCHAR(200) NULL",
        "country": "NVARCHAR(100) NULL",
        "province": "NVARCHAR(100) NULL",
        "probability": "DOUBLE PRECISION NULL",
        "risk_category": "NVARCHAR(20) NULL",
        "contributing_factors": "NVARCHAR(max) NULL",
        "prediction_data": "NVARCHAR(max) NULL",
        "model_version": "NVARCHAR(128) NULL",
        "idempotency_key": "NVARCHAR(128) NULL",
        "site": "NVARCHAR(128) NULL",
        "created_by": "NVARCHAR(256) NULL",
    }


def test_postgresql_gets_types_that_hold_what_mysql_holds() -> None:
    found = types("postgresql")

    assert found["id"] == "BIGINT NOT NULL"
    assert found["timestamp"] == "TIMESTAMP(6) WITHOUT TIME ZONE"
    assert found["name"] == "VARCHAR(100)"
    assert found["prediction_data"] == "JSONB"
    assert found["hypertension"] == "SMALLINT"


def test_a_table_that_is_there_is_left_alone() -> None:
    assert ddl(predictions, "copies", "mssql").startswith(
        "IF OBJECT_ID(N'copies', N'U') IS NULL\nCREATE TABLE copies ("
    )
    assert ddl(predictions, "copies", "postgresql").startswith(
        "CREATE TABLE IF NOT EXISTS copies ("
    )


def test_the_id_is_the_primary_key() -> None:
    assert "PRIMARY KEY ([id])" in ddl(predictions, "p", "mssql")
    assert 'PRIMARY KEY ("id")' in ddl(predictions, "p", "postgresql")


def test_a_type_that_nobody_thought_of_is_refused_rather_than_guessed() -> None:
    table = Table("p", MetaData(), Column("id", Interval, primary_key=True))

    with pytest.raises(TypeError, match="mssql"):
        ddl(table, "p", "mssql")


def test_a_sink_of_another_kind_is_refused() -> None:
    with pytest.raises(InvalidSetting, match="mssql"):
        SinkDatabase(make_url("sqlite+aiosqlite:///sink.db"), timeout=1)
