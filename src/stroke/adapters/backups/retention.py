"""Until when backups keep rows that were removed after they were made."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from typing import Final

from pyarrow import fs

from stroke.application.erasure.ports import Retained, Retention
from stroke.domain.errors import InvalidData

# As deploy/backup/mysql-backup.sh names them. What has no manifest is half a backup, which may hold
# rows as well.
_BACKUP: Final = re.compile(r"(stroke-mysql-(\d{8}T\d{6})Z)\.(?:json|sql\.gz)")


class BackupRetention(Retention):
    """The backups in ``folder`` of ``system``; each is removed ``keep`` after it was made."""

    def __init__(self, system: fs.FileSystem, folder: str, *, keep: timedelta) -> None:
        self._system = system
        self._folder = folder
        self._keep = keep

    async def retained(self, erased: datetime, *, now: datetime) -> Sequence[Retained]:
        found = await asyncio.to_thread(lambda: dict(self._backups()))
        ends = {name: made + self._keep for name, made in found.items() if made <= erased}
        return [
            Retained(f"the backup {name}", end if end > now else None)
            for name, end in sorted(ends.items())
        ]

    def _backups(self) -> Iterator[tuple[str, datetime]]:
        try:
            listed = self._system.get_file_info(fs.FileSelector(self._folder))
        except OSError as error:
            raise InvalidData(
                f"the backups in {self._folder} cannot be listed: check STROKE_BACKUP_TARGET"
            ) from error
        for each in listed:
            named = _BACKUP.fullmatch(PurePosixPath(each.path).name)
            if named:
                yield named[1], datetime.strptime(named[2], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
