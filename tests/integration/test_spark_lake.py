"""Spark's readers of what lies in S3, in the image, against the hand-checked truth."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from builders.truth import EVENTS
from builders.truth_as_avro import GARBAGE, write_change_log
from builders.truth_in_lake import (
    NAMES,
    SMALL,
    assert_true,
    begin,
    begin_with_sites,
    fill,
    fill_with_sites,
    results,
)
from components.confined import CONFINED, LABEL, variables
from components.containers import build_image
from components.object_store import ObjectStore
from components.processes import RunStroke
from components.spark_cluster import SHORT_LIVED
from stroke.adapters.iceberg.catalog import Lake

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.usefixtures("docker_engine"),
    pytest.mark.soak("two sessions of Spark on large files"),
]
Run = Callable[..., dict[str, Any]]


@pytest.fixture
def run(lake_settings: dict[str, str]) -> Run:
    """Make all tables with Spark; return the record of the run."""
    settings = lake_settings | {"SPARK_LOCAL_IP": "127.0.0.1"} | SHORT_LIVED
    where = ["docker", "run", "--rm", "--network=host", *LABEL, *CONFINED, *variables(settings)]
    where.append(build_image("spark"))

    def run(*options: str) -> dict[str, Any]:
        command = ["stroke", "analytics", "run", *NAMES, "--engine", "spark", *SMALL, "--json"]
        done = subprocess.run(
            [*where, *command, *options], capture_output=True, text=True, check=False, timeout=240
        )
        assert done.returncode == 0, done.stderr[-3000:]
        said: dict[str, Any] = json.loads(done.stdout)
        return said

    return run


async def test_what_came_since_the_last_run_is_read_behind_a_compaction(
    run: Run, lake: Lake, s3: ObjectStore, run_on_lake: RunStroke
) -> None:
    bucket = s3.new_bucket()
    options = ("--checkpoint", f"s3://{bucket}/kept", "--output", f"s3://{bucket}/reports")
    await begin(lake)
    fill(lake, EVENTS[:8])
    first = run(*options)
    assert run_on_lake("lake", "compact", "--all").returncode == 0
    fill(lake, EVENTS[8:])
    second = run(*options)

    assert (first["events"], second["events"]) == (8, 7)
    assert (second["note"], second["predictions"]) == (None, 6)
    assert second["since"] == first["point"] != second["point"]
    assert_true(results(s3.files, f"{bucket}/reports"), NAMES)


async def test_a_site_is_shown_its_own_predictions_as_duckdb_shows_them(
    run: Run, lake: Lake, s3: ObjectStore
) -> None:
    bucket = s3.new_bucket()
    await begin_with_sites(lake)
    fill_with_sites(lake)

    done = run("--site", "north", "--output", f"s3://{bucket}/reports")

    assert (done["site"], done["events"], done["predictions"]) == ("north", len(EVENTS), 6)
    assert_true(results(s3.files, f"{bucket}/reports"), NAMES)


def test_a_prefix_of_avro_files_is_read_and_what_is_no_event_counted(
    run: Run, s3: ObjectStore
) -> None:
    bucket = s3.new_bucket()
    place = write_change_log(s3.files, s3.new_bucket())
    done = run("--source", f"s3://{place}", "--output", f"s3://{bucket}/reports")

    assert (done["source"], done["events"], done["predictions"]) == ("avro", len(EVENTS), 6)
    assert done["point"] | GARBAGE == done["point"]
    assert_true(results(s3.files, f"{bucket}/reports"), NAMES)
