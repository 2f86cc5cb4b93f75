"""Everything that one database holds into another one, and the proof that both hold the same.

Rows keep their ids, times and documents. What is there already is not written again, so that a copy
that was ended half-way goes on when it is run again. Nothing in the target is changed or removed.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from sqlalchemy import (
    JSON,
    Column,
    Date,
    DateTime,
    Table,
    Text,
    bindparam,
    func,
    insert,
    select,
    text,
    type_coerce,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from stroke.adapters.sql.faults import translated
from stroke.adapters.sql.rows import to_utc, utc_text
from stroke.adapters.sql.schema import HEAD, current_revision
from stroke.adapters.sql.tables import (
    api_keys,
    assessments,
    audit,
    audit_head,
    batches,
    deployments,
    erasure_jobs,
    feedback,
    outcomes,
    platform_reports,
    predictions,
    sessions,
    shadow_scores,
    used_tokens,
    worker_turns,
)
from stroke.domain.errors import IdempotencyKeyTaken, InvalidData, PredictionRejected, wrong_schema

# Predictions first: other tables refer to them. The audit trail is a chain, and copied as one.
_TABLES: Final = (
    predictions,
    outcomes,
    shadow_scores,
    batches,
    assessments,
    feedback,
    erasure_jobs,
    api_keys,
    used_tokens,
    deployments,
)
COPIED: Final = frozenset({*_TABLES, audit, audit_head})
NOT_COPIED: Final = frozenset({sessions, platform_reports, worker_turns})
"""Tables whose rows stay behind: people sign in again, and commands look again."""
_AT_A_TIME: Final = 500
_RANGE: Final = 10_000


def _names_of(kind: type[Any]) -> frozenset[str]:
    return frozenset(
        each.name for table in COPIED for each in table.columns if isinstance(each.type, kind)
    )


_TIMES: Final = _names_of(DateTime)
_DOCUMENTS: Final = _names_of(JSON)
_AS_TEXT: Final = _TIMES | _DOCUMENTS | _names_of(Date)

_Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class RangeProof:
    """What both databases hold of a table from the key ``first`` to the next range's."""

    table: str
    first: str
    source_rows: int
    target_rows: int
    source_digest: str
    target_digest: str

    @property
    def equal(self) -> bool:
        """Whether both hold the same rows."""
        return (self.source_rows, self.source_digest) == (self.target_rows, self.target_digest)


@dataclass(slots=True)
class CopyTally:
    """What became of the rows, by table, and the proof. Rows that are ``left`` stay behind."""

    copied: dict[str, int] = field(default_factory=dict)
    unchanged: dict[str, int] = field(default_factory=dict)
    differing: dict[str, int] = field(default_factory=dict)
    rejected: dict[str, int] = field(default_factory=dict)
    left: dict[str, int] = field(default_factory=dict)
    ranges: list[RangeProof] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        """Whether both databases hold the same rows in all tables."""
        return all(each.equal for each in self.ranges)


