"""The hand-checked change log as the sink leaves it in a lake, and results that must meet it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow.parquet as pq
import pytest
from pyarrow.fs import FileSystem
from pyiceberg.types import StringType

from builders.truth import EVENTS, NEW, OLD, TRUTH, Change
from components.lake_events import TOPIC, Sink
from stroke.adapters.iceberg.catalog import Lake
from stroke.adapters.iceberg.change_log import IcebergChangeLog
from stroke.application.analyses.queries import analyses

COLUMNS = (
    ("id", "int64"),
    ("timestamp", "int64"),
    ("gender", "string"),
    ("age", "float64"),
    ("hypertension", "int16"),
    ("heart_disease", "int16"),
    ("avg_glucose_level", "float64"),
    ("bmi", "float64"),
    ("smoking_status", "string"),
    ("name", "string"),
    ("country", "string"),
    ("province", "string"),
    ("probability", "float64"),
    ("risk_category", "string"),
    ("contributing_factors", "string"),
    ("prediction_data", "string"),
)
NAMES = [*TRUTH]
TABLES = {each.name: each.table for each in analyses()}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SMALL = ("--top", "2", "--minimum-count", "1")


def an_event(change: Change, site: str | None = None) -> dict[str, Any]:
    moment = EPOCH + timedelta(microseconds=change["ts_us"])
    row = {name: change.get(name) for name, _ in (*COLUMNS, ("model_version", ""))}
    row |= {"id": change["prediction_id"], "timestamp": change["timestamp_us"]}
    before = {"id": change["prediction_id"]}
    if site is not None:
        row, before = {**row, "site": site}, {**before, "site": site}
    return {
        "before": before if change["op"] in "ud" else None,
        "after": None if change["op"] == "d" else row,
        "op": change["op"],
        "ts_ms": moment,
        "ts_us": change["ts_us"],
    }


async def begin(lake: Lake) -> None:
    """Make the table, of the older schema."""
    await IcebergChangeLog(lake, columns=COLUMNS, topic=TOPIC).ensure_table()


def fill(lake: Lake, changes: Sequence[Change] = EVENTS) -> None:
    """Write changes: rows that were adopted in the older schema, one in Avro, of two clusters."""
    sinks = {cluster: Sink(lake, cluster) for cluster in (OLD, NEW)}
    if "after.model_version" not in lake.load().schema().column_names:
        for change in changes:
            if change["op"] == "r":
                sinks[OLD].commit(an_event(change), at_offset=change["place"])
        changes = [change for change in changes if change["op"] != "r"]
        with lake.load().update_schema() as evolving:
            for struct in ("before", "after"):
                evolving.add_column((struct, "model_version"), StringType())
    for change in changes:
        into = sinks[change["cluster"]]
        if change["op"] == "d" and change["prediction_id"] == 6:
            into._next = change["place"]
            into.commit_avro(an_event(change))
        else:
            into.commit(an_event(change), at_offset=change["place"])


async def begin_with_sites(lake: Lake) -> None:
    """Make the table, of the schema that has sites."""
    columns = (*COLUMNS, ("model_version", "string"), ("site", "string"))
    await IcebergChangeLog(lake, columns=columns, topic=TOPIC).ensure_table()


def fill_with_sites(lake: Lake, changes: Sequence[Change] = EVENTS) -> None:
    """Write changes for the site north, and each for other predictions: of south, and of nobody."""
    sinks = {cluster: Sink(lake, cluster) for cluster in (OLD, NEW)}
    for beyond, site in ((0, "north"), (1_000, "south"), (2_000, None)):
        for change in changes:
            other = {**change, "place": change["place"] + beyond}
            if change["prediction_id"] is not None:
                other["prediction_id"] = change["prediction_id"] + beyond
            sinks[change["cluster"]].commit(an_event(other, site), at_offset=other["place"])


def results(files: FileSystem, folder: str) -> dict[str, list[dict[str, Any]]]:
    return {
        name: pq.read_table(f"{folder}/{table}.parquet", filesystem=files).to_pylist()
        for name, table in TABLES.items()
        if files.get_file_info(f"{folder}/{table}.parquet").is_file
    }


def assert_true(found: Mapping[str, Sequence[Mapping[str, Any]]], names: Sequence[str]) -> None:
    assert sorted(found) == sorted(names)
    for name, rows in found.items():
        expected = TRUTH[name]
        queried = [tuple(row.values())[: len(expected[0])] for row in rows]
        assert len(queried) == len(expected), name
        for one, other in zip(queried, expected, strict=True):
            assert one == pytest.approx(other, abs=1e-12), name
        assert all("name" not in row for row in rows)
