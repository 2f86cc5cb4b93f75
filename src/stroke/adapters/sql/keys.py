"""API keys in the service's database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from sqlalchemy import Row, case, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from stroke.adapters.sql.engine import transaction
from stroke.adapters.sql.tables import api_keys as table
from stroke.application.access.ports import KeyStore
from stroke.domain.access import ApiKey, Scope
from stroke.domain.errors import KeyNotFound, KeyTaken, PredictionRejected


class SqlKeyStore(KeyStore):
    """The table ``api_keys``. Every call is one transaction on one connection of ``engine``.

    A call that takes longer than ``statement_timeout`` seconds raises ``StoreUnavailable``. A scope
    of a later version of stroke, which this one does not know, is left out of what is read.
    """

    def __init__(self, engine: AsyncEngine, *, statement_timeout: float) -> None:
        self._transaction = partial(transaction, engine, seconds=statement_timeout)

    async def all(self) -> Sequence[ApiKey]:
        query = select(table).order_by(table.c.created_at, table.c.id)
        async with self._transaction() as connection:
            return [_key(row) for row in await connection.execute(query)]

    async def add(self, key: ApiKey) -> None:
        try:
            async with self._transaction(writes=True) as connection:
                await connection.execute(insert(table).values(_row(key)))
        except PredictionRejected as error:
            if isinstance(error.__cause__, IntegrityError):
                raise KeyTaken(f"there is a key {key.id} already") from error
            raise

    async def revoke(self, key_id: str, at: datetime) -> None:
        noted = (
            update(table)
            .where(table.c.id == key_id)
            .values(revoked_at=func.coalesce(table.c.revoked_at, _naive(at)))
        )
        async with self._transaction(writes=True) as connection:
            if not (await connection.execute(noted)).rowcount:
                raise KeyNotFound(f"there is no key {key_id}")

    async def replace(self, key_id: str, new: ApiKey, *, until: datetime) -> None:
        end = _naive(until)
        ended = (
            update(table)
            .where(
                table.c.id == key_id, table.c.revoked_at.is_(None), table.c.replaced_by.is_(None)
            )
            .values(
                replaced_by=new.id,
                expires_at=case(
                    (or_(table.c.expires_at.is_(None), table.c.expires_at > end), end),
                    else_=table.c.expires_at,
                ),
            )
        )
        async with self._transaction(writes=True) as connection:
            if not (await connection.execute(ended)).rowcount:
                raise KeyNotFound(f"the key {key_id} is not there, was revoked or was replaced")
            await connection.execute(insert(table).values(_row(new)))


def _row(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "site": key.site,
        "scopes": ",".join(sorted(key.scopes)),
        "secret_hash": key.secret_hash,
        "created_at": _naive(key.created_at),
        "expires_at": None if key.expires_at is None else _naive(key.expires_at),
        "revoked_at": None if key.revoked_at is None else _naive(key.revoked_at),
        "replaced_by": key.replaced_by,
    }


def _key(row: Row[Any]) -> ApiKey:
    known = {scope.value for scope in Scope}
    return ApiKey(
        id=row.id,
        name=row.name,
        site=row.site,
        scopes=frozenset(Scope(each) for each in row.scopes.split(",") if each in known),
        secret_hash=row.secret_hash,
        created_at=row.created_at.replace(tzinfo=UTC),
        expires_at=None if row.expires_at is None else row.expires_at.replace(tzinfo=UTC),
        revoked_at=None if row.revoked_at is None else row.revoked_at.replace(tzinfo=UTC),
        replaced_by=row.replaced_by,
    )


def _naive(instant: datetime) -> datetime:
    return instant.astimezone(UTC).replace(tzinfo=None)
