"""Accounts of MySQL with the rights that `stroke db grants` prints, and no others."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path

import pytest
import urllib3
from sqlalchemy import URL, Table, make_url
from sqlalchemy.exc import DBAPIError

from builders.predictions import patient_json, today
from components.containers import MySqlServer
from components.databases import run_statements
from components.processes import Service, new_key, run_stroke, upgrade_schema
from stroke.adapters.sql import tables
from stroke.adapters.sql.engine import create_engine
from stroke.adapters.sql.source_of_truth import MySqlSource
from stroke.domain.errors import StoreUnavailable


class Accounts:
    """A new database, and accounts that `stroke db grants` says the rights of."""

    def __init__(self, mysql: MySqlServer, folder: Path) -> None:
        self.mysql, self.folder = mysql, folder
        self.owner = make_url(mysql.new_database())

    def make(self, account: str) -> URL:
        name, password = f"{account[:7]}_{secrets.token_hex(4)}", secrets.token_hex(8)
        self.mysql.execute(f"CREATE USER '{name}'@'%%' IDENTIFIED BY '{password}'")
        done = run_stroke(
            *("db", "grants", account, "--user", name),
            folder=self.folder,
            settings={"STROKE_DATABASE_URL": self.owner.render_as_string(hide_password=False)},
        )
        assert done.returncode == 0, done.stderr
        for statement in done.stdout.splitlines():
            self.mysql.execute(statement.rstrip(";").replace("%", "%%"))
        return self.owner.set(username=name, password=password)


@pytest.fixture
def accounts(mysql: MySqlServer, tmp_path: Path) -> Accounts:
    return Accounts(mysql, tmp_path)


def test_each_account_can_do_its_work_and_the_service_cannot_touch_the_trail_or_the_schema(
    accounts: Accounts, tmp_path: Path
) -> None:
    settings = {
        "STROKE_DATABASE_MIGRATION_URL": accounts.make("migrations").render_as_string(
            hide_password=False
        )
    }
    owner = {"STROKE_DATABASE_URL": accounts.owner.render_as_string(hide_password=False)}
    accounts.mysql.execute(
        f"REVOKE ALL ON {accounts.owner.database}.* FROM '{accounts.owner.username}'@'%%'"
    )
    done = run_stroke("db", "upgrade", folder=tmp_path, settings=settings | owner)
    assert done.returncode == 0, done.stderr

    url = accounts.make("service")
    text = url.render_as_string(hide_password=False)
    key = new_key(tmp_path, text, "admin,all-sites")
    with Service(tmp_path, STROKE_DATABASE_URL=text) as service:
        serves(service.url, key)

    for table in ("predictions", *(each.name for each in every_table())):
        run_statements(url, f"SELECT COUNT(*) FROM {table}")  # noqa: S608 -- names of ours
    assert run_statements(url, "SELECT COUNT(*) FROM audit")[0][0] > 0
    for statement in (
        "UPDATE audit SET outcome = 'done'",
        "DELETE FROM audit",
        "DELETE FROM audit_head",
        "INSERT INTO audit_head (id, number, digest) VALUES (2, 0, '')",
        "TRUNCATE TABLE audit",
        "DROP TABLE audit",
        "DELETE FROM api_keys",
        "CREATE TABLE stranger (id INT)",
        "ALTER TABLE predictions ADD COLUMN stranger INT",
        "CREATE INDEX stranger ON predictions (name)",
        "DROP TABLE predictions",
        "UPDATE stroke_alembic_version SET version_num = '0001'",
        "CREATE TRIGGER stranger BEFORE INSERT ON audit FOR EACH ROW SET NEW.times = 1",
    ):
        with pytest.raises(DBAPIError, match=r"denied|do not have the SUPER"):
            run_statements(url, statement)

    debezium = accounts.make("debezium")
    run_statements(debezium, "SELECT COUNT(*) FROM predictions", "SHOW BINARY LOG STATUS")
    for statement in (
        "DELETE FROM predictions",
        "UPDATE audit SET times = 2",
        "CREATE TABLE x (y INT)",
    ):
        with pytest.raises(DBAPIError, match=r"denied|do not have the SUPER"):
            run_statements(debezium, statement)


def test_an_upgrade_gives_the_service_what_its_tables_ask_for(
    accounts: Accounts, tmp_path: Path
) -> None:
    """As after an upgrade that added a table: until then the service has no right to it.

    Once as on the stack, which names both accounts, and once as in the chart's job.
    """
    owner = accounts.owner.render_as_string(hide_password=False)
    upgrade_schema(owner, tmp_path)
    changing = accounts.make("migrations").render_as_string(hide_password=False)
    service = accounts.make("service")
    database, name = accounts.owner.database, service.username
    text = service.render_as_string(hide_password=False)
    for settings in (
        {"STROKE_DATABASE_URL": text, "STROKE_DATABASE_MIGRATION_URL": changing},
        {"STROKE_DATABASE_URL": changing, "STROKE_DATABASE_SERVICE_USER": str(name)},
    ):
        for table in ("api_keys", "audit"):
            accounts.mysql.execute(f"REVOKE ALL ON {database}.{table} FROM '{name}'@'%%'")

        done = run_stroke("db", "upgrade", folder=tmp_path, settings=settings)

        assert done.returncode == 0, done.stderr
        run_statements(service, "SELECT COUNT(*) FROM api_keys", "SELECT COUNT(*) FROM audit")
    for statement in ("DELETE FROM audit", "DELETE FROM api_keys", "CREATE TABLE x (y INT)"):
        with pytest.raises(DBAPIError, match="denied"):
            run_statements(service, statement)


def test_an_account_that_may_give_nothing_upgrades_all_the_same_and_says_so(
    accounts: Accounts, tmp_path: Path
) -> None:
    changing = accounts.make("migrations")
    database = str(accounts.owner.database).replace("_", r"\_")  # as the right was given
    accounts.mysql.execute(f"REVOKE GRANT OPTION ON `{database}`.* FROM '{changing.username}'@'%%'")
    settings = {
        "STROKE_DATABASE_URL": accounts.owner.render_as_string(hide_password=False),
        "STROKE_DATABASE_MIGRATION_URL": changing.render_as_string(hide_password=False),
    }
    done = run_stroke("db", "upgrade", folder=tmp_path, settings=settings)
    assert done.returncode == 0, done.stderr
    assert "keeps the rights that it has" in done.stderr
    assert str(changing.password) not in done.stderr


@pytest.mark.anyio
async def test_the_account_of_the_schema_sets_the_counter_of_ids_and_the_service_s_cannot(
    accounts: Accounts, tmp_path: Path
) -> None:
    owner = accounts.owner.render_as_string(hide_password=False)
    await asyncio.to_thread(upgrade_schema, owner, tmp_path)
    for account, may in (("migrations", True), ("service", False)):
        url = await asyncio.to_thread(accounts.make, account)
        engine = create_engine(url, pool_size=1, connect_timeout=5)
        try:
            source = MySqlSource(engine, "predictions", statement_timeout=30)
            if may:
                await source.continue_at(500)
                assert await source.send_deletes([1_000]) == [1_000]
                assert await source.next_id() == 500
            else:
                with pytest.raises(StoreUnavailable, match="1142"):
                    await source.continue_at(900)
                assert await source.next_id() == 500
        finally:
            await engine.dispose()


def every_table() -> list[Table]:
    return [each for each in vars(tables).values() if isinstance(each, Table)]


def serves(address: str, key: str) -> None:
    """Call each kind of route that reads or writes the database."""

    def call(method: str, path: str, **sent: object) -> urllib3.BaseHTTPResponse:
        headers = {"X-API-Key": key}
        return urllib3.request(method, address + path, headers=headers, **sent)  # type: ignore[arg-type]

    assert call("GET", "/health/ready").status == 200
    number = call("POST", "/predict", json=patient_json()).json()["prediction_id"]
    batch = {"patients": [patient_json(), patient_json()]}
    assert call("POST", "/api/v1/predictions:batch", json=batch).status == 200
    outcome = {"stroke": False, "date": today(), "source": "register"}
    path = f"/api/v1/predictions/{number}"
    assert call("PUT", f"{path}/outcome", json=outcome).status in {200, 201, 422}
    assert call("GET", path).status == 200
    assert call("GET", "/api/v1/predictions?limit=2").status == 200
    assert call("GET", "/api/v1/audit").status == 200
    assert call("POST", "/api/v1/erasures", json={"ids": [number + 1]}).status == 202
    assert call("DELETE", path).status == 204
    assert call("GET", path).status == 404


def test_without_mysql_there_are_no_accounts(tmp_path: Path) -> None:
    done = run_stroke("db", "grants", "service", "--user", "stroke", folder=tmp_path)
    assert done.returncode == 1
    assert "only MySQL has accounts" in done.stderr
