"""The query for a page of predictions, newest id first, by the index that reads the fewest rows.

Ids and times grow together, nearly. Neither database knows that, and each reads the table from its
end until the page is full: for old predictions, past all newer ones.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from sqlalchemy import Select, Text, func, select, text, type_coerce
from sqlalchemy.ext.asyncio import AsyncConnection

from stroke.adapters.sql.filters import comparable, conditions
from stroke.adapters.sql.rows import select_records
from stroke.adapters.sql.tables import predictions
from stroke.domain.prediction import LARGEST_ID, PredictionFilter

# So many entries of an index are read and sorted in a few milliseconds.
_FEW: Final = 20_000
# How many of them take as long as one row of the table, measured on a million rows.
_ENTRIES_OF_A_ROW: Final = {"mysql": 4, "sqlite": 1}
# Unlike ``id``, no database reads rows in the order of it: it reads those of the index and sorts.
_SORTED: Final = text("+predictions.id DESC")
_TIME: Final = type_coerce(predictions.c.timestamp, Text)


async def page_query(
    connection: AsyncConnection,
    narrowed: PredictionFilter,
    *,
    limit: int,
    before: int | None,
) -> Select[Any]:
    """Return the select whose rows are at most ``limit`` records with ids below ``before``.

    Its rows are what ``to_record`` takes. It may ask ``connection`` where a moment lies among the
    ids. The answer decides on the way only: the rows are the same on each.
    """
    exact = [
        each
        for each in ("risk_category", "country", "province", "model_version")
        if getattr(narrowed, each) is not None
    ]
    timed = narrowed.since is not None or narrowed.until is not None
    wanted = conditions(narrowed, connection.dialect)
    if before is not None:
        wanted.append(predictions.c.id < min(before, LARGEST_ID))
    newest_first = predictions.c.id.desc()
    ids = select(predictions.c.id).where(*wanted).limit(limit)
    if timed and not exact and await _are_few(connection, narrowed, before):
        index = "FORCE INDEX (ix_predictions_timestamp)"
        ids = ids.order_by(_SORTED).with_hint(predictions, index, "mysql")
    elif len(exact) == 1 and not timed:
        # MySQL's index takes equal but for case for equal. It has the value itself, too: rows that
        # differ are left out without a look at the table.
        ids = ids.order_by(newest_first)
    else:
        return select_records().where(*wanted).order_by(newest_first).limit(limit)
    found = ids.subquery()
    return select_records().join(found, found.c.id == predictions.c.id).order_by(newest_first)


async def _are_few(
    connection: AsyncConnection, narrowed: PredictionFilter, before: int | None
) -> bool:
    """Return whether to read all within the times is less than all between them and the page."""
    first, last = (await connection.execute(_ENDS)).one()
    if first is None:
        return True
    end = last if narrowed.until is None else await _last_before(connection, narrowed.until)
    begin = first if narrowed.since is None else await _last_before(connection, narrowed.since)
    if end is None:
        return True  # no row is as old as that
    within = end - (first if begin is None else begin)
    newer = (last if before is None else min(before, last)) - end
    return bool(within <= max(newer * _ENTRIES_OF_A_ROW[connection.dialect.name], _FEW))


# Each of its own: SQLite reads the whole table for both at once.
_ENDS: Final = select(
    select(func.min(predictions.c.id)).scalar_subquery(),
    select(func.max(predictions.c.id)).scalar_subquery(),
)


async def _last_before(connection: AsyncConnection, moment: datetime) -> int | None:
    """Return the id of the newest row, by its time, that is older than ``moment``."""
    query = select(predictions.c.id).where(_TIME < comparable(moment))  # noqa: SIM300 - a column stands on the left
    found: int | None = await connection.scalar(query.order_by(_TIME.desc()).limit(1))
    return found
