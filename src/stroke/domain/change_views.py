"""What an analysis sees of the predictions, as SQL that DuckDB and Spark read alike.

A source gives ``changes``: one row per change event (or per row of the database) with the columns
of ``CHANGES``. Three views are made of it: ``events``, ``snapshot`` and ``factors``.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from stroke.domain.features import AGE_GROUPS, BMI_CATEGORIES, GLUCOSE_CATEGORIES, Bands

MISSING: Final = "(missing)"
"""The label of NULL. It is no value that the service stores: "Unknown" is one."""

MEASURED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "timestamp_us": "BIGINT",  # of the prediction; microseconds since 1970, UTC
        "gender": "VARCHAR",
        "age": "DOUBLE",
        "hypertension": "BIGINT",
        "heart_disease": "BIGINT",
        "avg_glucose_level": "DOUBLE",
        "bmi": "DOUBLE",
        "smoking_status": "VARCHAR",
        "country": "VARCHAR",
        "province": "VARCHAR",
        "probability": "DOUBLE",
        "risk_category": "VARCHAR",
        "model_version": "VARCHAR",
        "contributing_factors": "VARCHAR",  # JSON text
    }
)
"""Type of each column of a prediction that an analysis may see; ``name`` only on request."""

ORDER: Final = ("era", "place", "turn")
"""What orders the events of an id: of Kafka the cluster's turn, the offset and 0; of an older
deployment's files the number of the binlog file, the position in it and the row at it."""

CHANGES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "op": "VARCHAR",  # c, u, d, and r for a row read by a snapshot
        "prediction_id": "BIGINT",
        "ts_us": "BIGINT",  # when Debezium read the change; microseconds since 1970, UTC
        "era": "BIGINT",
        "kafka_partition": "BIGINT",
        "place": "BIGINT",
        "turn": "BIGINT",
        **MEASURED,
    }
)
"""Columns of ``changes`` and their types."""

_DAY_US: Final = 86_400_000_000


def events_sql() -> str:
    """Return the query of ``events``: every change event once."""
    return (
        "SELECT DISTINCT op, prediction_id, era, kafka_partition, place, turn, ts_us FROM changes"
    )


def latest_sql(*, with_name: bool = False) -> str:
    """Return the query of ``latest``: the last row of each id, without those deleted.

    It is all that a later run has to know of these changes.
    """
    columns = ", ".join((*CHANGES, *(("name",) if with_name else ())))
    order = ", ".join(f"{column} DESC" for column in ORDER)
    return (
        f"SELECT {columns} FROM (SELECT *, ROW_NUMBER() OVER "  # noqa: S608
        f"(PARTITION BY prediction_id ORDER BY {order}) AS recency FROM changes) AS ordered "
        "WHERE recency = 1 AND op <> 'd'"
    )


def snapshot_sql(*, with_name: bool = False) -> str:
    """Return the query of ``snapshot`` over ``latest``: rows with their day and their bands."""
    name = ", name" if with_name else ""
    columns = ", ".join(column for column in MEASURED if column != "contributing_factors")
    return (
        f"SELECT prediction_id AS id, {columns}{name}, "  # noqa: S608
        "DATE '1970-01-01' + "
        f"CAST(FLOOR(CAST(timestamp_us AS DOUBLE) / {_DAY_US}) AS INT) AS day, "
        f"{_band('age', AGE_GROUPS)} AS age_group, "
        f"{_band('bmi', BMI_CATEGORIES)} AS bmi_category, "
        f"{_band('avg_glucose_level', GLUCOSE_CATEGORIES)} AS glucose_category "
        "FROM latest"
    )


def _band(column: str, bands: Bands) -> str:
    """Return the label of a column's band; NULL (and no number) is a group of its own."""
    below = " ".join(
        f"WHEN {column} < {cut} THEN '{label}'"
        for cut, label in zip(bands.cuts, bands.labels, strict=False)
    )
    # A comparison would take NaN for the greatest of all values.
    nothing = f"{column} IS NULL OR {column} = CAST('NaN' AS DOUBLE)"
    return f"CASE WHEN {nothing} THEN '{MISSING}' {below} ELSE '{bands.labels[-1]}' END"
