"""Which revision a database is at: in a table of our own, taken over from releases before."""

from __future__ import annotations

import asyncio
import json
import subprocess
from pathlib import Path

import pytest
from sqlalchemy import URL

from builders.predictions import prediction
from components.databases import run_statements
from components.processes import run_stroke
from stroke.adapters.sql import schema
from stroke.adapters.sql.engine import create_engine
from stroke.adapters.sql.repository import SqlPredictionRepository
from stroke.domain.errors import InvalidData, SchemaForeign, SchemaNewer

OWN = "stroke_alembic_version"
FOREIGN = "a1b2c3d4e5f6"


def add(url: URL) -> int:
    async def connected() -> int:
        engine = create_engine(url, pool_size=1, connect_timeout=5)
        [stored] = await SqlPredictionRepository(engine, statement_timeout=30).add([prediction()])
        await engine.dispose()
        return stored

    return asyncio.run(connected())


def add_by_hand(url: URL) -> int:
    """Store a row as an older release did: ours names columns that its schema has not."""
    run_statements(url, "INSERT INTO predictions (name) VALUES ('by hand')")
    [stored] = ids(url)
    return stored


def ids(url: URL) -> list[int]:
    return [row[0] for row in run_statements(url, "SELECT id FROM predictions ORDER BY id")]


def versions(url: URL) -> dict[str, list[str]]:
    """Return what each of the two tables holds, of those that are there."""
    names = (
        "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()"
        if url.get_backend_name() == "mysql"
        else "SELECT name FROM sqlite_master WHERE type = 'table'"
    )
    there = {row[0] for row in run_statements(url, names)}
    return {
        table: [row[0] for row in run_statements(url, f"SELECT version_num FROM {table}")]  # noqa: S608
        for table in (OWN, "alembic_version")
        if table in there
    }


def leave_as_the_release_before(url: URL, revision: str = "0004") -> None:
    """Bring the database to where the release before, which ended at 0004, left it."""
    schema.upgrade(url, target=revision)
    run_statements(
        url,
        "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL,"
        " CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))",
        f"INSERT INTO alembic_version VALUES ('{revision}')",  # noqa: S608
        f"DROP TABLE {OWN}",
    )


def of_another_application(url: URL, *revisions: str) -> None:
    run_statements(
        url,
        "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)",
        *(f"INSERT INTO alembic_version VALUES ('{each}')" for each in revisions),  # noqa: S608
    )


def stroke(url: URL, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    settings = {"STROKE_DATABASE_URL": url.render_as_string(hide_password=False)}
    return run_stroke(*arguments, folder=folder, within=60, settings=settings)


@pytest.mark.parametrize("revision", ["0001", "0002", "0003", "0004"])
def test_the_revision_of_the_release_before_is_taken_over_in_place(url: URL, revision: str) -> None:
    leave_as_the_release_before(url, revision)
    run_statements(url, "INSERT INTO predictions (name) VALUES ('Zoë')")
    assert schema.revision(url) == revision

    assert schema.upgrade(url)

    assert versions(url) == {OWN: [schema.head()]}
    assert run_statements(url, "SELECT name FROM predictions") == [("Zoë",)]
    assert add(url)
    assert not schema.upgrade(url)


def test_a_take_over_that_was_killed_half_way_is_done_again(url: URL) -> None:
    leave_as_the_release_before(url)
    stored = add_by_hand(url)
    for state in (
        ("CREATE TABLE {} (version_num VARCHAR(32) NOT NULL PRIMARY KEY)",),
        ("INSERT INTO {} VALUES ('0004')",),
    ):
        run_statements(url, *(statement.format(OWN) for statement in state))
        assert schema.revision(url) == "0004"

    assert schema.upgrade(url)

    assert versions(url)[OWN] == [schema.head()]
    assert ids(url) == [stored]


def test_a_release_before_that_ran_once_more_changes_nothing(url: URL) -> None:
    schema.upgrade(url)
    stored = add(url)
    of_another_application(url, "0004")  # it finds no revision, adopts what is there, and says so
    assert schema.revision(url) == schema.head()

    assert not schema.upgrade(url)

    assert versions(url)[OWN] == [schema.head()]
    assert ids(url) == [stored]


@pytest.mark.parametrize("revisions", [[FOREIGN], ["0003"], [FOREIGN, "0004"], []])
def test_the_table_of_another_application_is_in_nobody_s_way(
    url: URL, revisions: list[str]
) -> None:
    of_another_application(url, *revisions)
    assert schema.revision(url) is None

    assert schema.upgrade(url)

    assert versions(url) == {OWN: [schema.head()], "alembic_version": revisions}
    assert add(url)
    assert schema.downgrade(url, "base")
    assert versions(url)["alembic_version"] == revisions


def test_a_table_of_predictions_beside_another_application_s_revision_is_adopted(url: URL) -> None:
    leave_as_the_release_before(url, "0001")
    run_statements(
        url,
        "INSERT INTO predictions (name) VALUES ('Zoë')",
        f"UPDATE alembic_version SET version_num = '{FOREIGN}'",  # noqa: S608
    )
    assert schema.revision(url) is None

    assert schema.upgrade(url)

    assert versions(url) == {OWN: [schema.head()], "alembic_version": [FOREIGN]}
    assert run_statements(url, "SELECT name FROM predictions") == [("Zoë",)]


@pytest.mark.parametrize(
    ("revision", "error", "said"),
    [
        ("9999", SchemaNewer, "a newer version upgraded it"),
        (FOREIGN, SchemaForeign, "no revision of stroke"),
    ],
)
def test_a_revision_that_no_script_knows_is_said_in_its_own_words_everywhere(
    url: URL, tmp_path: Path, revision: str, error: type[Exception], said: str
) -> None:
    schema.upgrade(url)
    run_statements(url, f"UPDATE {OWN} SET version_num = '{revision}'")  # noqa: S608

    assert schema.revision(url) == revision
    with pytest.raises(error, match=said):
        schema.upgrade(url)
    with pytest.raises(error, match=said):
        schema.downgrade(url, "0001")
    with pytest.raises((error, InvalidData)):
        schema.downgrade_sql(url, "0001")

    async def check() -> None:
        engine = create_engine(url, pool_size=1, connect_timeout=5)
        try:
            await SqlPredictionRepository(engine, statement_timeout=30).check()
        finally:
            await engine.dispose()

    with pytest.raises(error, match=said):
        asyncio.run(check())

    status = stroke(url, tmp_path, "db", "status")
    assert (status.returncode, f"revision: {revision}\n" in status.stdout) == (1, True)
    assert said in status.stderr
    assert "run `stroke db upgrade`\n" not in status.stderr
    described = json.loads(stroke(url, tmp_path, "db", "status", "--json").stdout)
    assert (described["revision"], described["current"]) == (revision, False)
    for command in (["db", "upgrade"], ["serve", "--port", "0", "--no-migrate"]):
        refused = stroke(url, tmp_path, *command)
        assert refused.returncode == 1
        assert said in refused.stderr
        assert len(refused.stderr.splitlines()) == 1
    assert versions(url) == {OWN: [revision]}


def test_an_older_schema_is_upgraded_by_what_status_says(url: URL, tmp_path: Path) -> None:
    schema.upgrade(url, target="0003")
    status = stroke(url, tmp_path, "db", "status")
    assert (status.returncode, status.stderr) == (1, "run `stroke db upgrade`\n")
    assert stroke(url, tmp_path, "db", "upgrade").returncode == 0
    assert stroke(url, tmp_path, "db", "status").returncode == 0
