"""Change logs of any size on a local S3 server (moto's), for the figures of what reads them.

Creations, a tenth of them updated, a hundredth deleted. The baseline of a figure is what pyiceberg
alone takes to read the same columns.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.io.pyarrow import schema_to_pyarrow
from pyiceberg.typedef import Record

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from components.figures import counted, read
from components.object_store import ObjectStore
from stroke.adapters.iceberg.catalog import Lake
from stroke.adapters.iceberg.change_log import IcebergChangeLog
from stroke.adapters.iceberg.rewriting import write_file
from stroke.adapters.kafka_connect.column_types import column_types
from stroke.adapters.sql.tables import predictions

DAY = 20_454  # since 1970
TOPIC = "dbserver1.stroke_predictions.predictions"
FACTORS = ['["age","bmi"]', '["age","avg_glucose_level","bmi"]', '["age"]', "[]"]


class LakeOfBench(NamedTuple):
    """An empty table in a bucket: ``settings`` are the environment of a `stroke` that reads it."""

    folder: Path
    settings: dict[str, str]
    table: Lake


def options(purpose: str) -> argparse.Namespace:
    """Return how many events to write, and into how many files, as the command line says."""
    parser = argparse.ArgumentParser(
        description=purpose, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--files", type=int, default=50)
    return parser.parse_args()


@contextmanager
def new_lake() -> Iterator[LakeOfBench]:
    """Give an empty table on an S3 server, which ends with the block."""
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores before the start")
    with tempfile.TemporaryDirectory() as name, ObjectStore(Path(name)) as s3:
        folder = Path(name)
        settings = settings_of(s3, f"sqlite:///{folder / 'catalog.db'}")
        yield LakeOfBench(folder, settings, new_table(settings))


def settings_of(s3: ObjectStore, catalog: str) -> dict[str, str]:
    """Return the environment of a `stroke` with a new bucket, and a catalog at this address."""
    return {
        "STROKE_LAKE_CATALOG_URI": catalog,
        "STROKE_LAKE_BUCKET": s3.new_bucket(),
        "STROKE_LAKE_ENDPOINT": s3.endpoint,
        "STROKE_LAKE_PATH_STYLE": "true",
        "STROKE_LAKE_ACCESS_KEY_ID": "local",
        "STROKE_LAKE_SECRET_ACCESS_KEY": "local",
    }


def new_table(settings: dict[str, str]) -> Lake:
    """Make the empty table that these settings name."""
    lake = Lake(
        "jdbc",
        name="iceberg",
        uri=settings["STROKE_LAKE_CATALOG_URI"],
        warehouse=f"s3://{settings['STROKE_LAKE_BUCKET']}/warehouse",
        table="stroke.predictions_changes",
        region="us-east-1",
        endpoint=settings["STROKE_LAKE_ENDPOINT"],
        path_style=True,
        access_key_id="local",
        secret_access_key="local",  # noqa: S106
    )
    asyncio.run(
        IcebergChangeLog(lake, columns=column_types(predictions), topic=TOPIC).ensure_table()
    )
    return lake


def compare(what: str, figure: float, goal: float, unit: str) -> None:
    """Print a figure beside its goal, which is an upper limit."""
    read(what, figure)
    missed = "" if figure <= goal else ", MISSED"
    print(f"{what}: {figure:,.1f} {unit} (goal <= {goal:,g}{missed})")


def fill(lake: Lake, random: Any, first: int, events: int, files: int) -> int:
    """Append events in so many files; return how many those are."""
    table = lake.load()
    shape = schema_to_pyarrow(table.schema())
    each = events // files
    for number in range(files):
        made = some_events(random, first + number * each, each, shape)
        file = write_file(table, Record(DAY), made.to_batches())
        with (
            table.transaction() as transaction,
            transaction.update_snapshot().fast_append() as appending,
        ):
            appending.append_data_file(file)
    return each * files


def some_events(random: Any, first: int, count: int, shape: pa.Schema) -> pa.Table:
    """Return events, of which the last ninth or so are about rows that were created before."""
    offsets = np.arange(first, first + count)
    op = random.choice(["c", "u", "d"], count, p=[0.89, 0.1, 0.01])
    if first == 0:
        op[:] = "c"
    ids = np.where(op == "c", offsets + 1, random.integers(1, max(first, 1) + 1, count))
    probability = random.beta(0.6, 10, count)
    row = {
        "id": ids,
        "timestamp": 1_767_300_000_000_000 + offsets * 50_000,
        "gender": random.choice(["Male", "Female", "Other"], count, p=[0.41, 0.58, 0.01]),
        "age": np.round(random.uniform(1, 95, count), 1),
        "hypertension": random.integers(0, 2, count),
        "heart_disease": random.integers(0, 2, count),
        "avg_glucose_level": np.round(random.uniform(55, 270, count), 2),
        "bmi": np.round(random.uniform(14, 50, count), 1),
        "smoking_status": random.choice(["smokes", "never smoked", "Unknown"], count),
        "name": np.char.add("Patient ", ids.astype(str)),
        "country": random.choice([f"Country {n}" for n in range(20)], count),
        "province": random.choice([f"Province {n}" for n in range(200)], count),
        "probability": probability,
        "risk_category": np.select(
            [probability > 0.15, probability > 0.02], ["High", "Medium"], "Low"
        ),
        "contributing_factors": random.choice(FACTORS, count),
        "prediction_data": np.char.add('{"age": ', np.char.add(ids.astype(str), "}")),
        "model_version": random.choice(["v1", "v2"], count),
    }
    kind = shape.field("after").type
    deleted = pa.array(op == "d")
    after = pa.StructArray.from_arrays(
        [
            pc.cast(pa.array(row[f.name]), f.type) if f.name in row else pa.nulls(count, f.type)
            for f in kind
        ],
        fields=list(kind),
        mask=deleted,
    )
    before = pa.StructArray.from_arrays(
        [pa.array(ids) if f.name == "id" else pa.nulls(count, f.type) for f in kind],
        fields=list(kind),
        mask=pa.array(op == "c"),
    )
    at = pa.array(1_767_300_000_000_000 + offsets * 50_000)
    place = shape.field("_kafka_metadata").type
    where = {
        "topic": pa.repeat(TOPIC, count),
        "partition": pa.repeat(0, count),
        "offset": pa.array(offsets),
        "timestamp": pc.cast(at, pa.timestamp("us", "UTC")),
        "cluster": pa.repeat("MkU3OEVBNTcwNTJENDM2Qg", count),
    }
    columns = {
        "before": before,
        "after": after,
        "op": pa.array(op),
        "ts_us": at,
        "ts_ms": pc.cast(at, pa.timestamp("us", "UTC")),
        "_kafka_metadata": pa.StructArray.from_arrays(
            [pc.cast(where[f.name], f.type) for f in place], fields=list(place)
        ),
    }
    return pa.table(
        [
            pc.cast(columns[f.name], f.type) if f.name in columns else pa.nulls(count, f.type)
            for f in shape
        ],
        schema=shape,
    )


def baseline(lake: Lake, events: int) -> float:
    wanted = ("op", "ts_us", "before.id", "_kafka_metadata")
    row = [
        c.name
        for c in predictions.columns
        if c.name not in {"name", "prediction_data", "idempotency_key"}
    ]
    began = time.monotonic()
    columns = (*wanted, *(f"after.{name}" for name in row))
    found = lake.load().scan(selected_fields=columns).to_arrow().num_rows
    took = time.monotonic() - began
    counted("events that pyiceberg read", found, events)
    return took
