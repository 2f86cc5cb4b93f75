"""`stroke db` as its users run it, on both databases."""

from __future__ import annotations

import asyncio
import csv
import gzip
import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import URL, make_url

from builders.predictions import prediction
from components.containers import MySqlServer
from components.processes import run_stroke
from stroke.adapters.sql import schema
from stroke.adapters.sql.engine import create_engine
from stroke.adapters.sql.repository import SqlPredictionRepository
from stroke.domain.prediction import Prediction, PredictionFilter, PredictionRecord

AWKWARD = ("O'Brien \"Bob\" \\ back\\'slash", "山田 😀; (), -- #", "", "NULL", "a\u2028b")


@pytest.fixture(params=["sqlite", "mysql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> URL:
    if request.param == "sqlite":
        return URL.create("sqlite+aiosqlite", database=str(tmp_path / "stroke.db"))
    server: MySqlServer = request.getfixturevalue("mysql")
    return make_url(server.new_database())


def db(url: URL, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    written = url.render_as_string(hide_password=False)
    return run_stroke("db", *arguments, folder=folder, settings={"STROKE_DATABASE_URL": written})


def imported(url: URL, folder: Path, *arguments: str) -> dict[str, object]:
    done = db(url, folder, "import", *arguments, "--json")
    assert done.stderr == ""
    summary: dict[str, object] = json.loads(done.stdout)
    assert done.returncode == (1 if summary["rejects"] else 0)
    counted = ("inserted", "replaced", "unchanged", "differing", "rejected")
    assert summary.pop("rows") == sum(summary[name] for name in counted)  # type: ignore[misc]
    return {key: value for key, value in summary.items() if value}


def add(url: URL, *predictions: Prediction) -> list[int]:
    async def connected() -> list[int]:
        engine = create_engine(url, pool_size=1, connect_timeout=5)
        ids = await SqlPredictionRepository(engine, statement_timeout=30).add(predictions)
        await engine.dispose()
        return ids

    return asyncio.run(connected())


def records(url: URL) -> list[PredictionRecord]:
    async def connected() -> list[PredictionRecord]:
        engine = create_engine(url, pool_size=1, connect_timeout=5)
        repository = SqlPredictionRepository(engine, statement_timeout=30)
        found = await repository.page(PredictionFilter(), limit=10_000)
        await engine.dispose()
        return found[::-1]

    return asyncio.run(connected())


def rejects(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as lines:
        return list(csv.reader(lines))


def test_a_real_dump_comes_back_as_it_was_and_twice_changes_nothing(
    url: URL, mysql: MySqlServer, tmp_path: Path
) -> None:
    source = make_url(mysql.new_database())
    schema.upgrade(source)
    add(
        source,
        *(prediction((i + 1) / 7, name=name, province=name) for i, name in enumerate(AWKWARD)),
        *(prediction(i / 1300, name=str(i)) for i in range(1200)),
        prediction(idempotency_key="K-1"),
    )
    mysql.rows(
        source.render_as_string(), "INSERT INTO predictions (id, timestamp) VALUES (9999, NULL)"
    )
    (tmp_path / "old.sql.gz").write_bytes(
        gzip.compress(mysql.dump(source.render_as_string(), "predictions"))
    )
    schema.upgrade(url)

    assert imported(url, tmp_path, "old.sql.gz", "--dry-run") == {"inserted": 1207, "dry_run": True}
    assert records(url) == []
    assert imported(url, tmp_path, "old.sql.gz") == {"inserted": 1207}
    assert records(url) == records(source)
    assert imported(url, tmp_path, "old.sql.gz") == {"unchanged": 1207}
    assert records(url) == records(source)
    assert add(url, prediction()) == [10_000]


def test_a_csv_is_taken_with_its_bad_rows_aside(url: URL, tmp_path: Path) -> None:
    schema.upgrade(url)
    (tmp_path / "old.csv").write_text(
        "id,timestamp,name,age,prediction_data,ward\n"
        '1,2025-01-02 03:04:05,"Zoë ""Z"" \\ ",45.5,"{""age"": 45.5}",A\n'
        "2,,\\N,,,B\n"
        "3,2025-01-02 03:04:05,secret,old,,C\n"
        '4,2025-01-02 03:04:05,"two\nlines",1,{},D\n'
        "5,short\n"
        "x,2025-01-02 03:04:05,secret,1,,E\n",
        encoding="utf-8",
    )

    assert imported(url, tmp_path, "old.csv") == {
        "inserted": 3,
        "rejected": 3,
        "ignored_columns": ["ward"],
        "rejects": "old.rejects.csv",
    }
    first, second, fourth = records(url)
    assert (first.id, first.name, first.age) == (1, 'Zoë "Z" \\ ', 45.5)
    assert first.prediction_data == {"age": 45.5}
    assert second == PredictionRecord(id=2)
    assert (fourth.id, fourth.name) == (4, "two\nlines")
    assert rejects(tmp_path / "old.rejects.csv") == [
        ["line", "row", "id", "reason"],
        ["4", "1", "", "age is not of the column's type"],
        ["7", "1", "", "has 2 cells, the header has 6"],
        ["8", "1", "", "id is not of the column's type"],
    ]


def test_a_row_that_differs_is_reported_and_overwritten_only_on_demand(
    url: URL, tmp_path: Path
) -> None:
    schema.upgrade(url)
    [stored] = add(url, prediction(name="stored", age=45.5))
    before = records(url)
    (tmp_path / "new.csv").write_text(f"id,name\n{stored},new\n", encoding="utf-8")

    assert imported(url, tmp_path, "new.csv") == {"differing": 1, "rejects": "new.rejects.csv"}
    assert rejects(tmp_path / "new.rejects.csv")[1] == [
        *("2", "1", str(stored)),
        "differs from the stored row with this id",
    ]
    assert records(url) == before
    assert imported(url, tmp_path, "new.csv", "--replace") == {"replaced": 1}
    assert records(url) == [replace(before[0], name="new")]
    assert not (tmp_path / "new.rejects.csv").exists()


def test_a_row_that_the_database_refuses_leaves_its_neighbours_alone(
    url: URL, tmp_path: Path
) -> None:
    schema.upgrade(url)
    lines = [f"{i},key-{i if i != 700 else 3}" for i in range(1, 1001)]
    (tmp_path / "old.csv").write_text("\n".join(["id,idempotency_key", *lines]), encoding="utf-8")

    assert imported(url, tmp_path, "old.csv") == {
        "inserted": 999,
        "rejected": 1,
        "rejects": "old.rejects.csv",
    }
    assert rejects(tmp_path / "old.rejects.csv")[1][:3] == ["701", "1", "700"]
    assert len(records(url)) == 999


def test_the_last_of_two_rows_with_one_id_does_not_slip_in(url: URL, tmp_path: Path) -> None:
    schema.upgrade(url)
    (tmp_path / "old.csv").write_text("id,name\n1,a\n1,b\n1,a\n", encoding="utf-8")

    summary = imported(url, tmp_path, "old.csv")

    assert summary == {"inserted": 1, "unchanged": 1, "differing": 1, "rejects": "old.rejects.csv"}
    assert [record.name for record in records(url)] == ["a"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("old.xlsx", b"PK", "neither .sql nor .csv"),
        ("old.csv", b"name,age\na,1\n", "columns missing from the header: id"),
        ("old.csv", b"id,id\n1,1\n", "twice"),
        ("old.csv", b"id,name\n1,\xff\n", "not UTF-8"),
        ("old.csv.gz", b"id,name\n", "damaged|cannot be read"),
        ("old.sql", None, "cannot be read"),
    ],
)
def test_a_file_that_is_no_table_is_refused_in_one_line(
    tmp_path: Path, name: str, content: bytes | None, said: str
) -> None:
    url = URL.create("sqlite+aiosqlite", database=str(tmp_path / "stroke.db"))
    schema.upgrade(url)
    if content is not None:
        (tmp_path / name).write_bytes(content)

    done = db(url, tmp_path, "import", name)

    assert (done.returncode, done.stdout) == (1, "")
    [line] = done.stderr.splitlines()
    assert line.startswith("stroke: ")
    assert any(part in line for part in said.split("|"))


def test_an_import_into_an_older_schema_is_refused(tmp_path: Path) -> None:
    url = URL.create("sqlite+aiosqlite", database=str(tmp_path / "stroke.db"))
    schema.upgrade(url, target="0001")
    (tmp_path / "old.csv").write_text("id\n1\n", encoding="utf-8")

    done = db(url, tmp_path, "import", "old.csv")

    assert done.returncode == 1
    assert "run `stroke db upgrade`" in done.stderr


def test_the_commands_say_where_the_schema_is_and_take_it_there(url: URL, tmp_path: Path) -> None:
    before = db(url, tmp_path, "status")
    upgraded = db(url, tmp_path, "upgrade")
    again = db(url, tmp_path, "upgrade")
    after = db(url, tmp_path, "status", "--json")

    assert before.returncode == 1
    assert "revision: none" in before.stdout
    assert (upgraded.returncode, upgraded.stdout) == (0, f"the schema is now at {schema.HEAD}\n")
    assert again.stdout == f"the schema is already at {schema.HEAD}\n"
    assert after.returncode == 0
    status = json.loads(after.stdout)
    assert (status["revision"], status["head"], status["current"]) == (schema.HEAD,) * 2 + (True,)
    if url.password is not None:
        assert str(url.password) not in before.stdout + after.stdout


def test_a_downgrade_shows_its_sql_and_asks_first(url: URL, tmp_path: Path) -> None:
    schema.upgrade(url)

    shown = db(url, tmp_path, "downgrade", "0001", "--dry-run")
    unasked = db(url, tmp_path, "downgrade", "0001")

    assert "DROP COLUMN idempotency_key" in shown.stdout
    assert unasked.returncode == 1
    assert schema.revision(url) == schema.HEAD

    done = db(url, tmp_path, "downgrade", "0001", "--yes")

    assert (done.returncode, done.stdout) == (0, "the schema is now at 0001\n")
    assert schema.revision(url) == "0001"
