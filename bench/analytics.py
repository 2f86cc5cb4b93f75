"""The embedded analyses of a million events, from S3 to all tables.

Fills an Iceberg table on a local S3 server (moto's) with a change log: creations, a tenth of them
updated, a hundredth deleted. Then `stroke analytics run` makes all tables that have no row per
patient, in a process of its own, and pyiceberg alone reads the same columns: the baseline. After
one more percent of events it runs again.

    .venv/bin/python bench/analytics.py [--events 1000000] [--files 50]

Exit code 1 when a run reads other events than there are; a missed goal is only said.

Goals: at most 10 s, and 2 GB, for a million events on 2 cores; for one more percent at most a tenth
of that beyond the start, which is that of `stroke analytics run` on an empty table.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from pyiceberg.io.pyarrow import schema_to_pyarrow  # noqa: E402
from pyiceberg.typedef import Record  # noqa: E402

from components.figures import counted, read  # noqa: E402
from components.object_store import ObjectStore  # noqa: E402
from components.processes import STROKE, environment  # noqa: E402
from stroke.adapters.iceberg.catalog import Lake  # noqa: E402
from stroke.adapters.iceberg.change_log import IcebergChangeLog  # noqa: E402
from stroke.adapters.iceberg.rewriting import write_file  # noqa: E402
from stroke.adapters.kafka_connect.column_types import column_types  # noqa: E402
from stroke.adapters.sql.tables import predictions  # noqa: E402

DAY = 20_454  # since 1970
TOPIC = "dbserver1.stroke_predictions.predictions"
FACTORS = ['["age","bmi"]', '["age","avg_glucose_level","bmi"]', '["age"]', "[]"]


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--events", type=int, default=1_000_000)
    options.add_argument("--files", type=int, default=50)
    given = options.parse_args()
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores before the start")
    with tempfile.TemporaryDirectory() as name, ObjectStore(Path(name)) as s3:
        folder = Path(name)
        settings = {
            "STROKE_LAKE_CATALOG_URI": f"sqlite:///{folder / 'catalog.db'}",
            "STROKE_LAKE_BUCKET": s3.new_bucket(),
            "STROKE_LAKE_ENDPOINT": s3.endpoint,
            "STROKE_LAKE_PATH_STYLE": "true",
            "STROKE_LAKE_ACCESS_KEY_ID": "local",
            "STROKE_LAKE_SECRET_ACCESS_KEY": "local",
        }
        lake = a_lake(settings)
        random = np.random.default_rng(7)
        make(lake)
        start, _ = run(folder, settings, "empty", 0)
        events = fill(lake, random, 0, given.events, given.files)
        bare = baseline(lake, events)
        took, peak = run(folder, settings, "reports", events)
        more = fill(lake, random, given.events, given.events // 100, 1)
        again, _ = run(folder, settings, "reports", more)
    print(f"pyiceberg alone reads the columns in {bare:.1f} s")
    tell("all tables, start-up included", took, 10, "s")
    print(f"  ratio to the baseline: {took / bare:.2f}")
    tell("memory at its highest", peak / 2**20, 2_000, "MB")
    print(f"start-up: {start:.1f} s")
    tell("all tables again, after 1 % more events", again, took / 10 + start, "s")


def tell(what: str, figure: float, goal: float, unit: str) -> None:
    read(what, figure)
    missed = "" if figure <= goal else ", MISSED"
    print(f"{what}: {figure:,.1f} {unit} (goal <= {goal:,g}{missed})")


def a_lake(settings: dict[str, str]) -> Lake:
    return Lake(
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


def make(lake: Lake) -> None:
    asyncio.run(
        IcebergChangeLog(lake, columns=column_types(predictions), topic=TOPIC).ensure_table()
    )


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


def run(folder: Path, settings: dict[str, str], output: str, events: int) -> tuple[float, int]:
    options = ("--output", output, "--checkpoint", f"{output}.kept", "--json")
    began = time.monotonic()
    done = subprocess.run(
        [str(STROKE), "analytics", "run", *options],
        cwd=folder,
        env=environment(**settings),
        capture_output=True,
        text=True,
        check=False,
    )
    took = time.monotonic() - began
    if done.returncode != 0:
        raise SystemExit(done.stderr)
    said = json.loads(done.stdout)
    print(f"{said['events']:,} events, {said['predictions']:,} predictions")
    counted("events of the analyses", said["events"], events)
    return took, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024


if __name__ == "__main__":
    main()
