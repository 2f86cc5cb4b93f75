"""The schema's revisions, forwards and backwards, on both databases and on tables with rows."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL, make_url

from builders.access import api_key
from builders.predictions import outcome, prediction
from components.containers import MySqlServer, free_port
from components.databases import run_statements
from contracts.doctor import OLDEST, SchemaContract
from stroke.adapters.sql import schema
from stroke.adapters.sql.engine import create_engine
from stroke.adapters.sql.keys import SqlKeyStore
from stroke.adapters.sql.outcomes import SqlOutcomeRepository
from stroke.adapters.sql.repository import SqlPredictionRepository
from stroke.adapters.sql.schema import SqlSchema
from stroke.domain.access import ApiKey
from stroke.domain.errors import InvalidData, StoreUnavailable
from stroke.domain.prediction import Origin, PredictionRecord

_COLUMNS = """
    timestamp DATETIME DEFAULT CURRENT_TIMESTAMP, gender VARCHAR(10), age FLOAT,
    hypertension TINYINT(1), heart_disease TINYINT(1), avg_glucose_level FLOAT, bmi FLOAT,
    smoking_status VARCHAR(20), name VARCHAR(100), country VARCHAR(50), province VARCHAR(50),
    probability FLOAT, risk_category VARCHAR(10), contributing_factors JSON, prediction_data JSON
"""
_OLD_TABLE = {
    "mysql": f"CREATE TABLE predictions (id INT AUTO_INCREMENT PRIMARY KEY, {_COLUMNS})",
    "sqlite": f"CREATE TABLE predictions (id INTEGER PRIMARY KEY AUTOINCREMENT, {_COLUMNS})",
}
_OLD_ROWS = (
    "INSERT INTO predictions (id, timestamp, age, hypertension, name, probability, prediction_data)"
    " VALUES (5, '2025-01-02 03:04:05', 45.5, 1, 'Zoë', 0.25, '{\"age\": 45.5}'),"
    " (9, NULL, NULL, NULL, NULL, NULL, NULL)"
)


def add(url: URL, **changes: Any) -> int:
    async def connected() -> int:
        engine = create_engine(url, pool_size=1, connect_timeout=5)
        [stored] = await SqlPredictionRepository(engine, statement_timeout=30).add(
            [prediction(**changes)]
        )
        await engine.dispose()
        return stored

    return asyncio.run(connected())


def add_as_before_sites(url: URL, *, name: str) -> int:
    """Store a row as releases did whose table has no site: this one's statement names it."""
    row = f"('2026-01-02 12:00:00', '{name}')"
    run_statements(url, f"INSERT INTO predictions (timestamp, name) VALUES {row}")  # noqa: S608
    [(added,)] = run_statements(url, "SELECT MAX(id) FROM predictions")
    return int(added)


async def _schema_of(url: URL) -> AsyncIterator[SqlSchema]:
    engine = create_engine(url, pool_size=1, connect_timeout=1)
    yield SqlSchema(engine, seconds=10)
    await engine.dispose()


class TestSqlSchema(SchemaContract):
    @pytest.fixture
    async def bare(self, url: URL) -> AsyncIterator[SqlSchema]:
        async for found in _schema_of(url):
            yield found

    @pytest.fixture
    async def schema(self, url: URL, bare: SqlSchema) -> SqlSchema:
        await asyncio.to_thread(schema.upgrade, url)
        return bare

    @pytest.fixture
    async def older(self, url: URL, bare: SqlSchema) -> SqlSchema:
        await asyncio.to_thread(schema.upgrade, url, target=OLDEST)
        return bare

    @pytest.fixture
    def url_away(self, url: URL) -> URL:
        """Nobody listens there, or the file is another one."""
        if url.get_backend_name() == "mysql":
            return url.set(port=free_port())
        Path(str(url.database)).write_text("not a database " * 100)
        return url

    @pytest.fixture
    async def away(self, url_away: URL) -> AsyncIterator[SqlSchema]:
        async for found in _schema_of(url_away):
            yield found


def record(url: URL, prediction_id: int) -> PredictionRecord:
    async def connected() -> PredictionRecord:
        engine = create_engine(url, pool_size=1, connect_timeout=5)
        found = await SqlPredictionRepository(engine, statement_timeout=30).get(prediction_id)
        await engine.dispose()
        return found

    return asyncio.run(connected())


