"""What an analysis sees of the predictions, as SQL that DuckDB and Spark read alike.

A source gives ``changes``: one row per change event (or per row of the database) with the columns
of ``CHANGES``. Three views are made of it: ``events``, ``snapshot`` and ``factors``. The last is an
engine's own SQL, since each has its own functions for JSON: of ``latest``, each text of
``contributing_factors`` that is a list of names (``list``), how many ``times`` it is there, and
its names (``factor``) by their ``ordinal`` from 1 on.
"""

from __future__ import annotations

import json
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

CHANGES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "op": "VARCHAR",  # c, u, d, and r for a row read by a snapshot
        "prediction_id": "BIGINT",
        "ts_us": "BIGINT",  # when Debezium read the change; microseconds since 1970, UTC
        "cluster": "VARCHAR",  # Kafka's id; never NULL
        "kafka_partition": "BIGINT",
        "place": "BIGINT",
        "turn": "BIGINT",
        **MEASURED,
    }
)
"""Columns of ``changes`` and their types.

What orders the events of an id: when the first event of their Kafka cluster was read (one that was
made anew counts its offsets from 0 again), ``place``, ``turn``. That is the offset and 0; of an
older deployment's files the place in the binlog (``binlog_place``) and the row at it.
"""

EVENTS: Final = ("op", "prediction_id", "cluster", "kafka_partition", "place", "turn", "ts_us")
"""Columns of ``events``."""

CHECKPOINT_SHAPE: Final = json.dumps([1, *CHANGES.items()])
"""The version of a checkpoint's tables and their columns: one of another shape is not continued."""

OLDER_THAN_ITS_CLUSTER: Final = "an event is older than the first known of its Kafka cluster"
"""Why a checkpoint cannot be continued: such an event may order the clusters in another way."""

PROBABILITY: Final = "CASE WHEN probability >= 0 AND probability <= 1 THEN probability END"
"""SQL of a probability; NULL where an adopted table has a number that is none."""

_DAY_US: Final = 86_400_000_000
# 0001-01-01 00:00:00 and 9999-12-31 23:59:59.999999: what dates of Python and of databases hold
_FIRST_US: Final = -62_135_596_800_000_000
_LAST_US: Final = 253_402_300_799_999_999


def binlog_place(file: str, position: int) -> int:
    """Return a number that orders places in a binlog, whose files are numbered by their suffix.

    Raises ``ValueError`` for a file without a number.
    """
    return int(file.rpartition(".")[2]) << 40 | position


def events_sql() -> str:
    """Return the query of ``events``: every change event once."""
    return f"SELECT DISTINCT {', '.join(EVENTS)} FROM changes"  # noqa: S608


def clusters_sql() -> str:
    """Return the query of ``clusters``: when the first event of each Kafka cluster was read."""
    return "SELECT cluster AS each, MIN(ts_us) AS began FROM changes GROUP BY cluster"


def words_sql(
    *, of: str = "changes", clusters: str = f"({clusters_sql()})", with_name: bool = False
) -> str:
    """Return the query of ``words``: the last change of each id, deletions among them.

    ``of`` and ``clusters`` are tables, views or queries in brackets. Events without an id, such as
    that of a table which was emptied at once, are about no prediction.
    """
    columns = ", ".join((*CHANGES, *(("name",) if with_name else ())))
    return (
        f"SELECT {columns} FROM (SELECT events.*, ROW_NUMBER() OVER ("  # noqa: S608
        "PARTITION BY prediction_id ORDER BY began DESC, place DESC, turn DESC) AS recency "
        f"FROM {of} AS events JOIN {clusters} AS clusters ON each = cluster "
        "WHERE prediction_id IS NOT NULL) AS ordered WHERE recency = 1"
    )


def new_events_sql(*, saved: str) -> str:
    """Return the query of the events that the table of events ``saved`` does not have yet.

    The sink may have stored an event that it had stored before.
    """
    return (
        f"{events_sql()} EXCEPT SELECT {', '.join(EVENTS)} FROM {saved} "  # noqa: S608
        "SEMI JOIN changes USING (cluster, kafka_partition, place)"
    )


def changed_ids_sql() -> str:
    """Return the query of the ids that ``changes`` is about."""
    return "SELECT DISTINCT prediction_id FROM changes WHERE prediction_id IS NOT NULL"


def changed_words_sql(*, saved: str, clusters: str) -> str:
    """Return the query of the last change of each id in ``changed_ids``.

    The table ``saved`` has the last change of each id before ``changes``.
    """
    columns = ", ".join(CHANGES)
    return words_sql(
        of=f"(SELECT {columns} FROM {saved} SEMI JOIN changed_ids USING (prediction_id) "  # noqa: S608
        f"UNION ALL SELECT {columns} FROM changes)",
        clusters=clusters,
    )


def snapshot_sql(*, with_name: bool = False) -> str:
    """Return the query of ``snapshot`` over ``latest``: rows with their day and their bands."""
    name = ", name" if with_name else ""
    columns = ", ".join(column for column in MEASURED if column != "contributing_factors")
    return (
        f"SELECT prediction_id AS id, {columns}{name}, "  # noqa: S608
        f"{_day('timestamp_us')} AS day, "
        f"{_band('age', AGE_GROUPS)} AS age_group, "
        f"{_band('bmi', BMI_CATEGORIES)} AS bmi_category, "
        f"{_band('avg_glucose_level', GLUCOSE_CATEGORIES)} AS glucose_category "
        "FROM latest"
    )


def _day(column: str) -> str:
    """Return the day of a time; NULL where the time is on no day of the years 1 to 9999.

    Whole numbers throughout: as a fraction, the last microseconds of a far day are the next day.
    """
    since = f"({column} - {_FIRST_US})"
    days = f"CAST(ROUND(CAST({since} - {since} % {_DAY_US} AS DOUBLE) / {_DAY_US}) AS INT)"
    is_known = f"{column} >= {_FIRST_US} AND {column} <= {_LAST_US}"
    return f"CASE WHEN {is_known} THEN DATE '0001-01-01' + {days} END"


def _band(column: str, bands: Bands) -> str:
    """Return the label of a column's band; NULL (and no number) is a group of its own."""
    below = " ".join(
        f"WHEN {column} < {cut} THEN '{label}'"
        for cut, label in zip(bands.cuts, bands.labels, strict=False)
    )
    # Neither NULL nor (as the greatest of all values) NaN is below a cut; looked for last, since
    # most rows have a label by then.
    nothing = f"{column} IS NULL OR {column} = CAST('NaN' AS DOUBLE)"
    return f"CASE {below} WHEN {nothing} THEN '{MISSING}' ELSE '{bands.labels[-1]}' END"