class DatabaseCopy:
    """Copies the rows of ``source`` into ``target``; both have the newest schema.

    Nobody may write into either meanwhile. With ``dry_run`` nothing is written.
    """

    def __init__(self, source: AsyncEngine, target: AsyncEngine, *, dry_run: bool) -> None:
        self._source = source
        self._target = target
        self._dry_run = dry_run
        self.tally = CopyTally()

    async def run(self, progress: Callable[[int], None]) -> CopyTally:
        """Copy, then compare; ``progress`` is called with how many more rows were read.

        Raises ``SchemaOutdated``, ``StoreUnavailable``, and ``InvalidData`` when both are one.
        """
        await self._check()
        for table in (*_TABLES, audit):
            for counts in (self.tally.copied, self.tally.unchanged):
                counts[table.name] = 0
            self.tally.differing[table.name] = self.tally.rejected[table.name] = 0
        for table in _TABLES:
            await self._copy(table, progress)
        entries = await self._copy_trail(progress)
        if not self._dry_run:
            await self._continue_ids()
        for table in _TABLES:
            await self._prove(table)
        if audit.name not in self.tally.left:
            await self._prove(audit, audit.c.number <= entries)
        with translated():
            async with self._source.connect() as connection:
                for table in NOT_COPIED:
                    count = await connection.scalar(select(func.count()).select_from(table))
                    self.tally.left[table.name] = count or 0
        return self.tally

    async def _check(self) -> None:
        if self._source.url == self._target.url:
            raise InvalidData("the source and the target are the same database")
        for engine in (self._source, self._target):
            with translated():
                async with engine.connect() as connection:
                    if (found := await current_revision(connection)) != HEAD:
                        raise wrong_schema(found, HEAD)

    async def _copy(self, table: Table, progress: Callable[[int], None]) -> None:
        key = _key(table)
        async for rows in _pages(self._source, table):
            with translated():
                async with self._target.connect() as connection:
                    there = await _rows(
                        connection, table, key.between(rows[0][key.name], rows[-1][key.name])
                    )
            known = {row[key.name]: _digest(row) for row in there}
            new = [row for row in rows if row[key.name] not in known]
            same = sum(known.get(row[key.name]) == _digest(row) for row in rows)
            self.tally.unchanged[table.name] += same
            self.tally.differing[table.name] += len(rows) - len(new) - same
            await self._add(table, new)
            progress(len(rows))

    async def _add(self, table: Table, rows: Sequence[_Row]) -> None:
        """Store rows in one transaction; halve them until one that is refused stands alone."""
        if not rows:
            return
        if self._dry_run:
            self.tally.copied[table.name] += len(rows)
            return
        try:
            with translated():
                async with self._target.begin() as connection:
                    await connection.execute(_adding(table), [_bound(row) for row in rows])
        except (PredictionRejected, IdempotencyKeyTaken):
            if len(rows) == 1:
                self.tally.rejected[table.name] += 1
                return
            middle = len(rows) // 2
            await self._add(table, rows[:middle])
            await self._add(table, rows[middle:])
            return
        self.tally.copied[table.name] += len(rows)

    async def _copy_trail(self, progress: Callable[[int], None]) -> int:
        """Copy the audit trail if the target has none yet; return how many entries there are.

        Entries are links of a chain: they are copied in one transaction with its end, or they stay
        behind where the target has a chain of its own.
        """
        name = audit.name
        with translated():
            async with self._source.connect() as connection:
                end = (await connection.execute(_END_OF_TRAIL)).one()
            async with self._target.connect() as connection:
                begun = (await connection.execute(_END_OF_TRAIL)).one()
                same = select(audit.c.digest).where(audit.c.number == end.number)
                is_there = await connection.scalar(same) == end.digest
        if is_there:
            self.tally.unchanged[name] = end.number
        elif begun.number and end.number:
            self.tally.left[name] = end.number
        elif self._dry_run or not end.number:
            self.tally.copied[name] = end.number
        else:
            with translated():
                async with self._target.begin() as connection:
                    async for rows in _pages(self._source, audit):
                        await connection.execute(_adding(audit), [_bound(row) for row in rows])
                        progress(len(rows))
                    await connection.execute(
                        update(audit_head).values(number=end.number, digest=end.digest)
                    )
            self.tally.copied[name] = end.number
        return int(end.number)

    async def _continue_ids(self) -> None:
        """Give the target's next prediction an id that the source has never given either."""
        with translated():
            async with self._source.connect() as connection:
                following = await _next_id(connection)
            async with self._target.begin() as connection:
                if await _next_id(connection) < following:
                    await connection.execute(text(_CONTINUE[connection.dialect.name](following)))

    async def _prove(self, table: Table, wanted: Any = None) -> None:
        """Compare ranges of keys, the rows before the first and after the last included.

        The target may have API keys of its own: whoever prepares it needs one. Only rows that
        fulfil ``wanted`` count: the target's audit trail goes on behind the source's.
        """
        key = _key(table)
        bounds: list[Any] = []
        known = key.is_not(None) if wanted is None else wanted
        for engine in self._both:
            with translated():
                async with engine.connect() as connection:
                    keys = select(key).where(known).order_by(key)
                    found = list((await connection.execute(keys)).scalars())
            if table is api_keys and engine is self._source:
                known = key.in_(found)
            if table is not api_keys or engine is self._source:
                bounds += found[::_RANGE] + found[-1:]
        bounds = sorted(set(bounds))
        for first, following in zip(bounds, [*bounds, None][1:], strict=True):
            within = key >= first if following is None else (key >= first) & (key < following)
            counted = [await _summary(engine, table, within & known) for engine in self._both]
            (rows, digest), (other_rows, other_digest) = counted
            self.tally.ranges.append(
                RangeProof(table.name, str(first), rows, other_rows, digest, other_digest)
            )

    @property
    def _both(self) -> tuple[AsyncEngine, AsyncEngine]:
        return self._source, self._target