def test_up_down_and_up_again_keeps_the_rows(url: URL) -> None:
    assert schema.revision(url) is None
    assert schema.upgrade(url)
    first = add(url, name="Zoë", probability=0.25, age=45.5)
    made_at = record(url, first).timestamp

    assert schema.downgrade(url, "0001")
    assert schema.revision(url) == "0001"
    assert run_statements(url, "SELECT id, name, probability, age FROM predictions") == [
        (first, "Zoë", 0.25, 45.5)
    ]
    assert schema.upgrade(url)
    again = record(url, first)
    second = add(url, name="after")

    assert (again.name, again.probability, again.age) == ("Zoë", 0.25, 45.5)
    assert again.prediction_data["log_odds"] == {"age": 0.5, "bmi": -0.25}
    assert again.timestamp is not None
    assert made_at is not None
    assert abs((again.timestamp - made_at).total_seconds()) < 1
    assert second > first


def test_down_to_base_removes_the_table_and_up_makes_it_anew(url: URL) -> None:
    schema.upgrade(url)
    add(url)

    assert schema.downgrade(url, "base")
    assert schema.revision(url) is None
    assert schema.upgrade(url)
    assert run_statements(url, "SELECT * FROM predictions") == []


def test_a_second_upgrade_has_nothing_to_do(url: URL) -> None:
    assert schema.upgrade(url)
    assert not schema.upgrade(url)
    assert not schema.upgrade(url, target=schema.head())


def test_an_existing_table_is_adopted_with_its_rows(url: URL) -> None:
    run_statements(url, _OLD_TABLE[url.get_backend_name()], _OLD_ROWS)

    schema.upgrade(url)

    adopted = record(url, 5)
    assert (adopted.age, adopted.hypertension, adopted.name) == (45.5, 1, "Zoë")
    assert adopted.prediction_data == {"age": 45.5}
    assert adopted.timestamp is not None
    assert adopted.timestamp.isoformat() == "2025-01-02T03:04:05+00:00"
    assert record(url, 9) == PredictionRecord(id=9)
    assert add(url) == 10
    run_statements(url, "INSERT INTO predictions (name) VALUES ('by hand')")
    assert record(url, 11).timestamp is not None  # the column's default


def test_a_column_of_the_owners_own_survives_adoption(url: URL) -> None:
    run_statements(
        url,
        _OLD_TABLE[url.get_backend_name()],
        "ALTER TABLE predictions ADD COLUMN ward VARCHAR(20) DEFAULT 'A'",
        _OLD_ROWS,
    )

    schema.upgrade(url)

    assert run_statements(url, "SELECT id, ward FROM predictions") == [(5, "A"), (9, "A")]
    assert add(url) == 10


def test_an_existing_table_that_is_not_ours_is_refused_and_left_alone(url: URL) -> None:
    run_statements(
        url,
        _OLD_TABLE[url.get_backend_name()],
        "ALTER TABLE predictions DROP COLUMN bmi",
        "ALTER TABLE predictions DROP COLUMN province",
    )

    with pytest.raises(InvalidData, match="lacks bmi, province"):
        schema.upgrade(url)

    assert schema.revision(url) is None
    assert run_statements(url, "SELECT * FROM predictions") == []


def test_an_existing_table_without_generated_ids_is_refused(url: URL) -> None:
    run_statements(url, f"CREATE TABLE predictions (id VARCHAR(40) PRIMARY KEY, {_COLUMNS})")

    with pytest.raises(InvalidData, match="needs id"):
        schema.upgrade(url)


def test_an_adopted_sqlite_table_gives_no_id_twice_either(tmp_path: Path) -> None:
    url = URL.create("sqlite+aiosqlite", database=str(tmp_path / "old.db"))
    run_statements(
        url, f"CREATE TABLE predictions (id INTEGER NOT NULL PRIMARY KEY, {_COLUMNS})", _OLD_ROWS
    )

    schema.upgrade(url)
    run_statements(url, "DELETE FROM predictions WHERE id = 9")

    assert add(url) == 10
    assert record(url, 5).name == "Zoë"


def test_an_adopted_mysql_table_takes_every_name(mysql: MySqlServer) -> None:
    url = make_url(mysql.new_database())
    old = f"{_OLD_TABLE['mysql']} ENGINE = MyISAM DEFAULT CHARACTER SET latin1"
    run_statements(url, old, _OLD_ROWS)

    schema.upgrade(url)
    added = add(url, name="山田 😀")

    assert record(url, added).name == "山田 😀"
    assert record(url, 5).name == "Zoë"
    engine = (
        "SELECT engine FROM information_schema.tables"
        " WHERE table_schema = DATABASE() AND table_name = 'predictions'"
    )
    assert run_statements(url, engine) == [("InnoDB",)]  # MyISAM knows neither commit nor rollback


