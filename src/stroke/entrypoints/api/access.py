"""Who may call which route: each says what it needs, and asks once per request who calls."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, Final, TypeVar, cast

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.types import Receive, Send
from starlette.types import Scope as ASGIScope

from stroke.domain.access import ANYBODY, Principal, Scope
from stroke.domain.errors import NotAuthenticated, RequestForged, ScopeMissing, SiteMissing
from stroke.domain.prediction import Origin
from stroke.entrypoints.api.auditing import keeping_record, refused, written_of
from stroke.entrypoints.api.browsers import TOKEN_HEADER, browsing, check_token, may_be_anybody
from stroke.entrypoints.api.paths import HOOKS, is_under, path_of
from stroke.entrypoints.api.rates import by_principal
from stroke.entrypoints.api.state import api_state

_Endpoint = TypeVar("_Endpoint", bound=Callable[..., Any])
_Handler = Callable[[Request], Coroutine[Any, Any, Response]]
Identify = Callable[[Request], Awaitable[Principal]]
"""Says who sends a request. Raises ``NotAuthenticated``, ``RequestForged``, and others."""

_NEEDS: Final = "__stroke_scope__"
_OR: Final = "__stroke_other_scopes__"
_ALL: Final = "__stroke_all_sites__"
_CALLER: Final = "stroke.caller"
_BEARER: Final = "bearer"
# What HTTP calls white space: a key with any other character around it is another text.
_BLANKS: Final = " \t"
_NEEDS_KEY: Final = "this needs an API key: without one, this machine only may call"
_TOKEN_HEADER: Final = TOKEN_HEADER.lower().encode()


def needs(scope: Scope, *others: Scope) -> Callable[[_Endpoint], _Endpoint]:
    """Mark an endpoint: only a caller with ``scope``, or with one of ``others``, may call it."""

    def marked(endpoint: _Endpoint) -> _Endpoint:
        setattr(endpoint, _NEEDS, scope)
        setattr(endpoint, _OR, others)
        return endpoint

    return marked


def for_all_sites(endpoint: _Endpoint) -> _Endpoint:
    """Mark an endpoint: what it changes concerns every site.

    A setting says whether its caller needs the scope ``all-sites``, too.
    """
    setattr(endpoint, _ALL, True)
    return endpoint


def for_everybody(endpoint: _Endpoint) -> _Endpoint:
    """Mark an endpoint: strangers may call it, too."""
    setattr(endpoint, _NEEDS, None)
    return endpoint


def needed_by(endpoint: Callable[..., Any]) -> Scope | None:
    """Return the scope that an endpoint needs, or None if it is for everybody.

    Where others do, too, it is the one that answers name. Raises ``TypeError`` for an
    endpoint that says neither.
    """
    try:
        return cast("Scope | None", getattr(endpoint, _NEEDS))
    except AttributeError:
        name = getattr(endpoint, "__qualname__", endpoint)
        raise TypeError(f"{name} is marked neither `needs` nor `for_everybody`") from None


class GuardedRoute(APIRoute):
    """A route of FastAPI that answers only callers with the scope that its endpoint needs."""

    def get_route_handler(self) -> _Handler:
        """Return the handler, which looks at the caller before anything else of the request."""
        return guarded_by(by_credentials, self.endpoint, super().get_route_handler())


class DirectRoute(APIRoute):
    """A guarded route that calls its endpoint with the request, and nothing in between.

    FastAPI's own handler looks for parameters, dependencies and a body; such a route has none of
    them (see body.py), and it takes as long as the route's own work.
    """

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        handler = self.get_route_handler()

        async def app(scope: ASGIScope, receive: Receive, send: Send) -> None:
            response = await handler(Request(scope, receive, send))
            await response(scope, receive, send)

        # FastAPI's own would open two stacks of context managers for dependencies, and handle
        # exceptions here that Starlette handles one layer further out.
        self.app = app

    def get_route_handler(self) -> _Handler:
        """Return the endpoint itself, behind its guard."""
        return guarded_by(by_credentials, self.endpoint, self.endpoint)


def caller_of(request: Request) -> Principal:
    """Return who sent ``request``, on a route that needs a scope."""
    return cast("Principal", request.scope[_CALLER])


def origin_of(request: Request) -> Origin:
    """Return whose the rows are that ``request`` stores."""
    caller = caller_of(request)
    return Origin(caller.site, caller.name)


def site_of(request: Request) -> str | None:
    """Return the site whose rows ``request`` may see and change; None if it may those of all."""
    return caller_of(request).only_site


def has_credentials(request: Request) -> bool:
    """Return whether ``request`` has a key or a token in its headers, whatever it is worth."""
    return bool(_credentials(request.scope["headers"])[0])


async def by_credentials(request: Request) -> Principal:
    """Return who sends ``request``, by its key or token; else by a page's session and its token.

    A browser's cookie without the token of a page counts for nothing.
    """
    credentials, token = _credentials(request.scope["headers"])
    if token is None or credentials:
        return await _shown(request, credentials)
    caller = await browsing(request)
    check_token(request, token)
    return caller


async def _shown(request: Request, credentials: list[str]) -> Principal:
    """Return whose ``credentials`` these are. Tokens of record systems count for hooks only."""
    state = api_state(request)
    clients = state.cds_clients
    if (
        clients is None
        or len(set(credentials)) != 1
        or not is_under(request.scope, HOOKS)
        or not clients.knows(credentials[0])
    ):
        caller = await state.callers.caller(credentials)
        if caller is ANYBODY and not may_be_anybody(request):
            raise NotAuthenticated(_NEEDS_KEY, presented=bool(credentials))
        return caller
    # Not the address of the request: its Host is what the caller says, or a proxy.
    public = state.clinical.public_url or ""
    return await clients.caller(credentials[0], (f"{public}{path_of(request.scope)}", public))


def guarded_by(identify: Identify, endpoint: Callable[..., Any], handler: _Handler) -> _Handler:
    """Return ``handler`` behind the guard of ``endpoint``; ``identify`` says who calls."""
    scope, written = needed_by(endpoint), written_of(endpoint)
    all_sites: bool = getattr(endpoint, _ALL, False)
    if scope is None:
        return handler
    others: tuple[Scope, ...] = getattr(endpoint, _OR, ())

    async def guarded(request: Request) -> Response:
        state = api_state(request)
        caller = counted = None
        try:
            caller = request.scope[_CALLER] = await identify(request)
            if state.rates is not None and scope is not Scope.METRICS:
                counted = await state.rates.count(by_principal(caller))
                if not counted.allowed:
                    return counted.refusal()
            caller.require(next(filter(caller.may, others), scope))
            if all_sites and state.changes_need_all_sites:
                caller.require(Scope.ALL_SITES)
        except (NotAuthenticated, RequestForged, ScopeMissing, SiteMissing):
            await refused(state.audit, caller, request)
            raise
        if written is None or caller is ANYBODY:
            response = await handler(request)
        else:
            response = await keeping_record(state.audit, caller, written, request, handler)
        if counted is not None:
            counted.add_to(response.headers)
        return response

    return guarded


def _credentials(headers: Iterable[tuple[bytes, bytes]]) -> tuple[list[str], str | None]:
    """Return what the headers have of keys and tokens, and the token of a page.

    A proxy in front may have its own use for Authorization with another scheme, such as Basic.
    """
    found, of_page = [], None
    for name, value in headers:
        if name == b"authorization":
            scheme, _, rest = value.decode("latin-1").partition(" ")
            if scheme.lower() == _BEARER:
                found.append(rest.strip(_BLANKS))
        elif name == b"x-api-key":
            found.append(value.decode("latin-1").strip(_BLANKS))
        elif name == _TOKEN_HEADER:
            of_page = value.decode("latin-1").strip(_BLANKS)
    return found, of_page
