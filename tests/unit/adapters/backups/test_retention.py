"""Backups in a folder: each has rows that were erased after it was made, until it is removed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pyarrow import fs

from builders.predictions import NOON
from contracts.erasure import RetentionContract
from stroke.adapters.backups.retention import BackupRetention
from stroke.application.erasure.ports import Retained
from stroke.domain.errors import InvalidData

pytestmark = pytest.mark.anyio
MONTH = timedelta(days=30)


def backup(folder: Path, made: datetime, *endings: str) -> str:
    name = f"stroke-mysql-{made:%Y%m%dT%H%M%SZ}"
    for ending in endings or (".sql.gz", ".json"):
        (folder / f"{name}{ending}").write_text("a backup")
    return name


def retention_of(folder: Path) -> BackupRetention:
    return BackupRetention(fs.LocalFileSystem(), str(folder), keep=MONTH)


class TestBackupRetention(RetentionContract):
    @pytest.fixture
    def retention(self, tmp_path: Path) -> BackupRetention:
        backup(tmp_path, NOON - timedelta(days=1))
        return retention_of(tmp_path)


async def test_only_backups_from_before_the_erasure_have_the_row(tmp_path: Path) -> None:
    made = datetime(2026, 1, 1, tzinfo=UTC)
    before = backup(tmp_path, made)
    backup(tmp_path, made + timedelta(days=3))
    for other in ("notes.txt", "stroke-mysql-latest.json", "mysql-20260101T000000Z.sql.gz"):
        (tmp_path / other).write_text("something else")

    kept = await retention_of(tmp_path).retained(NOON, now=NOON)

    assert list(kept) == [Retained(f"the backup {before}", made + MONTH)]


async def test_half_a_backup_has_rows_too(tmp_path: Path) -> None:
    name = backup(tmp_path, NOON - MONTH / 2, ".sql.gz")
    [kept] = await retention_of(tmp_path).retained(NOON, now=NOON)
    assert kept.what == f"the backup {name}"


async def test_a_backup_that_should_be_gone_and_is_there_has_no_end(tmp_path: Path) -> None:
    name = backup(tmp_path, NOON - 2 * MONTH)
    kept = await retention_of(tmp_path).retained(NOON, now=NOON)
    assert list(kept) == [Retained(f"the backup {name}", None)]


async def test_a_folder_that_cannot_be_read_is_no_folder_without_backups(tmp_path: Path) -> None:
    with pytest.raises(InvalidData, match="STROKE_BACKUP_TARGET"):
        await retention_of(tmp_path / "elsewhere").retained(NOON, now=NOON)
