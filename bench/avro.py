"""The embedded analyses of a directory of Avro files, as a ratio to what fastavro needs for them.

    python bench/avro.py [--events 1000000] [--files 50] [--bytes 400]

Writes Debezium's envelopes with all their fields, into files as Kafka Connect's S3 sink leaves
them. Then `stroke analytics run` makes all tables that have no row per patient, in a process of its
own, and fastavro alone decodes one of the files: the baseline, of one core and without any table.

Exit code 1 when other events are read than were written; a missed goal is not said.

Goal: at most 30 s for a million envelopes on 2 cores.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import process_time
from typing import Any

import fastavro

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from components.figures import counted, read
from components.processes import STROKE, cost_of

TOPIC = "mysql.stroke.predictions"
START = 1_767_312_000_000_000
COUNTRIES = ("Brasil", "Canada", "España", "日本", "Nigeria", "United States")
ROW = {
    "timestamp": {"type": "long", "connect.name": "io.debezium.time.MicroTimestamp"},
    **dict.fromkeys(("gender", "smoking_status", "name", "country", "province"), "string"),
    **dict.fromkeys(("hypertension", "heart_disease"), "int"),
    **dict.fromkeys(("age", "avg_glucose_level", "bmi", "probability"), "double"),
    **dict.fromkeys(("risk_category", "model_version", "idempotency_key"), "string"),
    "contributing_factors": {"type": "string", "connect.name": "io.debezium.data.Json"},
    "prediction_data": {"type": "string", "connect.name": "io.debezium.data.Json"},
}
SOURCE = {
    **dict.fromkeys(("version", "connector", "name", "db", "file"), "string"),
    **dict.fromkeys(("ts_ms", "server_id", "pos"), "long"),
    "row": "int",
    **{name: ["null", "string"] for name in ("snapshot", "sequence", "table", "gtid", "query")},
    **{name: ["null", "long"] for name in ("ts_us", "ts_ns", "thread")},
}


def fields(types: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"name": name, "type": kind} for name, kind in types.items()]


def schema() -> Any:
    row = {"id": "long", **{name: ["null", kind] for name, kind in ROW.items()}}
    envelope = {
        "before": ["null", {"type": "record", "name": "Value", "fields": fields(row)}],
        "after": ["null", "Value"],
        "source": {"type": "record", "name": "Source", "fields": fields(SOURCE)},
        "op": "string",
        **{name: ["null", "long"] for name in ("ts_ms", "ts_us", "ts_ns")},
    }
    return fastavro.parse_schema(
        {"type": "record", "name": "Envelope", "namespace": TOPIC, "fields": fields(envelope)}
    )


def events(numbers: range, document: str) -> Iterator[dict[str, Any]]:
    made = random.Random(numbers.start)  # noqa: S311 - not a secret
    for number in numbers:
        probability = made.betavariate(1, 20)
        row = {
            "id": number,
            "timestamp": START + number * 1_000_000,
            "gender": made.choice(("Male", "Female")),
            "age": made.randrange(0, 1000) / 10,
            "hypertension": int(number % 7 == 0),
            "heart_disease": int(number % 11 == 0),
            "avg_glucose_level": made.randrange(600, 2500) / 10,
            "bmi": made.randrange(150, 500) / 10,
            "smoking_status": made.choice(("never smoked", "smokes", "Unknown")),
            "name": f"Patient {number}",
            "country": made.choice(COUNTRIES),
            "province": "Québec",
            "probability": probability,
            "risk_category": "High" if probability > 0.15 else "Low",
            "contributing_factors": '["age","avg_glucose_level","bmi"]',
            "prediction_data": document,
            "model_version": "stroke-spline-lr-cabc5afbc888",
        }
        source = {
            "version": "3.4.0.Final",
            "connector": "mysql",
            "name": "mysql",
            "ts_ms": START // 1000 + number,
            "db": "stroke",
            "table": "predictions",
            "server_id": 1,
            "file": f"binlog.{number // 500_000 + 999_999}",
            "pos": 1_000 * (number % 500_000),
            "row": 0,
            "ts_us": START + number,
        }
        yield {"op": "c", "after": row, "source": source, "ts_ms": START // 1000 + number}


def write_files(folder: Path, count: int, files: int, size: int) -> list[Path]:
    place = folder / "topics" / TOPIC / "partition=0"
    place.mkdir(parents=True)
    shape, each = schema(), count // files
    written = []
    for start in range(0, each * files, each):
        path = place / f"{TOPIC}+0+{start:010d}.avro"
        with path.open("wb") as sink:
            fastavro.writer(sink, shape, events(range(start, start + each), "x" * size))
        written.append(path)
    return written


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--files", type=int, default=50)
    parser.add_argument("--bytes", type=int, default=400, help="of a row's JSON document")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = write_files(folder, given.events, given.files, given.bytes)
        began = process_time()
        with files[0].open("rb") as source:
            decoded = sum(1 for _ in fastavro.reader(source))
        alone = read("fastavro's CPU time", process_time() - began) / decoded
        load = os.getloadavg()[0]
        cost = cost_of(
            [
                STROKE,
                "analytics",
                "run",
                "--source",
                folder / "topics",
                "--json",
                "--output",
                folder / "out",
            ],
            stderr=None,
        )
        if cost.exit_code != 0:
            raise SystemExit("the analyses failed")
        envelopes = counted(
            "events of the analyses",
            json.loads(cost.stdout)["events"],
            given.events // given.files * given.files,
        )
        megabytes = sum(path.stat().st_size for path in files) / 1e6
    figures = {
        "envelopes": envelopes,
        "megabytes": round(megabytes),
        "seconds": round(cost.seconds, 1),
        "envelopes_per_second": round(envelopes / cost.seconds),
        "fastavro_envelopes_per_cpu_second": round(1 / alone),
        "time_to_fastavro_on_one_core_ratio": round(cost.seconds / (alone * envelopes), 2),
        "peak_mib": round(read("memory", cost.mib)),
        "load_before": round(load, 1),
        "cpus": os.cpu_count(),
    }
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
