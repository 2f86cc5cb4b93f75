"""Runs that go on from where the last one ended: on a real lake, by the command."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from pyarrow.fs import LocalFileSystem

from builders.truth import EVENTS
from builders.truth_in_lake import NAMES, SMALL, assert_true, begin, fill, results
from components.object_store import ObjectStore
from components.processes import RunStroke
from stroke.adapters.iceberg.catalog import Lake

pytestmark = pytest.mark.anyio

OUTPUT = ("--output", "reports")


def ran(run: RunStroke, *options: str) -> dict[str, Any]:
    done = run("analytics", "run", *NAMES, *OUTPUT, "--json", *SMALL, *options)
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return said


async def test_a_run_reads_what_came_since_the_last_and_gives_the_truth(
    run_on_lake: RunStroke, lake: Lake, s3: ObjectStore, tmp_path: Path
) -> None:
    kept = ("--checkpoint", f"s3://{s3.new_bucket()}/kept")
    await begin(lake)
    nothing = ran(run_on_lake, *kept)
    fill(lake, EVENTS[:8])
    first = ran(run_on_lake, *kept)
    assert run_on_lake("lake", "compact", "--all").returncode == 0
    fill(lake, EVENTS[8:])
    second = ran(run_on_lake, *kept)
    again = ran(run_on_lake, *kept)

    assert [each["events"] for each in (nothing, first, second, again)] == [0, 8, 7, 0]
    assert_true(results(LocalFileSystem(), str(tmp_path / "reports")), NAMES)
    assert second["since"] == first["point"] != second["point"] == again["since"]
    assert second["reached"] == again["reached"]
    assert (second["note"], second["predictions"]) == (None, 6)


async def test_what_is_new_must_be_known_for_sure_or_everything_is_read(
    run_on_lake: RunStroke, lake: Lake, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    await begin(lake)
    fill(lake, EVENTS[:8])
    assert ran(run_on_lake, "--checkpoint", "kept")["events"] == 8
    assert stat.S_IMODE(kept.stat().st_mode) == 0o700
    (file,) = kept.iterdir()
    whole = file.read_bytes()

    file.write_bytes(whole[:4_000])
    broken = ran(run_on_lake, "--checkpoint", "kept")
    fill(lake, EVENTS[8:])
    expire_all_but_the_last(lake)
    expired = ran(run_on_lake, "--checkpoint", "kept")

    assert broken["note"] == "everything was read afresh: what the last run kept cannot be read"
    assert broken["events"] == 8
    assert "expired" in expired["note"]
    assert expired["events"] == 15
    assert_true(results(LocalFileSystem(), str(tmp_path / "reports")), NAMES)


async def test_a_run_that_could_not_write_its_results_is_made_up_for(
    run_on_lake: RunStroke, lake: Lake, tmp_path: Path
) -> None:
    await begin(lake)
    fill(lake, EVENTS[:8])
    ran(run_on_lake, "--checkpoint", "kept")
    fill(lake, EVENTS[8:])
    blocked = ("analytics", "run", "--output", "reports/run.json", "--checkpoint", "kept")

    assert run_on_lake(*blocked).returncode == 1
    made_up = ran(run_on_lake, "--checkpoint", "kept")

    assert made_up["events"] == 7
    assert_true(results(LocalFileSystem(), str(tmp_path / "reports")), NAMES)


def test_a_checkpoint_is_of_the_change_log_alone(run_on_lake: RunStroke) -> None:
    for options in (("--source", "db"), ("--as-of", "2026-01-01"), ("--source", ".")):
        done = run_on_lake("analytics", "run", *OUTPUT, "--checkpoint", "kept", *options)
        assert done.returncode == 1
        assert done.stderr.startswith("stroke: --checkpoint is for the change log as it is now")


def expire_all_but_the_last(lake: Lake) -> None:
    table = lake.load()
    current = table.metadata.current_snapshot_id
    old = [each.snapshot_id for each in table.snapshots() if each.snapshot_id != current]
    table.maintenance.expire_snapshots().by_ids(old).commit()