_END_OF_TRAIL: Final = select(audit_head.c.number, audit_head.c.digest)


def _adding(table: Table) -> Any:
    return insert(table).values(
        {c.name: bindparam(f"new_{c.name}", type_=_sent_as(c)) for c in table.columns}
    )


def _key(table: Table) -> Column[Any]:
    [key] = table.primary_key.columns
    return key


async def _pages(engine: AsyncEngine, table: Table) -> AsyncIterator[list[_Row]]:
    key, after = _key(table), None
    while True:
        condition = key.is_not(None) if after is None else key > after
        with translated():
            async with engine.connect() as connection:
                rows = await _rows(connection, table, condition, _AT_A_TIME)
        if not rows:
            return
        yield rows
        after = rows[-1][key.name]


async def _rows(
    connection: AsyncConnection, table: Table, condition: Any, limit: int | None = None
) -> list[_Row]:
    wanted = [
        type_coerce(each, Text).label(each.name) if each.name in _AS_TEXT else each
        for each in table.columns
    ]
    query = select(*wanted).where(condition).order_by(_key(table)).limit(limit)
    return [dict(row) for row in (await connection.execute(query)).mappings()]


async def _summary(engine: AsyncEngine, table: Table, condition: Any) -> tuple[int, str]:
    with translated():
        async with engine.connect() as connection:
            rows = await _rows(connection, table, condition)
    return len(rows), hashlib.sha256(b"".join(map(_digest, rows))).hexdigest()


def _digest(row: Mapping[str, Any]) -> bytes:
    """Return what two rows have in common if, and only if, they mean the same to both databases."""
    return hashlib.sha256(orjson.dumps([_plain(name, row[name]) for name in sorted(row)])).digest()


def _plain(name: str, value: Any) -> Any:
    if value is None:
        return None
    if name in _TIMES:
        moment = to_utc(value)
        return str(value) if moment is None else utc_text(moment)
    if name in _DOCUMENTS:
        return _document(value)
    if isinstance(value, int | float) and name not in {"id", "prediction_id"}:
        return float(value).hex()
    return str(value)


def _document(value: Any) -> str:
    """Return a document without what MySQL does not keep: spaces, and the order of its names."""
    if isinstance(value, str | bytes):
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            return f"no JSON: {value!r}"
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def _sent_as(column: Column[Any]) -> Any:
    return Text if column.name in _AS_TEXT else column.type


def _bound(row: Mapping[str, Any]) -> _Row:
    sent = {}
    for name, value in row.items():
        moment = to_utc(value) if name in _TIMES else None
        sent[f"new_{name}"] = _text(name, value) if moment is None else utc_text(moment)
    return sent


def _text(name: str, value: Any) -> Any:
    if value is None or name not in _AS_TEXT or isinstance(value, str):
        return value
    return orjson.dumps(value).decode() if name in _DOCUMENTS else str(value)


async def _next_id(connection: AsyncConnection) -> int:
    largest = await connection.scalar(select(func.max(predictions.c.id))) or 0
    given = 0
    if connection.dialect.name == "sqlite":
        asked = "SELECT seq FROM sqlite_sequence WHERE name = 'predictions'"
        given = await connection.scalar(text(asked)) or 0
    else:
        shown: Any = (await connection.exec_driver_sql("SHOW CREATE TABLE predictions")).one()
        _, _, after = str(shown[1]).partition("AUTO_INCREMENT=")
        given = int(after.split()[0]) - 1 if after else 0
    return max(int(largest), int(given)) + 1


_CONTINUE: Final[dict[str, Callable[[int], str]]] = {
    "mysql": lambda following: f"ALTER TABLE predictions AUTO_INCREMENT = {following}",
    "sqlite": lambda following: (
        "INSERT OR REPLACE INTO sqlite_sequence (rowid, name, seq) VALUES"  # noqa: S608
        " ((SELECT rowid FROM sqlite_sequence WHERE name = 'predictions'), 'predictions',"
        f" {following - 1})"
    ),
}
