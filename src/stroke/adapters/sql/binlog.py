"""Until when MySQL's binary log keeps rows that were removed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from stroke.adapters.sql.engine import transaction
from stroke.application.erasure.ports import Retained, Retention

# Not every version has all of them.
_SETTINGS: Final = text(
    "SHOW GLOBAL VARIABLES WHERE variable_name IN"
    " ('log_bin', 'binlog_expire_logs_seconds', 'binlog_expire_logs_auto_purge')"
)
_ON: Final = "ON"
_BINLOG: Final = "MySQL's binlog"


class BinlogRetention(Retention):
    """Asks the server of ``engine``; SQLite keeps no such log.

    A call that takes longer than ``statement_timeout`` seconds raises ``StoreUnavailable``.
    """

    def __init__(self, engine: AsyncEngine, *, statement_timeout: float) -> None:
        self._engine = engine
        self._transaction = partial(transaction, engine, seconds=statement_timeout)

    async def retained(self, erased: datetime, *, now: datetime) -> Sequence[Retained]:
        if self._engine.dialect.name != "mysql":
            return []
        async with self._transaction() as connection:
            rows = (await connection.execute(_SETTINGS)).all()
        variables = {_text(name): _text(value) for name, value in rows}
        if variables.get("log_bin") != _ON:
            return []
        seconds = int(variables.get("binlog_expire_logs_seconds", "0"))
        if not seconds or variables.get("binlog_expire_logs_auto_purge", _ON) != _ON:
            return [Retained(_BINLOG, None)]
        until = erased + timedelta(seconds=seconds)
        return [Retained(_BINLOG, until)] if until > now else []


def _text(value: str | bytes) -> str:
    """Return what some servers hand over as bytes."""
    return value.decode() if isinstance(value, bytes) else value
