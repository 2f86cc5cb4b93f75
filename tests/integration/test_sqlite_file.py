"""An SQLite file that is deleted or replaced under a service: no row is acknowledged to nowhere."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import URL
from sqlalchemy.ext.asyncio import AsyncEngine

from builders.predictions import outcome, prediction
from stroke.adapters.sql import schema
from stroke.adapters.sql.engine import create_engine
from stroke.adapters.sql.outcomes import SqlOutcomeRepository
from stroke.adapters.sql.repository import SqlPredictionRepository
from stroke.domain.errors import StoreUnavailable
from stroke.domain.prediction import PredictionFilter

pytestmark = pytest.mark.anyio


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "data" / "stroke.db"


def _url(file: Path) -> URL:
    return URL.create("sqlite+aiosqlite", database=str(file))


@pytest.fixture
async def engine(file: Path) -> AsyncIterator[AsyncEngine]:
    file.parent.mkdir()
    await asyncio.to_thread(schema.upgrade, _url(file))
    engine = create_engine(_url(file), pool_size=4, connect_timeout=5)
    yield engine
    await engine.dispose()


@pytest.fixture
def repository(engine: AsyncEngine) -> SqlPredictionRepository:
    return SqlPredictionRepository(engine, statement_timeout=30)


def _other_database(file: Path) -> Path:
    other = file.parent.parent / "other.db"
    schema.upgrade(_url(other))
    return other


def _names(folder: Path) -> set[str]:
    return {each.name for each in folder.iterdir()}


def _size(file: Path) -> int:
    return file.stat().st_size


def _turn(link: Path, target: Path) -> None:
    link.unlink(missing_ok=True)
    link.symlink_to(target)


def delete(file: Path) -> None:
    file.unlink()


def delete_all(file: Path) -> None:
    for each in file.parent.glob("stroke.db*"):
        each.unlink()


def move(file: Path) -> None:
    file.rename(file.with_name("moved.db"))


def move_back(file: Path) -> None:
    file.with_name("moved.db").rename(file)


def replace(file: Path) -> None:
    _other_database(file).replace(file)


def replace_by_a_copy(file: Path) -> None:
    copy = file.with_name("copy.db")
    shutil.copy(file, copy)
    copy.replace(file)


def replace_by_a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def empty(file: Path) -> None:
    os.truncate(file, 0)


def cut_to_one_page(file: Path) -> None:
    os.truncate(file, 4096)


def cut_to_a_part_of_its_header(file: Path) -> None:
    os.truncate(file, 20)


def cut_off_the_last_page(file: Path) -> None:
    os.truncate(file, file.stat().st_size - 4096)


def delete_the_journal(file: Path) -> None:
    file.with_name("stroke.db-wal").unlink()


def delete_the_index_of_the_journal(file: Path) -> None:
    file.with_name("stroke.db-shm").unlink()


def replace_the_journal(file: Path) -> None:
    wal = file.with_name("stroke.db-wal")
    shutil.copy(wal, wal.with_suffix(".copy"))
    wal.with_suffix(".copy").replace(wal)


def move_the_folder(file: Path) -> None:
    file.parent.rename(file.parent.with_name("elsewhere"))


ACCIDENTS = (
    delete,
    delete_all,
    move,
    replace,
    replace_by_a_copy,
    replace_by_a_folder,
    empty,
    cut_to_one_page,
    cut_to_a_part_of_its_header,
    cut_off_the_last_page,
    delete_the_journal,
    delete_the_index_of_the_journal,
    replace_the_journal,
    move_the_folder,
)


@pytest.mark.parametrize("accident", ACCIDENTS)
async def test_nothing_is_acknowledged_once_the_file_is_not_the_one_that_was_opened(
    engine: AsyncEngine,
    repository: SqlPredictionRepository,
    file: Path,
    accident: Callable[[Path], None],
) -> None:
    stored, *_ = await repository.add([prediction()] * 1001)
    await repository.add([prediction()])
    outcomes = SqlOutcomeRepository(engine, statement_timeout=30)

    await asyncio.to_thread(accident, file)

    for call in (
        lambda: repository.add([prediction()]),
        lambda: repository.add([prediction()] * 1001),
        lambda: repository.add([prediction()], batch_key="k"),
        lambda: repository.remove(stored),
        lambda: repository.release_key("k", made_before=prediction().made_at),
        lambda: repository.page(PredictionFilter(), limit=1),
        repository.check,
        lambda: outcomes.put([outcome(stored)]),
        lambda: asyncio.gather(*(repository.get(stored) for _ in range(6))),
    ):
        with pytest.raises(StoreUnavailable, match="put it back"):
            await call()
    if accident is delete:
        assert "stroke.db" not in _names(file.parent)


async def test_nobody_else_on_the_machine_can_read_a_new_file_or_its_journal(
    repository: SqlPredictionRepository, file: Path
) -> None:
    await repository.add([prediction()])

    modes = {each.name: each.stat().st_mode & 0o777 for each in file.parent.iterdir()}
    assert modes == dict.fromkeys(("stroke.db", "stroke.db-wal", "stroke.db-shm"), 0o600)


async def test_a_file_that_is_put_back_is_written_again(
    repository: SqlPredictionRepository, file: Path
) -> None:
    [before] = await repository.add([prediction(name="before")])
    move(file)
    with pytest.raises(StoreUnavailable):
        await repository.add([prediction(name="refused")])

    move_back(file)
    [after] = await repository.add([prediction(name="after")])

    with closing(sqlite3.connect(file)) as other:
        rows = other.execute("SELECT id, name FROM predictions").fetchall()
    assert rows == [(before, "before"), (after, "after")]


async def test_rows_survive_the_loss_of_the_journal_when_the_service_is_stopped(
    engine: AsyncEngine, repository: SqlPredictionRepository, file: Path
) -> None:
    [stored] = await repository.add([prediction(name="acknowledged")])
    delete_the_journal(file)
    with pytest.raises(StoreUnavailable):
        await repository.add([prediction(name="refused")])

    await engine.dispose()

    again = create_engine(_url(file), pool_size=1, connect_timeout=5)
    reopened = SqlPredictionRepository(again, statement_timeout=30)
    assert [(r.id, r.name) for r in await reopened.page(PredictionFilter(), limit=9)] == [
        (stored, "acknowledged")
    ]
    assert await reopened.add([prediction()])
    await again.dispose()


async def test_connections_that_come_and_go_are_no_accident(
    engine: AsyncEngine, repository: SqlPredictionRepository, file: Path
) -> None:
    for _ in range(3):
        await repository.add([prediction()])
        await asyncio.gather(*(repository.page(PredictionFilter(), limit=1) for _ in range(6)))
        with closing(sqlite3.connect(file)) as other:
            other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            other.execute("VACUUM")
        await engine.dispose()  # with the last connection SQLite removes the journal
        assert _names(file.parent) == {"stroke.db"}
    assert len(await repository.page(PredictionFilter(), limit=9)) == 3


async def test_a_link_that_is_turned_to_another_file_is_noticed(tmp_path: Path) -> None:
    real, link = tmp_path / "real.db", tmp_path / "link.db"
    _turn(link, real)
    await asyncio.to_thread(schema.upgrade, _url(link))
    engine = create_engine(_url(link), pool_size=1, connect_timeout=5)
    repository = SqlPredictionRepository(engine, statement_timeout=30)
    assert await repository.add([prediction()])

    _turn(link, await asyncio.to_thread(_other_database, tmp_path / "data" / "stroke.db"))

    with pytest.raises(StoreUnavailable, match="put it back"):
        await repository.add([prediction()])
    await engine.dispose()


async def test_a_file_that_another_process_makes_smaller_is_no_accident(
    repository: SqlPredictionRepository, file: Path
) -> None:
    await repository.add([prediction()] * 1001)
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("DELETE FROM predictions")
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before = _size(file)
    await repository.add([prediction()])
    with closing(sqlite3.connect(file)) as other:
        other.execute("VACUUM")
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert _size(file) < before

    assert await repository.add([prediction()])
    assert await repository.add([prediction()])
