"""Browsers that have signed in: the cookie with the id of their session, and the token beside it.

A browser sends its cookie with every request, also with one that another site made. So the cookie
alone never changes anything, and the API never goes by it alone: a request also has the token of
a page of the same session, in a header or in a field of its form. The token is an HMAC of the
cookie, which no other site can read.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final, cast

from fastapi import Request, Response

from stroke.application.access.sessions import new_session_id
from stroke.domain.access import ANYBODY, Principal, is_loopback
from stroke.domain.errors import RequestForged
from stroke.entrypoints.api.proxies import passed_on
from stroke.entrypoints.api.state import api_state

TOKEN_HEADER: Final = "X-CSRF-Token"  # noqa: S105 -- the name of a header
TOKEN_FIELD: Final = "csrf_token"  # noqa: S105 -- the name of a field

_NAME: Final = "stroke_session"
_WAY: Final = "stroke_sign_in"
_TOKEN: Final = b"stroke csrf token"
_NEW: Final = "stroke.new_cookie"
# What a browser says of where a request comes from (Fetch Metadata); "none": from its user.
_OWN: Final = frozenset({"same-origin", "none"})


def cookie_of(request: Request) -> str | None:
    """Return the id that the browser's cookie holds, or None if there is none, or more than one."""
    return _value(request, _NAME)


def way_of(request: Request) -> str | None:
    """Return what the browser keeps while its user signs in at the OpenID provider."""
    return _value(request, _WAY)


def _value(request: Request, base: str) -> str | None:
    name = _name(request, base)
    found = {
        value.strip()
        for header in request.headers.getlist("cookie")
        for pair in header.split(";")
        for key, sign, value in [pair.partition("=")]
        if key.strip() == name and sign
    }
    return found.pop() if len(found) == 1 else None


def token_of(request: Request) -> str:
    """Return the token for the pages that ``request`` gets.

    A browser without a cookie gets one with the answer, if ``keep_cookie`` is called for it.
    """
    cookie = request.scope.get(_NEW) or cookie_of(request)
    if cookie is None:
        cookie = request.scope[_NEW] = new_session_id()
    return _token(cast("str", cookie))


def check_token(request: Request, sent: str | None) -> None:
    """Raise ``RequestForged`` unless ``sent`` is the token of the browser's own pages."""
    cookie = cookie_of(request)
    site = request.headers.get("sec-fetch-site")
    if (
        sent is None
        or cookie is None
        or (site is not None and site not in _OWN)
        or not hmac.compare_digest(_token(cookie).encode(), sent.encode())
    ):
        raise RequestForged


async def browsing(request: Request) -> Principal:
    """Return who has signed in with the browser; anybody, while everybody here may call.

    Raises ``NotAuthenticated`` and ``StoreUnavailable``.
    """
    state = api_state(request)
    if await state.callers.is_open() and may_be_anybody(request):
        return ANYBODY
    return (await state.sessions.session(cookie_of(request))).caller


def may_be_anybody(request: Request) -> bool:
    """Return whether whoever sends ``request`` needs no key while there is none.

    Who calls from this machine does not. Others do, unless the settings let everybody in:
    ``stroke serve`` looks at the keys when it starts, but they may be gone later, as after an old
    backup was restored, and a proxy, trusted or not, may publish what listens on the loopback.
    """
    client = request.scope.get("client")
    if api_state(request).insecure or client is None:
        return True
    return is_loopback(client[0]) and not passed_on(request.scope["headers"])


def new_cookie(request: Request, text: str) -> None:
    """Have ``keep_cookie`` give the browser the id ``text``, until it is closed."""
    request.scope[_NEW] = text


def keep_cookie(request: Request, response: Response) -> None:
    """Have the browser keep the id that ``token_of`` or ``new_cookie`` has for it, if they do."""
    new: str | None = request.scope.get(_NEW)
    if new is not None:
        response.set_cookie(
            _name(request, _NAME), new, path=_path(request), secure=_secure(request), httponly=True
        )


def drop_cookie(request: Request, response: Response) -> None:
    """Have the browser forget its cookie."""
    request.scope[_NEW] = None
    _drop(request, response, _NAME)


def keep_way(request: Request, response: Response, kept: str, *, seconds: float) -> None:
    """Have the browser keep ``kept`` while its user signs in at the OpenID provider."""
    response.set_cookie(
        _name(request, _WAY),
        kept,
        max_age=int(seconds),
        path=_path(request),
        secure=_secure(request),
        httponly=True,
    )


def drop_way(request: Request, response: Response) -> None:
    """Have the browser forget it: an answer of the provider holds once."""
    _drop(request, response, _WAY)


def _drop(request: Request, response: Response, base: str) -> None:
    response.delete_cookie(
        _name(request, base), path=_path(request), secure=_secure(request), httponly=True
    )


def _token(cookie: str) -> str:
    return hmac.new(cookie.encode("utf-8", "surrogatepass"), _TOKEN, hashlib.sha256).hexdigest()


def _secure(request: Request) -> bool:
    # What a trusted proxy says of the scheme is in there already.
    return request.scope.get("scheme") == "https"


def _path(request: Request) -> str:
    return request.scope.get("root_path") or "/"


def _name(request: Request, base: str) -> str:
    """Return a cookie's name. Its prefix has browsers refuse it from anywhere else."""
    if not _secure(request):
        return base
    return f"__Host-{base}" if _path(request) == "/" else f"__Secure-{base}"
