"""Who may call, for commands: what they ask before a service runs."""

from __future__ import annotations

import asyncio

from stroke.adapters.sql.engine import create_engine
from stroke.adapters.sql.keys import SqlKeyStore
from stroke.config import DatabaseSettings


def is_open(settings: DatabaseSettings) -> bool:
    """Return whether everybody may call, because there is no API key.

    Raises ``StoreUnavailable``. Not to be called from a running event loop.
    """

    async def asked() -> bool:
        # Not the container's engine, which counts its connections in the service's metrics.
        engine = create_engine(
            settings.sqlalchemy_url, pool_size=1, connect_timeout=settings.connect_timeout_seconds
        )
        try:
            store = SqlKeyStore(engine, statement_timeout=settings.statement_timeout_seconds)
            return not await store.all()
        finally:
            await engine.dispose()

    return asyncio.run(asked())