def test_an_upgrade_that_died_before_it_said_so_is_done_again(url: URL) -> None:
    schema.upgrade(url)
    added = add(url, name="Zoë")
    run_statements(url, "UPDATE stroke_alembic_version SET version_num = '0001'")

    assert schema.upgrade(url)
    assert record(url, added).name == "Zoë"

    run_statements(url, "DELETE FROM stroke_alembic_version")
    assert schema.upgrade(url)
    assert record(url, added).name == "Zoë"


def test_several_replicas_may_upgrade_at_once(url: URL) -> None:
    run_statements(url, _OLD_TABLE[url.get_backend_name()], _OLD_ROWS)
    code = (
        "import sys; from sqlalchemy import make_url; from stroke.adapters.sql import schema;"
        "print(schema.upgrade(make_url(sys.argv[1])))"
    )
    replicas = [
        subprocess.Popen(
            [sys.executable, "-c", code, url.render_as_string(hide_password=False)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    outputs = [replica.communicate() for replica in replicas]

    assert {replica.returncode for replica in replicas} == {0}, outputs
    assert sorted(out.strip() for out, _ in outputs) == ["False"] * 3 + ["True"]
    assert schema.revision(url) == schema.head()
    assert record(url, 5).name == "Zoë"


def test_mysql_gets_debezium_s_signal_table_and_gives_it_back(mysql: MySqlServer) -> None:
    url = make_url(mysql.new_database())
    signals = (
        "SELECT column_name, column_type, is_nullable FROM information_schema.columns"
        " WHERE table_schema = DATABASE() AND table_name = 'debezium_signal'"
        " ORDER BY ordinal_position"
    )

    schema.upgrade(url)
    added = add(url, name="Zoë")
    made = run_statements(url, signals)
    schema.downgrade(url, "0002")

    assert made == [
        ("id", "varchar(42)", "NO"),
        ("type", "varchar(32)", "NO"),
        ("data", "text", "YES"),
    ]
    assert run_statements(url, signals) == []
    assert schema.upgrade(url)
    assert run_statements(url, signals) == made
    assert record(url, added).name == "Zoë"


def test_a_signal_table_that_is_there_already_stays(mysql: MySqlServer) -> None:
    url = make_url(mysql.new_database())
    run_statements(
        url,
        "CREATE TABLE debezium_signal"
        " (id VARCHAR(42) PRIMARY KEY, type VARCHAR(32) NOT NULL, data TEXT NULL)",
        "INSERT INTO debezium_signal VALUES ('kept', 'log', NULL)",
    )

    schema.upgrade(url)

    assert run_statements(url, "SELECT id FROM debezium_signal") == [("kept",)]


def put_outcome(url: URL, prediction_id: int) -> None:
    async def connected() -> None:
        engine = create_engine(url, pool_size=1, connect_timeout=5)
        await SqlOutcomeRepository(engine, statement_timeout=30).put([outcome(prediction_id)])
        await engine.dispose()

    asyncio.run(connected())


def test_the_table_of_outcomes_comes_and_goes_and_the_predictions_stay(url: URL) -> None:
    schema.upgrade(url, target="0003")
    added = add_as_before_sites(url, name="Zoë")
    assert schema.upgrade(url)
    put_outcome(url, added)

    assert schema.downgrade(url, "0003")
    assert run_statements(url, "SELECT id, name FROM predictions") == [(added, "Zoë")]
    assert schema.upgrade(url)
    assert run_statements(url, "SELECT * FROM outcomes") == []
    put_outcome(url, added)
    assert run_statements(url, "SELECT prediction_id, source FROM outcomes") == [
        (added, "register")
    ]


def test_outcomes_survive_an_upgrade_that_died_before_it_said_so(url: URL) -> None:
    schema.upgrade(url)
    added = add(url)
    put_outcome(url, added)
    run_statements(url, "UPDATE stroke_alembic_version SET version_num = '0003'")

    assert schema.upgrade(url)
    assert run_statements(url, "SELECT prediction_id FROM outcomes") == [(added,)]


def add_key(url: URL) -> ApiKey:
    async def connected() -> ApiKey:
        engine = create_engine(url, pool_size=1, connect_timeout=5)
        key = api_key("1" * 16)
        await SqlKeyStore(engine, statement_timeout=30).add(key)
        await engine.dispose()
        return key

    return asyncio.run(connected())


def api_keys(url: URL) -> list[ApiKey]:
    async def connected() -> list[ApiKey]:
        engine = create_engine(url, pool_size=1, connect_timeout=5)
        found = await SqlKeyStore(engine, statement_timeout=30).all()
        await engine.dispose()
        return list(found)

    return asyncio.run(connected())


def test_the_table_of_keys_comes_and_goes_and_the_rows_stay(url: URL) -> None:
    schema.upgrade(url, target="0006")
    added = add_as_before_sites(url, name="Zoë")
    assert schema.upgrade(url)
    add_key(url)

    assert schema.downgrade(url, "0006")
    assert run_statements(url, "SELECT id, name FROM predictions") == [(added, "Zoë")]
    assert schema.upgrade(url)
    assert api_keys(url) == []


def test_keys_survive_an_upgrade_that_died_before_it_said_so(url: URL) -> None:
    schema.upgrade(url)
    key = add_key(url)
    run_statements(url, "UPDATE stroke_alembic_version SET version_num = '0006'")

    assert schema.upgrade(url)
    assert api_keys(url) == [key]


def test_the_table_of_erasures_comes_and_goes_and_the_rows_stay(url: URL) -> None:
    schema.upgrade(url, target="0009")
    added = add(url, name="Zoë")
    assert schema.upgrade(url)
    run_statements(
        url,
        "INSERT INTO erasure_jobs"
        " (id, actor, ids, unknown_ids, attempts, state, asked_at, waits_from) VALUES"
        " ('a', 'key:1', '[7]', '[]', 0, 'queued', '2026-01-02 12:00:00', '2026-01-02 12:00:00')",
    )
    run_statements(url, "UPDATE stroke_alembic_version SET version_num = '0009'")
    assert schema.upgrade(url)  # after one that died before it could say so
    assert run_statements(url, "SELECT id FROM erasure_jobs") == [("a",)]

    assert schema.downgrade(url, "0009")
    assert run_statements(url, "SELECT id, name FROM predictions") == [(added, "Zoë")]
    assert schema.upgrade(url)
    assert run_statements(url, "SELECT id FROM erasure_jobs") == []


def test_the_tables_of_shadow_scores_and_turns_come_and_go_and_the_rows_stay(url: URL) -> None:
    schema.upgrade(url, target="0016")
    added = add(url, name="Zoë")
    assert schema.upgrade(url)
    run_statements(
        url,
        "INSERT INTO shadow_scores (prediction_id, model_version, probability, scored_at)"
        " SELECT id, 'shadow-1', 0.25, '2026-01-02 12:00:00' FROM predictions",
        "INSERT INTO worker_turns (task, taken_at) VALUES ('look', '2026-01-02 12:00:00')",
    )
    run_statements(url, "UPDATE stroke_alembic_version SET version_num = '0016'")
    assert schema.upgrade(url)  # after one that died before it could say so
    kept = run_statements(url, "SELECT prediction_id, probability FROM shadow_scores")
    assert kept == [(added, 0.25)]

    assert schema.downgrade(url, "0016")
    assert run_statements(url, "SELECT id, name FROM predictions") == [(added, "Zoë")]
    assert schema.upgrade(url)
    assert run_statements(url, "SELECT id FROM shadow_scores") == []
    assert run_statements(url, "SELECT task FROM worker_turns") == []


def test_the_index_of_the_models_of_assessments_comes_and_goes_and_they_stay(url: URL) -> None:
    kept = "SELECT id, model_version FROM assessments"
    index = "ix_assessments_model_version"
    schema.upgrade(url, target="0017")
    assert index not in indexes_of(url, "assessments")
    run_statements(
        url,
        "INSERT INTO assessments (id, shown, model_version, made_at)"
        " VALUES ('a', TRUE, 'm-1', '2026-01-02 12:00:00')",
    )
    assert schema.upgrade(url)
    assert index in indexes_of(url, "assessments")
    run_statements(url, "UPDATE stroke_alembic_version SET version_num = '0017'")
    assert schema.upgrade(url)  # after one that died before it could say so

    assert schema.downgrade(url, "0017")
    assert index not in indexes_of(url, "assessments")
    run_statements(url, "UPDATE stroke_alembic_version SET version_num = '0018'")
    assert schema.downgrade(url, "0017")  # the same, on the way back
    assert index not in indexes_of(url, "assessments")
    assert schema.upgrade(url)
    assert index in indexes_of(url, "assessments")
    assert run_statements(url, kept) == [("a", "m-1")]


def indexes_of(url: URL, table: str) -> set[str]:
    if url.get_backend_name() == "sqlite":
        query = f"SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = '{table}'"  # noqa: S608
    else:
        query = (
            "SELECT DISTINCT index_name FROM information_schema.statistics"  # noqa: S608
            f" WHERE table_schema = DATABASE() AND table_name = '{table}'"
        )
    return {name for (name,) in run_statements(url, query)}


def test_rows_of_the_release_before_belong_to_no_site(url: URL) -> None:
    schema.upgrade(url, target="0008")
    run_statements(
        url, "INSERT INTO predictions (timestamp, name) VALUES ('2026-01-02 12:00:00', 'Zoë')"
    )

    assert schema.upgrade(url)
    before = record(url, 1)
    after = record(url, add(url, origin=Origin("north", "key:1")))

    assert (before.name, before.site, before.created_by) == ("Zoë", None, None)
    assert (after.site, after.created_by) == ("north", "key:1")

    assert schema.downgrade(url, "0008")
    assert run_statements(url, "SELECT name FROM predictions WHERE id = 1") == [("Zoë",)]
    assert schema.upgrade(url)
    assert record(url, after.id).site is None


def test_a_column_of_the_owners_own_that_is_called_site_stays_with_its_values(url: URL) -> None:
    run_statements(
        url,
        _OLD_TABLE[url.get_backend_name()],
        "ALTER TABLE predictions ADD COLUMN site VARCHAR(20) DEFAULT 'A'",
        _OLD_ROWS,
    )

    schema.upgrade(url)

    assert (record(url, 5).site, record(url, 5).created_by) == ("A", None)
    assert record(url, add(url, origin=Origin("north", "key:1"))).site == "north"


def test_outcomes_hang_on_their_predictions(url: URL) -> None:
    schema.upgrade(url)
    if url.get_backend_name() == "sqlite":
        found = run_statements(
            url, 'SELECT "table", "to", on_delete FROM pragma_foreign_key_list(\'outcomes\')'
        )
        assert found == [("predictions", "id", "CASCADE")]
    else:
        found = run_statements(
            url,
            "SELECT referenced_table_name, unique_constraint_name, delete_rule"
            " FROM information_schema.referential_constraints"
            " WHERE constraint_schema = DATABASE() AND table_name = 'outcomes'",
        )
        assert found == [("predictions", "PRIMARY", "CASCADE")]


def test_an_unknown_revision_is_said(url: URL) -> None:
    schema.upgrade(url)

    with pytest.raises(InvalidData, match="9999"):
        schema.downgrade(url, "9999")


def test_the_sql_of_a_downgrade_can_be_read_before_it_runs(url: URL) -> None:
    schema.upgrade(url)

    sql = schema.downgrade_sql(url, "0001")

    assert "DROP COLUMN idempotency_key" in sql
    assert schema.revision(url) == schema.head()


def test_a_database_that_is_not_up_yet_is_waited_for() -> None:
    nobody = make_url(f"mysql+asyncmy://u:p@127.0.0.1:{free_port()}/db")
    started = time.monotonic()

    with pytest.raises(StoreUnavailable, match="MYSQL_HOST"):
        schema.wait_until_reachable(nobody, 1)

    assert time.monotonic() - started >= 1


def test_a_database_that_comes_up_late_is_reached(
    own_mysql: Callable[[], MySqlServer],
) -> None:
    server = own_mysql()
    url = make_url(server.new_database())
    server.stop()
    code = (
        "import sys; from sqlalchemy import make_url; from stroke.adapters.sql import schema;"
        "schema.wait_until_reachable(make_url(sys.argv[1]), 120)"
    )
    waiting = subprocess.Popen(
        [sys.executable, "-c", code, url.render_as_string(hide_password=False)]
    )
    with pytest.raises(subprocess.TimeoutExpired):
        waiting.wait(2)
    server.start()

    assert waiting.wait(60) == 0


def test_a_wrong_password_is_not_waited_for(mysql: MySqlServer) -> None:
    url = make_url(mysql.new_database()).set(password="wrong")
    started = time.monotonic()

    with pytest.raises(StoreUnavailable, match="MYSQL_PASSWORD"):
        schema.wait_until_reachable(url, 60)

    assert time.monotonic() - started < 30
