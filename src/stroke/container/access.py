"""Who may call, for commands: what they ask before a service runs."""

from __future__ import annotations

import asyncio

from stroke.adapters.sql.engine import create_engine
from stroke.adapters.sql.keys import SqlKeyStore
from stroke.config import DatabaseSettings, Settings


def is_open(settings: Settings) -> bool:
    """Return whether everybody may call: there is no API key, and no OpenID provider is set.

    Raises ``StoreUnavailable``. Not to be called from a running event loop.
    """
    if settings.oidc.issuer is not None:
        return False
    return asyncio.run(_has_no_key(settings.database))


async def _has_no_key(settings: DatabaseSettings) -> bool:
    # Not the container's engine, which counts its connections in the service's metrics.
    engine = create_engine(
        settings.sqlalchemy_url, pool_size=1, connect_timeout=settings.connect_timeout_seconds
    )
    try:
        store = SqlKeyStore(engine, statement_timeout=settings.statement_timeout_seconds)
        return not await store.all()
    finally:
        await engine.dispose()
