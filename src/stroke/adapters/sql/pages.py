"""A page of predictions, newest id first, by the index that reads the fewest rows.

Each filter has an index that ends with the id, so that a page is read from it in order. Times have
none of this kind. Ids and times grow together, nearly: so the ids between those of the first and
the last moment are read in their order, and the few rows whose ids are not where their times are
(an import brings old rows late) are looked for by their day.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from types import MappingProxyType
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, Select, Text, func, select, text, type_coerce
from sqlalchemy import literal_column as sql
from sqlalchemy.ext.asyncio import AsyncConnection

from stroke.adapters.sql.filters import EXACT, comparable, conditions
from stroke.adapters.sql.rows import select_records, to_utc
from stroke.adapters.sql.tables import predictions
from stroke.domain.prediction import LARGEST_ID, PredictionFilter

INDEXES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "country_province": ("country", "province"),
        **{name: (name,) for name in (*EXACT, "site")},
        **{f"site_{name}": ("site", name) for name in EXACT},
    }
)
"""What each index of filters is of, by the end of its name; the id follows."""

# So many rows whose ids are not where their times are can be looked at one by one.
_FEW: Final = 2_000
# A list of so many days is read in 15 ms.
_DAYS: Final = 4_000
# So many entries of an index show how far back it reaches.
_SAMPLE: Final = 300
# Unlike ``id``, no database reads rows in the order of it: it reads those of the index and sorts.
_SORTED: Final = text("+predictions.id DESC")
# An index of an expression is used where the same expression stands, with nothing bound in it.
_DAY: Final[dict[str, ColumnElement[Any]]] = {
    "mysql": sql("CAST(timestamp AS DATE)"),
    "sqlite": sql("substr(timestamp, 1, 10)"),
}
_BY: Final = {"mysql": "FORCE INDEX (ix_predictions_{})", "sqlite": "INDEXED BY ix_predictions_{}"}
_id = predictions.c.id
_time = type_coerce(predictions.c.timestamp, Text)
_Conditions = Sequence[ColumnElement[bool]]


class PageReader:
    """Reads pages of predictions on ``connection``, which is in a transaction.

    ``bounded`` is the hint for MySQL that limits how long a statement may take. If more than
    ``few`` rows are not where their times are, ids say nothing of times. So many ``days`` are
    listed in one statement at the most.
    """

    def __init__(
        self, connection: AsyncConnection, bounded: str, *, few: int = _FEW, days: int = _DAYS
    ) -> None:
        self._few = few
        self._days = days
        self._connection = connection
        self._dialect = connection.dialect
        self._bounded = bounded

    async def page(
        self, narrowed: PredictionFilter, *, limit: int, before: int | None
    ) -> list[Row[Any]]:
        """Return at most ``limit`` rows that ``to_record`` takes, with ids below ``before``.

        What is asked first decides on the way only: the rows are the same on each.
        """
        below = None if before is None else min(before, LARGEST_ID)
        if narrowed.since is None and narrowed.until is None:
            return await self._in_order(narrowed, _ids(None, below), limit)
        first, last = await self._ends(narrowed)
        if (narrowed.since and first is None) or (narrowed.until and last is None):
            return []  # no row is as new, or none is as old
        up_to = _smaller(below, None if last is None else last + 1)
        newer = (
            [] if last is None else await self._strays(narrowed, _ids(last + 1, below), newer=True)
        )
        before_all = _ids(None, _smaller(up_to, first))
        older = [] if first is None else await self._strays(narrowed, before_all, newer=False)
        if newer is None or older is None:
            return await self._by_time(narrowed, _ids(None, below), limit)
        found = await self._among(newer, narrowed, limit)
        if len(found) < limit:
            found += await self._in_order(narrowed, _ids(first, up_to), limit - len(found))
        if len(found) < limit:
            found += await self._among(older, narrowed, limit - len(found))
        return found

    async def _in_order(
        self, narrowed: PredictionFilter, within: _Conditions, limit: int
    ) -> list[Row[Any]]:
        """Read rows from the index whose entries reach back the farthest."""
        wanted = [*within, *conditions(narrowed, self._dialect)]
        index = await self._index(narrowed, within)
        if index is None:
            return await self._records(select_records().where(*wanted), limit)
        ids = select(_id).where(*wanted).order_by(_id.desc()).limit(limit)
        return await self._of(self._by(index, ids), limit)

    async def _index(self, narrowed: PredictionFilter, within: _Conditions) -> str | None:
        candidates = indexes_for(narrowed)
        if len(candidates) <= 1:
            return next(iter(candidates), None)
        reach = {name: await self._reach(name, narrowed, within) for name in candidates}
        return min(reach, key=lambda name: reach[name])

    async def _reach(self, index: str, narrowed: PredictionFilter, within: _Conditions) -> int:
        """Return the id at which a sample of an index's entries ends; below 0 where it has few."""
        alone = PredictionFilter(**{name: getattr(narrowed, name) for name in INDEXES[index]})
        wanted = [*within, *conditions(alone, self._dialect)]
        sample = select(_id).where(*wanted).order_by(_id.desc()).limit(_SAMPLE)
        ids = self._by(index, sample).subquery()
        [found] = await self._all(select(func.count(), func.min(ids.c.id)))
        return int(found[1]) if found[0] == _SAMPLE else int(found[0]) - _SAMPLE

    async def _ends(self, narrowed: PredictionFilter) -> tuple[int | None, int | None]:
        """Return the ids of the oldest and of the newest row, by their time, within the times."""
        first: int | None = None
        last: int | None = None
        if narrowed.since is not None:
            newer = select(_id).where(*_between(comparable(narrowed.since), None))
            first = await self._connection.scalar(newer.order_by(_time).limit(1))
        if narrowed.until is not None:
            older = select(_id).where(*_between(None, comparable(narrowed.until)))
            last = await self._connection.scalar(older.order_by(_time.desc()).limit(1))
        return first, last

    async def _strays(
        self, narrowed: PredictionFilter, within: _Conditions, *, newer: bool
    ) -> list[int] | None:
        """Return the ids ``within`` of the rows within the times; None if they are many.

        There may be rows of other times among them. ``newer`` is whether ``within`` is above the
        ids that are read in order, not below.
        """
        [(oldest, newest)] = await self._all(_OLDEST_AND_NEWEST)
        days, others = by_days(
            narrowed.since, narrowed.until, to_utc(oldest), to_utc(newest), most=self._days
        )
        far = far_day(narrowed, days, newer=newer)
        if far is not None and len(others) > 1:
            # More than are within the times: ``_among`` looks at the times again.
            rest = others[1:] if newer else others[:1]
            found = await self._ids_of(within, [*days, far], rest)
            if found is not None:
                return found
        return await self._ids_of(within, days, others)

    async def _ids_of(
        self, within: _Conditions, days: Sequence[date], others: Sequence[_Conditions]
    ) -> list[int] | None:
        """Return the ids ``within`` of rows of these days and ``others``; None if they are many."""
        asked: list[tuple[str, _Conditions]] = [("timestamp", each) for each in others]
        if days:
            listed = [sql(f"'{day}'", Text) for day in days]
            asked.append(("day", [_DAY[self._dialect.name].in_(listed)]))
        found: list[int] = []
        for index, times in asked:
            ids = select(_id).where(*within, *times).limit(self._few + 1 - len(found))
            found += [row[0] for row in await self._all(self._by(index, ids))]
            if len(found) > self._few:
                return None
        return found

    async def _among(
        self, ids: list[int], narrowed: PredictionFilter, limit: int
    ) -> list[Row[Any]]:
        if not ids:
            return []
        wanted = conditions(narrowed, self._dialect)
        return await self._records(select_records().where(_id.in_(ids), *wanted), limit)

    async def _by_time(
        self, narrowed: PredictionFilter, within: _Conditions, limit: int
    ) -> list[Row[Any]]:
        """Read rows whose ids say nothing of their times: all within the times, and sort them."""
        if narrowed.site is not None or any(getattr(narrowed, name) for name in EXACT):
            return await self._in_order(narrowed, within, limit)
        wanted = [*within, *conditions(narrowed, self._dialect)]
        ids = select(_id).where(*wanted).order_by(_SORTED).limit(limit)
        return await self._of(self._by("timestamp", ids), limit)

    def _by(self, index: str, query: Select[Any]) -> Select[Any]:
        name = self._dialect.name
        return query.with_hint(predictions, _BY[name].format(index), name)

    async def _of(self, ids: Select[Any], limit: int) -> list[Row[Any]]:
        """Return the rows of these ids: what an index does not hold is looked up for them only."""
        found = ids.subquery()
        return await self._records(select_records().join(found, found.c.id == _id), limit)

    async def _records(self, query: Select[Any], limit: int) -> list[Row[Any]]:
        return await self._all(query.order_by(_id.desc()).limit(limit))

    async def _all(self, query: Select[*tuple[Any, ...]]) -> list[Any]:
        bounded = query.prefix_with(self._bounded, dialect="mysql")
        return [*await self._connection.execute(bounded)]


