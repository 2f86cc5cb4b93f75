"""`stroke lake` as a user runs it, on a real S3 server and a catalog in MySQL."""

from __future__ import annotations

import json
import subprocess
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pyiceberg.serializers import ToOutputFile

from components.containers import free_port
from components.lake_events import CLUSTER, COLUMNS, TOPIC, Sink, created, deleted
from components.object_store import ObjectStore
from components.processes import RunStroke
from stroke.adapters.iceberg.catalog import Lake
from stroke.adapters.iceberg.catalog_pointer import CatalogPointer
from stroke.adapters.iceberg.change_log import IcebergChangeLog

pytestmark = pytest.mark.anyio


@pytest.fixture
def run(run_on_lake: RunStroke) -> RunStroke:
    return partial(run_on_lake, "lake")


@pytest.fixture
async def sink(lake: Lake) -> Sink:
    await IcebergChangeLog(lake, columns=COLUMNS, topic=TOPIC).ensure_table()
    sink = Sink(lake)
    for number in range(3):
        sink.commit(created(number), created(number + 10))
    return sink


def said(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return json.loads(done.stdout)


async def test_the_table_is_made_once(run: RunStroke) -> None:
    for done in ("was made", "is there already"):
        ended = run("create")
        assert (ended.returncode, ended.stderr) == (0, "")
        assert ended.stdout == f"the table stroke.predictions_changes {done}\n"


async def test_the_table_is_compacted_and_forgets_what_was(sink: Sink, run: RunStroke) -> None:
    before = said(run("status", "--json"))
    assert (before["data_files"], before["rows"], before["snapshots"]) == (3, 6, 3)
    assert (before["cluster"], before["offsets"]) == (CLUSTER, {f"{TOPIC}-0": 5})

    planned = said(run("compact", "--dry-run", "--json"))
    assert (planned["files_before"], planned["files_after"], planned["dry_run"]) == (3, 1, True)
    assert said(run("compact", "--json"))["bytes_after"] < planned["bytes_before"]
    assert run("compact").stdout == "nothing to compact\n"

    sink.commit(created(50))
    expiring = ("expire", "--older-than-days", "0", "--keep", "1")
    assert said(run(*expiring, "--dry-run", "--json"))["snapshots"] == 4
    assert "4 snapshots forgotten, 1 kept" in run(*expiring).stdout

    after = said(run("status", "--json"))
    assert (after["data_files"], after["rows"], after["snapshots"]) == (2, 7, 1)
    assert (after["cluster"], after["offsets"]) == (CLUSTER, {f"{TOPIC}-0": 6})
    assert f"from Kafka cluster {CLUSTER} {TOPIC}-0@6" in run("status").stdout


def written_an_hour_ahead(lake: Lake) -> None:
    """Let the table's newest state be one that a clock wrote which was an hour ahead."""
    table = lake.load()
    later = table.metadata.model_copy(
        update={"last_updated_ms": table.metadata.last_updated_ms + 3_600_000}
    )
    location = f"{table.location()}/metadata/99999-ahead.metadata.json"
    ToOutputFile.table_metadata(later, table.io.new_output(location))
    CatalogPointer.of(lake, "changed").move_to(location)


async def test_times_that_are_ahead_are_named_and_set_back(
    sink: Sink, run: RunStroke, lake: Lake
) -> None:
    none = "no time in the table is after this clock's"
    assert run("set-back", "--yes").stdout == f"{none}\n"
    written_an_hour_ahead(lake)

    assert "s after this clock's" in run("set-back", "--dry-run").stdout
    assert "s after this clock's" in run("set-back", "--dry-run").stdout, "it changed something"
    assert run("set-back", "--yes").stdout.endswith(f"{none} now\n")
    assert run("set-back", "--dry-run").stdout == f"{none}\n"

    sink.commit(created(50))
    assert said(run("status", "--json"))["rows"] == 7


async def test_young_files_are_no_orphans(
    sink: Sink, run: RunStroke, lake: Lake, s3: ObjectStore
) -> None:
    path = f"{lake.load().location().removeprefix('s3://')}/data/torn.parquet"
    with s3.files.open_output_stream(path) as stream:
        stream.write(b"torn")
    sink.commit(created(50))

    listed = run("orphans")
    assert (listed.returncode, listed.stdout) == (0, "")
    assert listed.stderr == "0 orphans, 0 bytes\n"
    assert said(run("orphans", "--yes", "--json")) == {"files": [], "deleted": True}
    assert path in s3.paths(path.rpartition("/")[0])


async def test_erased_predictions_are_taken_out_with_the_history(
    sink: Sink, run: RunStroke, tmp_path: Path
) -> None:
    sink.commit(deleted(1), deleted(11))
    ids = tmp_path / "ids.txt"
    ids.write_text("1\n11\n", encoding="utf-8-sig")

    planned = said(run("erase", "--file", str(ids), "--dry-run", "--json"))
    assert planned == {"ids": 2, "events": 4, "files": 2, "snapshots": 0, "dry_run": True}
    assert run("erase", "1").returncode != 0  # nobody said yes
    assert run("erase", "1", "11", "--yes").stdout.startswith("4 events of 2 files removed")
    assert said(run("status", "--json"))["snapshots"] == 1
    again = run("erase", "--file", str(ids), "--yes").stdout
    assert again == "0 events of 0 files removed; 0 snapshots forgotten\n"


async def test_an_erasure_is_in_the_audit_trail_before_it_begins_and_when_it_ended(
    sink: Sink, run_on_lake: RunStroke, tmp_path: Path
) -> None:
    sink.commit(deleted(1))
    trail = f"sqlite+aiosqlite:///{tmp_path / 'trail.db'}"
    stroke = partial(run_on_lake, STROKE_DATABASE_URL=trail)
    assert stroke("db", "upgrade").returncode == 0
    nowhere = f"http://127.0.0.1:{free_port()}"

    failed = stroke("lake", "erase", "1", "--yes", STROKE_LAKE_ENDPOINT=nowhere)
    stroke("lake", "erase", "1", "--dry-run")
    said(stroke("lake", "erase", "1", "--yes", "--json"))

    assert failed.returncode == 1
    entries = said(stroke("audit", "list", "--json"))["entries"]
    assert {(each["action"], each["target"]) for each in entries} == {
        ("prediction.erase", "1 prediction in the lake")
    }
    outcomes = [each["outcome"] for each in reversed(entries)]
    assert outcomes == ["asked", "failed", "asked", "done"]


async def test_nothing_is_erased_that_the_audit_trail_cannot_hear_of(
    sink: Sink, run_on_lake: RunStroke
) -> None:
    sink.commit(deleted(1))
    away = f"mysql+asyncmy://stroke:secret@127.0.0.1:{free_port()}/stroke"

    refused = run_on_lake("lake", "erase", "1", "--yes", STROKE_DATABASE_URL=away)

    assert refused.returncode == 1
    assert said(run_on_lake("lake", "erase", "1", "--dry-run", "--json"))["events"] == 2


async def test_an_erasure_that_makes_no_sense_is_refused(
    sink: Sink, run: RunStroke, tmp_path: Path
) -> None:
    ids = tmp_path / "ids.txt"
    ids.write_text("1\nJane Roe\n")
    wrong = {
        ("2", "--yes"): "holds 1 of these predictions as present (2)",
        ("--yes",): "name the ids of the predictions",
        ("--file", str(ids), "--yes"): "entry 2 is no id of a prediction",
        ("--file", str(tmp_path / "none"), "--yes"): "cannot be read as text",
    }
    for arguments, reason in wrong.items():
        ended = run("erase", *arguments)
        assert ended.returncode == 1
        assert reason in ended.stderr
        assert ended.stderr.count("\n") == 1
        assert "Jane" not in ended.stderr


async def test_what_is_wrong_is_said_in_one_line(run: RunStroke, catalog: dict[str, Any]) -> None:
    missing = run("compact")
    assert missing.returncode == 1
    assert missing.stderr.startswith("stroke: the catalog knows no table")
    assert missing.stderr.count("\n") == 1

    unset = run("status", STROKE_LAKE_CATALOG_URI="")
    assert unset.stderr == "stroke: a jdbc catalog needs STROKE_LAKE_CATALOG_URI\n"

    away = run("status", STROKE_LAKE_ENDPOINT=f"http://127.0.0.1:{free_port()}")
    assert (away.returncode, away.stderr.count("\n")) == (1, 1)
