"""Who may call, for commands: what they store and ask without the parts of a service."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, TypeVar

from stroke.adapters.sql.keys import SqlKeyStore
from stroke.application.access.keys import KeyService
from stroke.config import DatabaseSettings, Settings
from stroke.container.audit import KeyChanges
from stroke.container.clock import utc_now
from stroke.container.engines import opened_engine
from stroke.domain.access import Scope, is_loopback
from stroke.domain.audit import AuditAction
from stroke.domain.errors import InvalidAccess, InvalidSetting

_T = TypeVar("_T")

FIRST_KEY: Final = "stroke keys create --name admin --site main --scope admin,all-sites"
"""The command that makes a key with which everything can be done."""


def is_open(settings: Settings) -> bool:
    """Return whether everybody may call: no API key, no OpenID provider and no record system.

    Raises ``StoreUnavailable``. Not to be called from a running event loop.
    """
    if settings.oidc.issuer is not None or settings.clinical.clients is not None:
        return False

    async def asked(keys: KeyService) -> bool:
        return not await keys.all()

    return with_keys(settings.database, asked)


def adopt_keys(settings: Settings) -> None:
    """Store the keys that the settings hold, where they are not stored yet.

    A key that was revoked stays revoked. Raises ``InvalidSetting``, which names the setting that
    holds no key, and ``StoreUnavailable``. Not to be called from a running event loop.
    """
    access, changes = settings.access, KeyChanges(settings.database)
    for name, secret, scopes in (
        ("admin", access.admin_key, (Scope.ADMIN, Scope.ALL_SITES)),
        ("metrics", access.metrics_key, (Scope.METRICS,)),
    ):
        if secret is None:
            continue
        adopting = partial(
            KeyService.adopt,
            text=secret.get_secret_value(),
            name=name,
            site=access.site,
            scopes=scopes,
            around=changes.of(AuditAction.KEY_CREATE),
        )
        try:
            with_keys(settings.database, adopting)
        except InvalidAccess as error:
            raise InvalidSetting(f"STROKE_{name.upper()}_KEY: {error}") from None
        changes.check()


def check_address(settings: Settings, address: str) -> bool:
    """Return whether everybody may call; refuse that where other machines reach ``address``.

    ``address`` is the one that the service is bound to. The setting ``insecure``
    allows it. Which database there is makes no difference: it does not change who can call.

    Raises:
        InvalidSetting: there is no API key and no OpenID provider, and ``address`` is not of the
            loopback, or pages of any origin may call.
        StoreUnavailable: the keys cannot be read.
    """
    if not is_open(settings):
        return False
    if "*" in settings.http.cors_origins and not settings.access.insecure:
        raise InvalidSetting(
            "STROKE_HTTP_CORS_ORIGINS is *, and there is no API key: any page that a browser here "
            "shows could read all patients. Name the origins, or make the first key with "
            f"`{FIRST_KEY}`"
        )
    if is_loopback(address) or settings.access.insecure:
        return True
    raise InvalidSetting(
        f"there is no API key, and other machines may reach {address}: make the first key with "
        f"`{FIRST_KEY}`, or let everybody in with --insecure (STROKE_INSECURE=true)"
    )


def with_keys(settings: DatabaseSettings, work: Callable[[KeyService], Awaitable[_T]]) -> _T:
    """Return what ``work`` does with the keys. Raises ``StoreUnavailable``.

    Not to be called from a running event loop.
    """

    async def done() -> _T:
        # Not the container's engine, which counts its connections in the service's metrics.
        async with opened_engine(settings) as engine:
            store = SqlKeyStore(engine, statement_timeout=settings.statement_timeout_seconds)
            return await work(KeyService(store, now=utc_now))

    return asyncio.run(done())
