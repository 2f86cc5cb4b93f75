"""What a checkpoint of DuckDB's keeps of predictions: the last change of each."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import duckdb

from stroke.application.analyses.ports import CannotContinue, CheckpointStore
from stroke.application.analyses.views import MEASURED
from stroke.application.erasure.ports import ErasablePlace, Trace
from stroke.domain.errors import InvalidData
from stroke.domain.prediction import LARGEST_ID

_HOLDS: Final = " OR ".join(["op <> 'd'", *(f"{name} IS NOT NULL" for name in MEASURED)])
_OF_WHOM: Final = f"prediction_id IN (SELECT UNNEST($ids)) AND ({_HOLDS})"
_NOTHING: Final = ", ".join(["op = 'd'", *(f"{name} = NULL" for name in MEASURED)])


class CheckpointPlace(ErasablePlace):
    """The checkpoint of ``store``, which people call ``address``.

    The last change of a prediction becomes a deletion with the id and nothing else of the row, in a
    file that is made anew: a changed row would stay in the old one's free blocks. A run that ends
    at the same time may bring rows back: ``find`` says so. Calls raise ``InvalidData`` for a file
    that cannot be read.
    """

    def __init__(self, store: CheckpointStore, *, address: str) -> None:
        self._name = f"checkpoint in {address}"
        self._store = store
        self._address = address

    @property
    def name(self) -> str:
        return self._name

    async def erase(self, ids: Collection[int]) -> int:
        return await asyncio.to_thread(self._erase, _storable(ids))

    async def find(self, ids: Collection[int]) -> list[Trace]:
        return await asyncio.to_thread(self._find, _storable(ids))

    def _find(self, ids: list[int]) -> list[Trace]:
        with TemporaryDirectory() as folder, duckdb.connect() as database:
            if not ids or not self._opened(database, Path(folder)):
                return []
            return self._traces(database, ids)

    def _erase(self, ids: list[int]) -> int:
        with TemporaryDirectory() as folder, duckdb.connect() as database:
            if not ids or not self._opened(database, Path(folder)):
                return 0
            found = len(self._traces(database, ids))
            if found:
                fresh = Path(folder) / "fresh.duckdb"
                try:
                    database.execute(
                        f"UPDATE saved.words SET {_NOTHING} WHERE {_OF_WHOM}",  # noqa: S608
                        {"ids": ids},
                    )
                    database.execute(f"ATTACH {_quoted(fresh)} AS fresh")
                    database.execute("COPY FROM DATABASE saved TO fresh")
                    database.execute("DETACH fresh")
                except duckdb.Error as error:
                    raise self._unreadable() from error
                self._store.save(fresh)
        return found

    def _opened(self, database: duckdb.DuckDBPyConnection, folder: Path) -> bool:
        try:
            copy = self._store.load(folder)
            if copy is None:
                return False
            database.execute(f"ATTACH {_quoted(copy)} AS saved")
        except (CannotContinue, duckdb.Error) as error:
            raise self._unreadable() from error
        return True

    def _traces(self, database: duckdb.DuckDBPyConnection, ids: list[int]) -> list[Trace]:
        try:
            rows = database.execute(
                f"SELECT DISTINCT prediction_id FROM saved.words WHERE {_OF_WHOM} ORDER BY ALL",  # noqa: S608
                {"ids": ids},
            ).fetchall()
        except duckdb.Error as error:
            raise self._unreadable() from error
        return [Trace(number, "table words") for (number,) in rows]

    def _unreadable(self) -> InvalidData:
        return InvalidData(
            f"the checkpoint in {self._address} cannot be read, so that nobody knows whose rows it "
            "holds: remove it, and the next run reads everything"
        )


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"


def _storable(ids: Collection[int]) -> list[int]:
    return sorted(number for number in set(ids) if 0 < number <= LARGEST_ID)
