"""Rows of a file into the table ``predictions``: again and again with the same result."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import BindParameter, Text, bindparam, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from stroke.adapters.sql.faults import translated
from stroke.adapters.sql.import_cells import BadCell, is_known, same, to_row
from stroke.adapters.sql.rows import AS_TEXT, unprocessed
from stroke.adapters.sql.schema import HEAD, current_revision
from stroke.adapters.sql.tables import COLUMNS, predictions
from stroke.application.predictions.cells import check_account
from stroke.application.predictions.file_rows import FileRow, ImportTally, RejectedRow
from stroke.domain.errors import IdempotencyKeyTaken, PredictionRejected, wrong_schema

_AT_A_TIME: Final = 500
_DIFFERS: Final = "differs from the stored row with this id"


@dataclass(frozen=True, slots=True)
class _Candidate:
    source: FileRow
    values: dict[str, Any]


class TableImport:
    """Puts rows into the table by their ids.

    A row whose id is stored already with the same values is passed over; with other values it is
    reported, or with ``replace`` overwritten. ``dry_run`` counts and writes nothing. ``refuse``
    gets each row that was not stored.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        replace: bool = False,
        dry_run: bool = False,
        refuse: Callable[[RejectedRow], None],
    ) -> None:
        self._engine = engine
        self._replace = replace
        self._dry_run = dry_run
        self._refuse = refuse
        self.tally = ImportTally()

    async def run(self, rows: Iterable[FileRow], *, progress: Callable[[], None]) -> ImportTally:
        """Store ``rows``, 500 to a transaction; ``progress`` is called after each.

        Raises ``RowsUnaccounted``, ``SchemaOutdated`` or ``StoreUnavailable``; what was stored
        until then stays, and the import can be run again.
        """
        with translated():
            async with self._engine.connect() as connection:
                if (found := await current_revision(connection)) != HEAD:
                    raise wrong_schema(found, HEAD)
        for batch in self._batches(rows):
            await self._store(batch)
            progress()
        tally = self.tally
        check_account(
            read=tally.rows,
            kept=tally.inserted + tally.replaced + tally.unchanged,
            rejected=tally.differing + tally.rejected,
        )
        return tally

    def _batches(self, rows: Iterable[FileRow]) -> Iterator[list[_Candidate]]:
        """Return readable rows of one set of columns, no id twice in a batch."""
        batch: dict[int, _Candidate] = {}
        columns: frozenset[str] = frozenset()
        for row in rows:
            self.tally.rows += 1
            candidate = self._candidate(row)
            if candidate is None:
                continue
            key = candidate.values["id"]
            its_columns = frozenset(candidate.values)
            if len(batch) == _AT_A_TIME or key in batch or (batch and its_columns != columns):
                yield list(batch.values())
                batch = {}
            columns = its_columns
            batch[key] = candidate
        if batch:
            yield list(batch.values())

    def _candidate(self, row: FileRow) -> _Candidate | None:
        if row.problem is not None:
            self._reject(RejectedRow(row.line, row.place, None, row.problem))
            return None
        unknown = [column for column in row.cells if not is_known(column)]
        for column in unknown:
            if column not in self.tally.ignored_columns:
                self.tally.ignored_columns.append(column)
        known = {column: cell for column, cell in row.cells.items() if column not in unknown}
        try:
            return _Candidate(row, to_row(known))
        except BadCell as error:
            self._reject(RejectedRow(row.line, row.place, None, str(error)))
            return None

    async def _store(self, batch: list[_Candidate]) -> None:
        """Store a batch in one transaction; halve it until a row that is refused stands alone."""
        try:
            with translated():
                async with self._engine.begin() as connection:
                    counted = await self._merge(connection, batch)
        except (PredictionRejected, IdempotencyKeyTaken) as error:
            if len(batch) > 1:
                middle = len(batch) // 2
                await self._store(batch[:middle])
                await self._store(batch[middle:])
                return
            [alone] = batch
            self._reject(_reject_of(alone, str(error)))
            return
        new, changed, differing = counted
        self.tally.inserted += new
        self.tally.replaced += changed
        self.tally.differing += len(differing)
        self.tally.unchanged += len(batch) - new - changed - len(differing)
        for candidate in differing:
            self._refuse(_reject_of(candidate, _DIFFERS))

    async def _merge(
        self, connection: AsyncConnection, batch: list[_Candidate]
    ) -> tuple[int, int, list[_Candidate]]:
        """Return how many rows are new, how many replaced, and those that differ."""
        stored = await _stored(connection, [candidate.values["id"] for candidate in batch])
        new = [c for c in batch if c.values["id"] not in stored]
        other = [
            c
            for c in batch
            if (row := stored.get(c.values["id"])) is not None
            and not all(same(column, value, row[column]) for column, value in c.values.items())
        ]
        if not self._dry_run:
            if new:
                added = insert(predictions).values(_placeholders(new[0]))
                await connection.execute(added, [_bound(c) for c in new])
            if self._replace and other:
                by_id = predictions.c.id == bindparam("new_id")
                changed = update(predictions).where(by_id).values(_placeholders(other[0]))
                await connection.execute(changed, [_bound(c) for c in other])
        return (len(new), len(other), []) if self._replace else (len(new), 0, other)

    def _reject(self, reject: RejectedRow) -> None:
        self.tally.rejected += 1
        self._refuse(reject)


async def _stored(connection: AsyncConnection, ids: list[int]) -> dict[int, dict[str, Any]]:
    query = select(*unprocessed(COLUMNS)).where(predictions.c.id.in_(ids))
    return {row["id"]: dict(row) for row in (await connection.execute(query)).mappings()}


def _placeholders(candidate: _Candidate) -> dict[str, BindParameter[Any]]:
    """Return a placeholder per column of ``candidate``; JSON and times are sent as they read."""
    return {
        column: bindparam(f"new_{column}", type_=Text if column in AS_TEXT else None)
        for column in candidate.values
    }


def _bound(candidate: _Candidate) -> dict[str, Any]:
    return {f"new_{column}": value for column, value in candidate.values.items()}


def _reject_of(candidate: _Candidate, reason: str) -> RejectedRow:
    source = candidate.source
    return RejectedRow(source.line, source.place, candidate.values["id"], reason)