def _smaller(one: int | None, other: int | None) -> int | None:
    return min((each for each in (one, other) if each is not None), default=None)


def _ids(begin: int | None, end: int | None) -> list[ColumnElement[bool]]:
    """Return that an id is in the range, with one condition for each end.

    With two conditions for one end, SQLite seeks by the first and looks at all between.
    """
    after = [] if begin is None else [_id >= begin]
    return after if end is None else [*after, _id < end]


# The day before the last that there is, which has no next one.
_LAST_DAY: Final = date.max.toordinal() - 1
# Each of its own: SQLite reads the whole index for both at once.
_OLDEST_AND_NEWEST: Final = select(
    select(func.min(_time)).scalar_subquery(), select(func.max(_time)).scalar_subquery()
)


def indexes_for(narrowed: PredictionFilter) -> list[str]:
    """Return the indexes of what is asked for; none of a part of what another one is of."""
    asked = {name for name in (*EXACT, "site") if getattr(narrowed, name) is not None}
    known = {index: {*columns} for index, columns in INDEXES.items() if asked.issuperset(columns)}
    return [
        index
        for index, columns in known.items()
        if not any(columns < others for others in known.values())
    ]


def by_days(
    since: datetime | None,
    until: datetime | None,
    oldest: datetime | None,
    newest: datetime | None,
    *,
    most: int,
) -> tuple[list[date], list[list[ColumnElement[bool]]]]:
    """Return the days that are wholly within the times, and conditions for what they leave out.

    All are aware. ``oldest`` and ``newest`` are the times of the first and the last row, if they
    are known: days before and after them are left out. If there are more than ``most`` days,
    those at one end are given.
    """
    begin = None if since is None else comparable(since)
    end = None if until is None else comparable(until)
    if oldest is None or newest is None:
        return [], [_between(begin, end)]
    # As numbers: there is no day after the last one, nor before the first.
    first, last = _day(oldest), min(_day(newest), _LAST_DAY)
    if since is not None:
        first = max(first, _day(since) + 1)
    if until is not None:
        last = min(last, _day(until) - 1)
    if until is None:
        last = min(last, first + most - 1)
    else:
        first = max(first, last - most + 1)
    if last < first:
        midnight = _next_day(PredictionFilter(since, until))
        if midnight is None:
            return [], [_between(begin, end)]
        return [], [_between(begin, str(midnight)), _between(str(midnight), end)]
    days = [date.fromordinal(each) for each in range(first, last + 2)]
    following = str(days.pop())
    # A day alone is less than any time of it, where times are compared as texts.
    return days, [_between(begin, str(days[0])), _between(following, end)]


