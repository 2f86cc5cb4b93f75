"""`stroke audit` as operators run it, and what other commands leave in the trail."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL

from components.databases import run_statements
from components.processes import run_stroke
from stroke.adapters.sql import schema
from stroke.config import Settings
from stroke.container.audit import with_copies
from stroke.domain.audit import AuditAction

ROWS = (
    "id,gender,age,hypertension,heart_disease,avg_glucose_level,bmi,smoking_status,name\n"
    "7,Male,61,0,1,228.7,36.6,never smoked,Jane Roe-Canary\n"
)


class Trail:
    """Commands on one database, in a folder that holds a file to import."""

    def __init__(self, folder: Path, url: URL) -> None:
        self.folder = folder
        self._settings = {"STROKE_DATABASE_URL": url.render_as_string(hide_password=False)}
        (folder / "rows.csv").write_text(ROWS)
        self.stroke("db", "upgrade")

    def stroke(self, *arguments: str, fails: int = 0) -> subprocess.CompletedProcess[str]:
        done = run_stroke(*arguments, folder=self.folder, within=120, settings=self._settings)
        assert done.returncode == fails, done.stderr
        return done

    def json(self, *arguments: str, fails: int = 0) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.stroke(*arguments, "--json", fails=fails).stdout)
        return found


@pytest.fixture
def trail(tmp_path: Path, url: URL) -> Trail:
    return Trail(tmp_path, url)


def test_commands_that_change_data_are_in_the_trail_without_values(trail: Trail) -> None:
    trail.stroke("db", "import", "rows.csv")
    key = trail.json("keys", "create", "--name", "ward", "--site", "north", "--scope", "read")
    trail.stroke("keys", "rotate", "ward")
    trail.stroke("keys", "revoke", key["id"])
    trail.stroke("db", "import", "missing.csv", fails=1)

    entries = trail.json("audit", "list")["entries"]

    assert [(each["action"], each["target"], each["outcome"]) for each in reversed(entries)] == [
        ("data.import", "predictions", "done"),
        ("key.create", key["id"], "asked"),
        ("key.create", key["id"], "done"),
        ("key.rotate", key["id"], "asked"),
        ("key.rotate", key["id"], "done"),
        ("key.revoke", key["id"], "asked"),
        ("key.revoke", key["id"], "done"),
        ("data.import", "predictions", "failed"),
    ]
    assert {each["actor"].partition(":")[0] for each in entries} == {"user"}
    text = json.dumps(entries)
    assert "Canary" not in text
    assert key["key"] not in text


def test_a_whole_trail_is_verified_exported_and_its_end_can_be_written_down(
    trail: Trail, url: URL
) -> None:
    for _ in range(3):
        trail.stroke("db", "import", "rows.csv", "--replace")
    before = trail.json("audit", "verify")
    assert (before["holds"], before["entries"], before["broken"]) == (True, 3, [])

    trail.stroke("audit", "export", "-o", "trail.jsonl")

    lines = [json.loads(line) for line in (trail.folder / "trail.jsonl").read_text().splitlines()]
    assert [each["number"] for each in lines] == [1, 2, 3]
    assert lines[0]["previous"] == "0" * 64
    assert [each["previous"] for each in lines[1:]] == [each["digest"] for each in lines[:2]]
    assert f"3:{lines[2]['digest']}" == before["head"]
    after = trail.json("audit", "verify", "--known", before["head"])
    assert (after["holds"], after["entries"]) == (True, 4)  # the export is an entry, too

    drops = ["update", "delete"] if url.get_backend_name() == "sqlite" else []
    run_statements(
        url,
        *(f"DROP TRIGGER audit_refuses_{each}" for each in drops),
        "DELETE FROM audit WHERE number > 2",
        "UPDATE audit_head SET number = 2, digest = (SELECT digest FROM audit WHERE number = 2)",
    )

    assert trail.json("audit", "verify")["holds"]  # nothing in the database tells
    cut = trail.json("audit", "verify", "--known", before["head"], fails=1)
    assert [each["number"] for each in cut["broken"]] == [3]
    run_statements(url, "UPDATE audit SET actor = 'user:nobody' WHERE number = 1")
    said = trail.stroke("audit", "verify", fails=1).stdout
    assert "entry 1: its content is not what was written" in said
    assert "the chain is broken" in said


def test_rows_of_patients_that_analyses_take_out_are_in_the_trail(tmp_path: Path) -> None:
    trail = Trail(tmp_path, URL.create("sqlite+aiosqlite", database=str(tmp_path / "s.db")))
    trail.stroke("db", "import", "rows.csv")
    run = ("analytics", "run", "--source", "db", "--output")
    trail.stroke(*run, "Jane Roe-Canary", "top-risks", "latest-snapshot")
    trail.stroke(*run, "rates", "risk-by-gender")  # nobody's row
    trail.stroke(*run, "rows.csv", "latest-snapshot", fails=1)

    entries = trail.json("audit", "list")["entries"]

    taken = [(each["outcome"], each["target"]) for each in reversed(entries[:4])]
    both = "analyses: latest-snapshot top-risks"
    assert sorted(taken[0][1].split()) == sorted(both.split())
    assert [each[0] for each in taken] == ["asked", "done", "asked", "failed"]
    assert {each["action"] for each in entries[:4]} == {"data.export"}
    assert entries[4]["action"] == "data.import"
    assert "Canary" not in json.dumps(entries)


def test_copies_can_be_read_while_the_database_is_away_and_it_is_known_that_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with with_copies(Settings.load().database, AuditAction.DATA_EXPORT, "rows") as written:
        assert written  # there is no database
    monkeypatch.setenv("STROKE_DATABASE_URL", "mysql+asyncmy://me:secret@127.0.0.1:1/stroke")
    for action in (AuditAction.DATA_EXPORT, AuditAction.LAKE_CHANGE, AuditAction.COPY_CHANGE):
        with with_copies(Settings.load().database, action, "rows") as written:
            assert not written


ENTRIES = "SELECT action, target, outcome FROM audit ORDER BY number"


def test_a_downgrade_is_in_the_trail_and_so_is_one_that_is_refused(trail: Trail, url: URL) -> None:
    trail.stroke("db", "downgrade", "no-such-one", "--yes", fails=1)
    trail.stroke("db", "downgrade", schema.HEAD, "--yes")  # it is there already
    assert run_statements(url, ENTRIES) == []

    trail.stroke("db", "downgrade", "0017", "--yes")
    said = trail.stroke("db", "downgrade", "0007", "--yes", fails=1).stderr
    shown = trail.stroke("db", "downgrade", "0007", "--dry-run")

    assert len(said.splitlines()) == 1
    assert "`stroke audit export -o FILE`" in said
    assert "--known" in said
    assert "--drop-trail" in said
    assert "DROP TABLE IF EXISTS audit" in shown.stdout
    assert "--drop-trail" in shown.stderr
    assert run_statements(url, ENTRIES) == [
        ("schema.change", f"downgrade from {schema.HEAD} to 0017", "asked"),
        ("schema.change", f"downgrade from {schema.HEAD} to 0017", "done"),
        ("schema.change", "downgrade from 0017 to 0007", "asked"),
        ("schema.change", "downgrade from 0017 to 0007", "failed"),
    ]


def test_a_trail_is_dropped_when_that_is_asked_for_and_its_end_is_printed(
    trail: Trail, url: URL
) -> None:
    trail.stroke("db", "import", "rows.csv")
    before = trail.json("audit", "verify")
    query = "SELECT number, digest FROM audit_head"

    trail.stroke("db", "downgrade", "0006", "--yes", fails=1)
    [(number, _)] = run_statements(url, query)
    done = trail.stroke("db", "downgrade", "0006", "--yes", "--drop-trail")

    assert (before["entries"], number) == (1, 3)
    assert re.search(r"its chain ends at 4:[0-9a-f]{64}\b", done.stderr)
    assert done.stdout == "the schema is now at 0006\n"
    trail.stroke("db", "downgrade", "0005", "--yes")  # there is no trail to write into
    trail.stroke("db", "upgrade")
    trail.stroke("db", "downgrade", "base", "--yes")  # nor any entry to lose


def test_a_downgrade_does_not_begin_where_the_trail_refuses_entries(trail: Trail, url: URL) -> None:
    run_statements(url, "DELETE FROM audit_head")

    trail.stroke("db", "downgrade", "0017", "--yes", fails=1)

    assert schema.revision(url) == schema.HEAD


def test_what_verify_does_not_understand_is_said(trail: Trail) -> None:
    said = trail.stroke("audit", "verify", "--known", "12", fails=1).stderr
    assert "--known takes NUMBER:DIGEST" in said
