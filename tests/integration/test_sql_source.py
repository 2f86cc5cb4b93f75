"""The truth that copies are held against, on a real MySQL."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import re
import tracemalloc
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

import pytest
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from builders.predictions import NOON, prediction
from components.containers import MySqlServer, free_port
from contracts.copies import DOCUMENT, NAME, SourceOfTruthContract, TruthStage
from stroke.adapters.sql import schema
from stroke.adapters.sql.engine import create_engine
from stroke.adapters.sql.repository import SqlPredictionRepository
from stroke.adapters.sql.source_of_truth import MySqlSource
from stroke.application.pipeline.column_values import RowValue
from stroke.application.pipeline.consistency import row_digest
from stroke.domain.errors import StoreUnavailable

pytestmark = pytest.mark.anyio

MEGABYTE = 1_000_000
AWKWARD = "Ünïcödé 山田 😀 O'Brien % \\ "


@pytest.fixture
def url(mysql: MySqlServer) -> str:
    url = mysql.new_database()
    schema.upgrade(make_url(url))
    return url


@pytest.fixture
async def engine(url: str) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(make_url(url), pool_size=2, connect_timeout=5)
    yield engine
    await engine.dispose()


@pytest.fixture
def repository(engine: AsyncEngine) -> SqlPredictionRepository:
    return SqlPredictionRepository(engine, statement_timeout=30)


@pytest.fixture
def source(engine: AsyncEngine) -> MySqlSource:
    return MySqlSource(engine, "predictions", statement_timeout=30)


def stored(number: int, **changes: RowValue) -> bytes:
    """Return the digest of a row of ``prediction(name=AWKWARD)``, written by hand."""
    row: dict[str, RowValue] = {
        "id": number,
        "timestamp": (NOON - datetime(1970, 1, 1, tzinfo=UTC)) // (NOON.resolution),
        "gender": "Male",
        "age": 45.5,
        "hypertension": 0,
        "heart_disease": 0,
        "avg_glucose_level": 95.2,
        "bmi": 26.8,
        "smoking_status": "never smoked",
        "name": AWKWARD,
        "country": "United States",
        "province": "California",
        "probability": 0.1 + 0.2,
        "risk_category": "High",
        "contributing_factors": '[{"unit":"ü"}]',
        "prediction_data": '{"a":[1,2.5,null],"b":100000000000000000000}',
        "model_version": "test-1",
    }
    return row_digest({**row, **changes})


async def add(mysql: MySqlServer, url: str, repository: SqlPredictionRepository) -> int:
    [number] = await repository.add([prediction(0.1 + 0.2, name=AWKWARD)])
    mysql.rows(
        url,
        "UPDATE predictions SET risk_category = 'High', contributing_factors = %s,"
        " prediction_data = %s WHERE id = %s",
        '[{"unit": "\\u00fc"}]',
        '{"b": 1e20, "a": [1, 2.50, null]}',
        number,
    )
    return number


class MySqlTruth(TruthStage):
    def __init__(self, mysql: MySqlServer, url: str, source: MySqlSource) -> None:
        self._mysql = mysql
        self._url = url
        self.source = source

    async def store(self, number: int, name: str = NAME) -> None:
        self._mysql.rows(
            self._url,
            "REPLACE INTO predictions (id, timestamp, name, prediction_data)"
            " VALUES (%s, NULL, %s, %s)",
            number,
            name,
            DOCUMENT,
        )


class TestMySqlSource(SourceOfTruthContract):
    @pytest.fixture
    def truth(self, mysql: MySqlServer, url: str, source: MySqlSource) -> MySqlTruth:
        return MySqlTruth(mysql, url, source)

    @pytest.fixture
    async def away(self) -> AsyncIterator[MySqlSource]:
        url = make_url(f"mysql+asyncmy://u:p@127.0.0.1:{free_port()}/stroke")
        engine = create_engine(url, pool_size=1, connect_timeout=1)
        yield MySqlSource(engine, "predictions", statement_timeout=10)
        await engine.dispose()


async def test_an_empty_table_has_no_bounds_and_no_rows(source: MySqlSource) -> None:
    assert await source.bounds() is None
    assert await source.boundary(1, 1) is None
    assert (await source.chunk(1, 2**63 - 1)).digests == {}


async def test_a_row_is_read_as_any_copy_must_hold_it(
    mysql: MySqlServer, url: str, repository: SqlPredictionRepository, source: MySqlSource
) -> None:
    number = await add(mysql, url, repository)

    assert (await source.chunk(number, number)).digests == {number: stored(number)}


async def test_rows_of_megabytes_are_not_in_memory_together(
    mysql: MySqlServer, url: str, source: MySqlSource
) -> None:
    mysql.rows(url, "ALTER TABLE predictions ADD COLUMN letter LONGTEXT NULL")
    for number in range(1, 31):
        mysql.rows(
            url,
            "INSERT INTO predictions (id, letter) VALUES (%s, REPEAT('x', %s))",
            number,
            2 * MEGABYTE,
        )

    tracemalloc.start()
    try:
        found = await source.chunk(1, 30)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert len(set(found.digests.values())) == 30  # each has another id
    assert peak < 20 * MEGABYTE  # of 60 that all of them have


async def test_chunks_and_bounds_follow_the_ids(
    mysql: MySqlServer, url: str, source: MySqlSource
) -> None:
    mysql.rows(url, "INSERT INTO predictions (id) VALUES (3), (5), (90), (9223372036854775806)")

    assert await source.bounds() == (3, 9223372036854775806)
    assert (await source.chunk(4, 90)).digests.keys() == {5, 90}
    assert await source.boundary(1, 1) == 3
    assert await source.boundary(4, 2) == 90
    assert await source.boundary(4, 4) is None


async def test_a_column_that_was_added_takes_part(
    mysql: MySqlServer, url: str, repository: SqlPredictionRepository, source: MySqlSource
) -> None:
    number = await add(mysql, url, repository)
    mysql.rows(url, "ALTER TABLE predictions ADD COLUMN `ward %%` JSON NULL")
    without = await source.chunk(number, number)
    mysql.rows(url, "UPDATE predictions SET `ward %%` = '{ \"b\": 1 }'")

    assert without.digests == {number: stored(number)}
    assert (await source.chunk(number, number)).digests == {
        number: stored(number, **{"ward %": '{"b":1}'})
    }
    assert (await source.columns())["ward %"] == "json"


async def test_values_that_a_snapshot_changes_are_named_and_count_as_what_it_sends(
    mysql: MySqlServer, url: str, source: MySqlSource
) -> None:
    mysql.rows(url, "ALTER TABLE predictions ADD COLUMN seen DATETIME(6), ADD COLUMN born YEAR")
    mysql.rows(
        url,
        "INSERT INTO predictions (id, timestamp, seen, born) VALUES (1, NULL, '1582-10-15', 2000)",
    )
    later = (await source.chunk(1, 1)).digests
    assert await source.uncompared() == {}

    mysql.rows(url, "UPDATE predictions SET seen = '1582-10-05', born = 0")

    assert (await source.chunk(1, 1)).digests == later
    days = "days from 1582-10-05 to before 1582-10-15"
    assert await source.uncompared() == {
        "seen": f"datetime(6), {days}",
        "born": "year, the year 0",
    }


@pytest.mark.parametrize("salt", [None, "päper"])
async def test_a_masked_column_is_compared_as_it_left_mysql(
    mysql: MySqlServer,
    url: str,
    engine: AsyncEngine,
    repository: SqlPredictionRepository,
    salt: str | None,
) -> None:
    number = await add(mysql, url, repository)
    mysql.rows(url, "INSERT INTO predictions (id) VALUES (%s)", number + 1)
    masked = MySqlSource(engine, "predictions", statement_timeout=30, mask="name", mask_salt=salt)
    left = (
        "***"
        if salt is None
        else hmac.new(salt.encode(), AWKWARD.encode(), hashlib.sha256).hexdigest()
    )

    digests = (await masked.chunk(number, number + 1)).digests

    assert digests[number] == stored(number, name=left)
    assert digests[number + 1] == _without_name(mysql, url, number + 1)


def _without_name(mysql: MySqlServer, url: str, number: int) -> bytes:
    [(micros,)] = mysql.rows(
        url,
        "SELECT TIMESTAMPDIFF(MICROSECOND, '1970-01-01', timestamp) FROM predictions WHERE id = %s",
        number,
    )
    return row_digest({"id": number, "timestamp": micros, "name": None})


async def test_a_position_includes_the_ones_before_it_and_not_those_after(
    source: MySqlSource, repository: SqlPredictionRepository
) -> None:
    before = await source.position()
    await repository.add([prediction()])
    after = await source.position()

    assert await source.includes(after, before)
    assert await source.includes(after, after)
    assert not await source.includes(before, after)
    assert not await source.includes("", after)


async def test_a_position_ends_with_a_change_of_a_row_after_a_statement_without_one(
    mysql: MySqlServer, url: str, source: MySqlSource
) -> None:
    """Debezium counts such a statement as sent with the next transaction only."""
    mysql.rows(url, "ALTER TABLE predictions COMMENT 'altered'")
    altered = mysql.rows(url, "SELECT @@GLOBAL.gtid_executed")[0][0].replace("\n", "")

    position = await source.position()

    assert await source.includes(position, altered)
    assert not await source.includes(altered, position)
    assert mysql.rows(url, "SELECT id FROM debezium_signal") == []


async def test_a_server_without_gtids_is_refused(
    own_mysql: Callable[[], MySqlServer],
) -> None:
    server = own_mysql()
    for mode in ("ON_PERMISSIVE", "OFF_PERMISSIVE", "OFF"):
        server.execute(f"SET GLOBAL gtid_mode = {mode}")
    engine = create_engine(make_url(server.new_database()), pool_size=1, connect_timeout=5)
    with pytest.raises(StoreUnavailable, match="gtid_mode=ON"):
        await MySqlSource(engine, "predictions", statement_timeout=30).position()
    await engine.dispose()


async def test_a_missing_table_is_said(engine: AsyncEngine) -> None:
    with pytest.raises(StoreUnavailable, match="db upgrade"):
        await MySqlSource(engine, "nowhere", statement_timeout=30).chunk(1, 2)


async def test_rows_are_asked_for_with_signals_that_debezium_takes(
    mysql: MySqlServer, url: str, source: MySqlSource
) -> None:
    await source.send_again([5, 1, 2, 3, 9, 9])

    [(number, kind, data)] = mysql.rows(url, "SELECT id, type, data FROM debezium_signal")
    table = f"{make_url(url).database}.predictions"
    assert re.fullmatch(r"[0-9a-f-]{36}", number)
    assert kind == "execute-snapshot"
    assert json.loads(data) == {
        "type": "incremental",
        "data-collections": [table],
        "additional-conditions": [
            {"data-collection": table, "filter": "(id BETWEEN 1 AND 3 OR id IN (5, 9))"}
        ],
    }


async def test_the_signals_of_many_ids_fit_and_select_exactly_them(
    mysql: MySqlServer, url: str, source: MySqlSource
) -> None:
    ids = [*range(2**62, 2**62 + 20_000, 2), *range(2**61, 2**61 + 50)]

    await source.send_again(ids)

    signals = [json.loads(d) for (d,) in mysql.rows(url, "SELECT data FROM debezium_signal")]
    filters = [signal["additional-conditions"][0]["filter"] for signal in signals]
    named = [int(n) for condition in filters for n in re.findall(r"\d{10,}", condition)]
    assert len(filters) > 1
    assert sorted(named) == sorted([*ids[:10_000], 2**61, 2**61 + 49])


async def test_asking_for_nothing_signals_nothing(
    mysql: MySqlServer, url: str, source: MySqlSource
) -> None:
    await source.send_again([])

    assert mysql.rows(url, "SELECT * FROM debezium_signal") == []


async def test_deletes_reach_the_binlog_and_nobody_sees_a_row(
    mysql: MySqlServer, url: str, source: MySqlSource
) -> None:
    mysql.rows(url, "INSERT INTO predictions (id, name) VALUES (7, 'kept'), (1000, 'kept')")
    [(log, start, *_)] = mysql.rows(url, "SHOW BINARY LOG STATUS")

    assert await source.send_deletes([3, 7, 900, 3]) == [3, 900]

    events = mysql.rows(url, f"SHOW BINLOG EVENTS IN '{log}' FROM {start}")
    kinds = [kind for _, _, kind, *_ in events]
    assert kinds.count("Write_rows") == kinds.count("Delete_rows") == 2
    assert kinds.count("Gtid") == 1  # one transaction: the rows never were for others
    assert mysql.rows(url, "SELECT id, name FROM predictions") == [(7, "kept"), (1000, "kept")]


async def test_ids_that_mysql_cannot_have_given_are_not_spent(
    mysql: MySqlServer, url: str, source: MySqlSource, repository: SqlPredictionRepository
) -> None:
    mysql.rows(url, "INSERT INTO predictions (id) VALUES (10)")

    assert await source.send_deletes([-1, 0, 11, 2**63 - 1]) == [11]
    assert await repository.add([prediction()]) == [12]


async def test_a_lock_that_is_not_released_ends_in_an_error(
    engine: AsyncEngine, mysql: MySqlServer, url: str
) -> None:
    impatient = MySqlSource(engine, "predictions", statement_timeout=1)
    async with engine.begin() as holding:
        await holding.exec_driver_sql("INSERT INTO predictions (id) VALUES (5)")
        with pytest.raises(StoreUnavailable, match="in time"):
            await impatient.send_deletes([5])
        await holding.rollback()

    await asyncio.sleep(0)
    assert mysql.rows(url, "SELECT id FROM predictions") == []