def _day(moment: datetime) -> int:
    return moment.astimezone(UTC).date().toordinal()


def far_day(narrowed: PredictionFilter, days: Sequence[date], *, newer: bool) -> date | None:
    """Return the day in which the times begin (of ``newer`` ids) or end, if it is beside ``days``.

    Or if the times end on the day after they begin. Of that day only strays have such ids, so the
    index of the days finds them at once. By the index of the times, all of its rows within the
    times would be looked at. At the other end of the times it is the reverse: there the day's other
    rows have such ids.
    """
    moment = narrowed.since if newer else narrowed.until
    if moment is None:
        return None
    day = _day(moment)
    if not days:
        return date.fromordinal(day) if _next_day(narrowed) is not None else None
    is_beside = day + 1 == days[0].toordinal() if newer else day - 1 == days[-1].toordinal()
    return date.fromordinal(day) if is_beside else None


def _next_day(narrowed: PredictionFilter) -> date | None:
    """Return the day on which the times end, if they begin on the day before it."""
    if narrowed.since is None or narrowed.until is None:
        return None
    end = _day(narrowed.until)
    return date.fromordinal(end) if _day(narrowed.since) == end - 1 else None


def _between(begin: str | None, end: str | None) -> list[ColumnElement[bool]]:
    after = [] if begin is None else [_time >= begin]
    return after if end is None else [*after, _time < end]
