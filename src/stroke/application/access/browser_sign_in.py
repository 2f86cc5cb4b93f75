"""Signing in with a browser at the OpenID provider, whose ID token names the person."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from stroke.application.access.ports import BegunSignIn, SignInProvider
from stroke.application.access.sessions import NewSession, Sessions, new_session_id
from stroke.application.access.tokens import ClaimRules
from stroke.domain.access import Session
from stroke.domain.errors import ProviderUnavailable


class BrowserSignIn:
    """Leads browsers to ``provider`` and back, and begins sessions of at most ``longest``.

    A session has what ``rules`` make of the claims of the ID token, until it ends: nobody asks the
    provider again. So ``longest`` is also how long a role holds that the provider took away.
    """

    def __init__(
        self,
        provider: SignInProvider,
        rules: ClaimRules,
        sessions: Sessions,
        *,
        longest: timedelta,
    ) -> None:
        self._provider = provider
        self._rules = rules
        self._sessions = sessions
        self._longest = longest

    async def begin(self, wanted: str, back: str) -> BegunSignIn:
        """Return the way to the provider, which leads back to the address ``back``.

        Raises ``ProviderUnavailable``.
        """
        return await self._provider.begin(wanted, back)

    async def finish(
        self, kept: str | None, answer: Mapping[str, str], *, former: str | None
    ) -> tuple[NewSession, str]:
        """Begin a session under a new id; return it, and the path that the browser wanted.

        The session with the id ``former`` ends. Raises ``NotAuthenticated``,
        ``ProviderUnavailable`` and ``StoreUnavailable``.
        """
        text = new_session_id()
        ended = await self._provider.finish(kept, answer, text)
        begun = await self._sessions.begin(
            self._rules.principal(ended.token),
            former=former,
            text=text,
            longest=self._longest,
            sealed=ended.sealed,
        )
        return begun, ended.wanted

    async def sign_out_address(self, ended: Session, text: str | None, back: str) -> str | None:
        """Return where the browser signs out at the provider, too.

        ``ended`` is the session that ended, and ``text`` its id. None for a session of a key, and
        where the provider has no such address or does not answer: ours has ended in any case.
        """
        if ended.sealed is None or text is None:
            return None
        try:
            return await self._provider.sign_out_address(ended.sealed, text, back)
        except ProviderUnavailable:
            return None
