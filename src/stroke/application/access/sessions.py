"""Sessions of browsers: begun by whoever signs in, known by a random id, ended on the server."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from stroke.application.access.callers import Callers
from stroke.application.access.keys import hashed
from stroke.application.access.ports import SessionStore
from stroke.domain.access import Principal, Session
from stroke.domain.errors import NotAuthenticated

_ID: Final = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
_ID_BYTES: Final = 32
# A use is noted when this part of the idle time has passed since the last note, and not before.
_NOTED: Final = 10
_ENDED: Final = "you are not signed in (any more)"


def new_session_id() -> str:
    """Return a random id of 256 bits, in 43 characters that a cookie can hold."""
    return secrets.token_urlsafe(_ID_BYTES)


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session that has just begun. Its id, ``text``, is kept nowhere else."""

    session: Session
    text: str = field(repr=False)


class Sessions:
    """Begins sessions, says whose they are, and ends them. Calls may raise ``StoreUnavailable``.

    A session ends ``longest`` after it began, and once it was not used for ``idle``; a use may
    be noted up to a tenth of ``idle`` late. It ends with the key that began it, as soon as
    ``callers`` knows, and it has the scopes and the site that the key has by now.
    """

    def __init__(
        self,
        store: SessionStore,
        callers: Callers,
        *,
        now: Callable[[], datetime],
        idle: timedelta,
        longest: timedelta,
    ) -> None:
        self._store = store
        self._callers = callers
        self._now = now
        self._idle = idle
        self._longest = longest

    async def begin(
        self,
        caller: Principal,
        *,
        former: str | None = None,
        text: str | None = None,
        longest: timedelta | None = None,
        sealed: bytes | None = None,
    ) -> NewSession:
        """Begin a session of ``caller`` under a new id, and end the one with the id ``former``.

        ``text`` is an id of ``new_session_id``, if the caller of this method needed it before.
        ``longest`` shortens how long the session may last.
        """
        now = self._now()
        await self._store.remove_ended(now)
        if former is not None:
            await self.end(former)
        text = text or new_session_id()
        lasting = self._longest if longest is None else min(longest, self._longest)
        session = Session(hashed(text), caller, now, now, now + lasting, sealed)
        await self._store.add(session)
        return NewSession(session, text)

    async def session(self, text: str | None) -> Session:
        """Return the session with this id, with its caller as it is by now.

        Raises ``NotAuthenticated``.
        """
        found, now = await self._found(text), self._now()
        if found is None or not found.in_force(now, self._idle):
            raise NotAuthenticated(_ENDED, presented=text is not None)
        caller = await self._callers.by_now(found.caller)
        if now - found.used_at >= self._idle / _NOTED:
            await self._store.note_use(found.id_hash, now)
        return replace(found, caller=caller)

    async def end(self, text: str | None) -> Session | None:
        """End the session with this id; return what it was, or None if there was none in force."""
        found = await self._found(text)
        if found is None:
            return None
        await self._store.remove(found.id_hash)
        return found if found.in_force(self._now(), self._idle) else None

    async def _found(self, text: str | None) -> Session | None:
        if text is None or not _ID.fullmatch(text):
            return None
        return await self._store.get(hashed(text))
