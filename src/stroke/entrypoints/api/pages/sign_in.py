"""Signing in with an API key, and signing out."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final, cast

from fastapi import APIRouter, Request, Response

from stroke.application.access.keys import parsed
from stroke.domain.access import Principal
from stroke.domain.audit import AuditAction, AuditOutcome
from stroke.domain.errors import NotAuthenticated
from stroke.entrypoints.api.access import for_everybody
from stroke.entrypoints.api.auditing import refused
from stroke.entrypoints.api.browsers import (
    browsing,
    cookie_of,
    drop_cookie,
    new_cookie,
    token_of,
)
from stroke.entrypoints.api.pages.shell import (
    SIGN_IN,
    PageRoute,
    fields_of,
    html,
    is_script,
    language_of,
    ours,
    to,
)
from stroke.entrypoints.api.rates import Rates, by_address
from stroke.entrypoints.api.rendering import json_response
from stroke.entrypoints.api.state import api_state
from stroke.entrypoints.request_id import CURRENT

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_NAME: Final = "sign-in"
_WRONG: Final = "this key is not valid (any more)"


class Attempts:
    """Counts attempts to sign in: each client may make as many as ``rate`` says.

    Each process counts by itself. A key cannot be guessed: what is limited is the work, and the
    entries of the audit trail, that strangers cause.
    """

    def __init__(self, rate: str | None) -> None:
        self._rate = rate
        self._rates: Rates | None = None

    @classmethod
    def of(cls, request: Request) -> Attempts:
        """Return what counts the attempts of the application."""
        return cast("Attempts", request.app.state.sign_in_attempts)

    async def refusal(self, request: Request) -> Response | None:
        """Count an attempt; return the answer to it if it is one too many."""
        if self._rate is not None and self._rates is None:
            # Not before the first attempt: what counts is slow to import.
            self._rates = Rates.of(address=self._rate)
        if self._rates is None:
            return None
        counted = await self._rates.count(by_address(request.scope))
        return None if counted.allowed else counted.refusal()


@router.get(SIGN_IN)
@for_everybody
async def form(request: Request) -> Response:
    """Show the form. Whoever does not need it is led on."""
    wanted = ours(request.query_params.get("next"))
    if await _is_known(request):
        return to(request, wanted)
    return html(request, "sign_in.html", _NAME, next=wanted, error="")


@router.post(SIGN_IN)
@for_everybody
async def sign_in(request: Request) -> Response:
    """Begin a session under a new id. A script gets the token of its pages."""
    if (refusal := await Attempts.of(request).refusal(request)) is not None:
        return refusal
    fields = await fields_of(request)
    wanted = ours(fields.get("next"))
    state = api_state(request)
    if not await state.callers.is_open():
        try:
            caller = await _by_key(request, fields.get("key", "").strip())
        except NotAuthenticated:
            await refused(state.audit, None, request)
            if is_script(request):
                raise
            said = language_of(request).say("This key is not valid (any more).")
            code = HTTPStatus.UNAUTHORIZED
            return html(request, "sign_in.html", _NAME, code=code, next=wanted, error=said)
        begun = await state.sessions.begin(caller, former=cookie_of(request))
        # Nobody knows the id before this is written down.
        await _write_down(request, AuditAction.SESSION_BEGIN, caller)
        new_cookie(request, begun.text)
    if is_script(request):
        return json_response({"csrf_token": token_of(request)})
    return to(request, wanted)


@router.post("/ui/sign-out")
@for_everybody
async def sign_out(request: Request) -> Response:
    """End the session on the server, for all processes."""
    ended = await api_state(request).sessions.end(cookie_of(request))
    if ended is not None:
        await _write_down(request, AuditAction.SESSION_END, ended.caller)
    answer = to(request, SIGN_IN)
    drop_cookie(request, answer)
    return answer


@router.get("/ui/session")
@for_everybody
async def session(request: Request) -> Response:
    """Tell the pages' script whether it is signed in, and the token for its requests.

    No page of another site can read the answer. A script whose token is that of a former session,
    because its user signed in again in another tab, gets the new one here.
    """
    known = await _is_known(request)
    return json_response({"signed_in": known, "csrf_token": token_of(request)})


async def _is_known(request: Request) -> bool:
    try:
        await browsing(request)
    except NotAuthenticated:
        return False
    return True


async def _by_key(request: Request, key: str) -> Principal:
    """Return whose ``key`` it is. A token is no key: the session would outlive it."""
    if parsed(key) is None:
        raise NotAuthenticated(_WRONG, presented=True)
    return await api_state(request).callers.caller([key])


async def _write_down(request: Request, action: AuditAction, caller: Principal) -> None:
    await api_state(request).audit.record(
        action,
        actor=f"{caller.kind}:{caller.id}",
        outcome=AuditOutcome.DONE,
        site=caller.site,
        request_id=CURRENT.get(),
    )
