"""What a replay imports: to import everything would take as much CPU as a million rows."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

OPENS = """
import sys
from stroke.application.models.replay import ReplayOptions
from stroke.container.replay import changes_of, replay
print(*sorted(sys.modules))
changes_of({source!r}, ReplayOptions())
print(*sorted(sys.modules))
"""
OF_THE_SERVICE = {"dependency_injector", "fastapi", "prometheus_client", "stroke.container.service"}
OF_SOURCES = {
    "iceberg": "stroke.adapters.iceberg.changes",
    "kafka": "stroke.adapters.kafka.changes",
    "db": "stroke.adapters.sql.snapshot",
    "folder": "stroke.adapters.avro.changes",
}


@pytest.mark.parametrize("source", OF_SOURCES)
def test_a_replay_imports_what_reads_its_source_and_nothing_of_the_service(
    source: str, tmp_path: Path
) -> None:
    (tmp_path / "stroke.db").touch()  # a database that is not there is refused
    bare = {name: value for name, value in os.environ.items() if not name.startswith("STROKE_")}

    done = subprocess.run(
        [sys.executable, "-c", OPENS.format(source=source)],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
        cwd=tmp_path,
        env=bare | {"STROKE_LAKE_BUCKET": "lake"},
    )

    before, after = (set(line.split()) for line in done.stdout.splitlines())
    assert before & {*OF_SOURCES.values(), "pyiceberg", "duckdb"} == set()
    assert after & {*OF_SOURCES.values()} == {OF_SOURCES[source]}
    assert after & OF_THE_SERVICE == set()
    assert "duckdb" not in after
