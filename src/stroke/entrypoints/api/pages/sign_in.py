"""Signing in with an API key or at the OpenID provider, and signing out."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final, cast
from urllib.parse import quote

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from stroke.application.access.keys import parsed
from stroke.domain.access import Principal, Session
from stroke.domain.audit import AuditAction, AuditOutcome
from stroke.domain.errors import NotAuthenticated
from stroke.entrypoints.api.access import for_everybody
from stroke.entrypoints.api.auditing import refused
from stroke.entrypoints.api.browsers import (
    browsing,
    cookie_of,
    drop_cookie,
    drop_way,
    keep_way,
    new_cookie,
    token_of,
    way_of,
)
from stroke.entrypoints.api.pages.shell import (
    HOME,
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
_TO_PROVIDER: Final = f"{SIGN_IN}/oidc"
_BACK: Final = f"{SIGN_IN}/callback"
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
    return _form(request, wanted)


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
            return _form(request, wanted, of_key=said)
        begun = await state.sessions.begin(caller, former=cookie_of(request))
        # Nobody knows the id before this is written down.
        await _write_down(request, AuditAction.SESSION_BEGIN, caller)
        new_cookie(request, begun.text)
    if is_script(request):
        return json_response({"csrf_token": token_of(request)})
    return to(request, wanted)


@router.get(_TO_PROVIDER)
@for_everybody
async def to_provider(request: Request) -> Response:
    """Lead the browser to the OpenID provider. Where there is none, show the form for keys."""
    wanted = ours(request.query_params.get("next"))
    signing_in = api_state(request).browser_sign_in
    if signing_in is None:
        return _form(request, wanted)
    if (refusal := await Attempts.of(request).refusal(request)) is not None:
        return refusal
    begun = await signing_in.begin(wanted, _address(request, _BACK))
    answer = RedirectResponse(begun.address, HTTPStatus.SEE_OTHER)
    keep_way(request, answer, begun.kept, seconds=api_state(request).sign_in_seconds)
    return answer


@router.get(_BACK)
@for_everybody
async def from_provider(request: Request) -> Response:
    """Begin a session of the person that the provider names, and open the page that was wanted."""
    signing_in = api_state(request).browser_sign_in
    if signing_in is None:
        return _form(request, HOME)
    if (refusal := await Attempts.of(request).refusal(request)) is not None:
        return refusal
    answer: Response
    try:
        begun, wanted = await signing_in.finish(
            way_of(request), dict(request.query_params), former=cookie_of(request)
        )
    except NotAuthenticated:
        await refused(api_state(request).audit, None, request)
        said = language_of(request).say("Signing in did not work. Try again.")
        answer = _form(request, HOME, of_provider=said)
    else:
        # Nobody knows the id before this is written down.
        await _write_down(request, AuditAction.SESSION_BEGIN, begun.session.caller)
        new_cookie(request, begun.text)
        answer = to(request, ours(wanted))
    drop_way(request, answer)
    return answer


@router.post("/ui/sign-out")
@for_everybody
async def sign_out(request: Request) -> Response:
    """End the session on the server, for all processes; then the one at the provider."""
    text = cookie_of(request)
    ended = await api_state(request).sessions.end(text)
    if ended is not None:
        await _write_down(request, AuditAction.SESSION_END, ended.caller)
    further = await _sign_out_address(request, ended, text)
    if further is None:
        answer: Response = to(request, SIGN_IN)
    else:
        # No redirect: the policy of pages lets no form lead to another host.
        answer = html(request, "signed_out.html", _NAME, address=further)
        answer.headers["Refresh"] = f"0; url={further}"
    drop_cookie(request, answer)
    return answer


@router.get("/ui/session")
@for_everybody
async def session(request: Request) -> Response:
    """Give the pages' script whether it is signed in, and the token for its requests.

    No page of another site can read the answer. A script whose token is that of a former session,
    because its user signed in again in another tab, gets the new one here.
    """
    known = await _is_known(request)
    return json_response({"signed_in": known, "csrf_token": token_of(request)})


def _form(request: Request, wanted: str, *, of_key: str = "", of_provider: str = "") -> Response:
    """Return the form, with what went wrong with a key or at the provider."""
    way = None
    if api_state(request).browser_sign_in is not None:
        way = f"{request.scope.get('root_path', '')}{_TO_PROVIDER}?next={quote(wanted, safe='/')}"
    code = HTTPStatus.UNAUTHORIZED if of_key or of_provider else HTTPStatus.OK
    asked = "next" in request.query_params
    shown = {"next": wanted, "error": of_key, "failure": of_provider, "way": way, "asked": asked}
    return html(request, "sign_in.html", _NAME, code=code, **shown)


def _address(request: Request, path: str) -> str:
    """Return the address of ``path`` as the browser has it, also behind a trusted proxy."""
    return str(request.base_url).rstrip("/") + path


async def _sign_out_address(
    request: Request, ended: Session | None, text: str | None
) -> str | None:
    signing_in = api_state(request).browser_sign_in
    if signing_in is None or ended is None or is_script(request):
        return None
    return await signing_in.sign_out_address(ended, text, _address(request, SIGN_IN))


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
