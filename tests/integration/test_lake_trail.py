"""What commands that change copies leave in the audit trail: lake, SQL copy and dead letters."""

from __future__ import annotations

import sqlite3
import subprocess
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pyiceberg.serializers import ToOutputFile

from components.containers import ROOT, free_port
from components.lake_events import COLUMNS, TOPIC, Sink, created
from components.object_store import ObjectStore
from components.processes import RunStroke, run_stroke
from stroke.adapters.iceberg.catalog import Lake
from stroke.adapters.iceberg.catalog_pointer import CatalogPointer
from stroke.adapters.iceberg.change_log import IcebergChangeLog

pytestmark = pytest.mark.anyio

COMPACT = ("lake", "compact", "--all")
EXPIRE = ("lake", "expire", "--older-than-days", "0", "--keep", "1")
FORWARD = ("lake", "roll-forward")
BACK = ("lake", "set-back")
REBUILD = ("pipeline", "sink-schema", "--rebuild", "--yes")
PARK = ("pipeline", "dlq", "park", "sqlserver-sink", "--yes")


@pytest.fixture
def catalog(s3: ObjectStore, tmp_path: Path) -> dict[str, Any]:
    """A catalog of the test's own in a file, and a bucket."""
    return s3.new_catalog(f"sqlite:///{tmp_path / 'catalog.db'}")


@pytest.fixture
async def sink(lake: Lake) -> Sink:
    await IcebergChangeLog(lake, columns=COLUMNS, topic=TOPIC).ensure_table()
    sink = Sink(lake)
    for number in range(3):
        sink.commit(created(number))
    return sink


class Commands:
    """Commands beside one audit trail, in an SQLite file."""

    def __init__(self, run_with: RunStroke, folder: Path) -> None:
        self._trail = folder / "trail.db"
        self._run = run_with
        assert self.run("db", "upgrade").returncode == 0

    def run(self, *arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
        trail = f"sqlite+aiosqlite:///{self._trail}"
        return self._run(*arguments, STROKE_DATABASE_URL=trail, **changes)

    def well(self, *arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
        done = self.run(*arguments, **changes)
        assert (done.returncode, done.stderr) == (0, "")
        return done

    def written(self) -> list[tuple[str, str, str]]:
        query = "SELECT action, target, outcome FROM audit ORDER BY number"
        with closing(sqlite3.connect(self._trail)) as trail:
            return trail.execute(query).fetchall()


@pytest.fixture
def commands(run_on_lake: RunStroke, tmp_path: Path) -> Commands:
    return Commands(run_on_lake, tmp_path)


def both(action: str, target: str, end: str = "done") -> list[tuple[str, str, str]]:
    return [(action, target, "asked"), (action, target, end)]


async def test_upkeep_of_the_lake_is_written_down_before_it_begins_and_when_it_ended(
    sink: Sink, commands: Commands
) -> None:
    commands.well(*COMPACT, "--dry-run")
    commands.well(*EXPIRE, "--dry-run")
    commands.run("lake", "orphans", "--yes")  # there are none
    assert commands.written() == []

    commands.well(*COMPACT)
    sink.commit(created(50))
    assert "4 snapshots forgotten" in commands.well(*EXPIRE).stdout

    expired = "expire: older than 0 days, 1 kept"
    assert commands.written() == both("lake.change", "compact") + both("lake.change", expired)


async def test_upkeep_that_fails_is_in_the_trail_as_failed(sink: Sink, commands: Commands) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"

    assert commands.run(*COMPACT, STROKE_LAKE_ENDPOINT=nowhere).returncode == 1

    assert commands.written() == both("lake.change", "compact", "failed")


async def test_a_catalog_that_is_rolled_forward_or_set_back_is_in_the_trail(
    sink: Sink, commands: Commands, lake: Lake
) -> None:
    backup = lake.load().metadata_location
    sink.commit(created(50))
    CatalogPointer.of(lake, "changed").move_to(backup)
    commands.well(*FORWARD, "--dry-run")
    commands.well(*FORWARD, "--yes")
    commands.well(*FORWARD, "--yes")  # nothing is left to do
    table = lake.load()
    ahead = {"last_updated_ms": table.metadata.last_updated_ms + 3_600_000}
    location = f"{table.location()}/metadata/99999-ahead.metadata.json"
    ToOutputFile.table_metadata(
        table.metadata.model_copy(update=ahead), table.io.new_output(location)
    )
    CatalogPointer.of(lake, "changed").move_to(location)
    commands.well(*BACK, "--dry-run")
    commands.well(*BACK, "--yes")
    commands.well(*BACK, "--yes")

    assert commands.written() == [
        *both("lake.change", "roll forward"),
        *both("lake.change", "set back"),
    ]


async def test_copies_are_mended_while_the_database_is_away_and_it_is_said(
    sink: Sink, run_on_lake: RunStroke
) -> None:
    away = f"mysql+asyncmy://stroke:secret@127.0.0.1:{free_port()}/stroke"

    done = run_on_lake(*COMPACT, STROKE_DATABASE_URL=away)

    assert done.returncode == 0
    assert done.stderr == "warning: the database is away: this change is not in the audit trail\n"
    assert "become" in done.stdout


def test_a_copy_that_is_made_anew_is_in_the_trail(tmp_path: Path) -> None:
    away = f"postgresql://stroke:secret@127.0.0.1:{free_port()}/stroke"

    def run(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        return run_stroke(*arguments, folder=tmp_path, within=120, settings=settings)

    commands = Commands(run, tmp_path)

    assert commands.run(*REBUILD, STROKE_SINK_URL=away).returncode == 1
    commands.run("pipeline", "sink-schema", "--dialect", "mssql", STROKE_SINK_URL=away)

    assert commands.written() == both("copy.change", "rebuild: sql", "failed")


def test_records_are_parked_while_the_database_is_away_and_it_is_said(tmp_path: Path) -> None:
    nowhere = f"127.0.0.1:{free_port()}"
    settings = {
        "STROKE_DATABASE_URL": f"mysql+asyncmy://stroke:secret@{nowhere}/stroke",
        "STROKE_CONNECT_URL": f"http://{nowhere}",
        "STROKE_CONNECT_FOLDER": str(ROOT / "connectors"),
    }
    run = partial(run_stroke, folder=tmp_path, within=120, settings=settings)

    parked = run(*PARK)
    planned = run(*PARK[:-1], "--dry-run")
    unknown = run("pipeline", "dlq", "park", "Jane Roe-Canary", "--yes")

    said = "warning: the database is away: this change is not in the audit trail\n"
    assert parked.stderr.startswith(f"{said}stroke: ")  # Kafka Connect is away, too
    for done in (planned, unknown):
        assert done.stderr.startswith("stroke: ")
    assert [done.returncode for done in (parked, planned, unknown)] == [1, 1, 1]
