"""What all pages share: who sees them, in which language, under which policy, and what fails."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, TypeVar, cast
from urllib.parse import parse_qsl, quote, unquote

from fastapi import Request, Response
from fastapi.responses import RedirectResponse
from fastapi.routing import APIRoute
from markupsafe import Markup
from starlette import status
from starlette.exceptions import HTTPException

from stroke.domain.access import Principal, Scope
from stroke.domain.errors import NotAuthenticated, StrokeError
from stroke.entrypoints.api.access import (
    by_credentials,
    guarded_by,
    has_credentials,
    needed_by,
)
from stroke.entrypoints.api.browsers import (
    TOKEN_FIELD,
    TOKEN_HEADER,
    browsing,
    check_token,
    keep_cookie,
    token_of,
)
from stroke.entrypoints.api.causes import log_of
from stroke.entrypoints.api.pages.failures import AGAIN, advice, failure, of_status
from stroke.entrypoints.api.problems import KINDS
from stroke.entrypoints.api.rendering import json_response
from stroke.entrypoints.api.state import api_state
from stroke.entrypoints.request_id import CURRENT
from stroke.entrypoints.ui.languages import Language, Languages, languages
from stroke.entrypoints.ui.rendering import assets_version, render

HOME: Final = "/ui"
SIGN_IN: Final = "/ui/sign-in"
MODEL_SCOPES: Final = (Scope.PREDICT, Scope.READ, Scope.MODELS)
"""Who reads of the model: whoever sees its estimates, and whoever has to do with models."""
_COOKIE: Final = "stroke_language"
_YEAR: Final = 365 * 24 * 3600
_MOST_FIELDS: Final = 100
_CALLER: Final = "stroke.caller"
_FIELDS: Final = "stroke.form"
_READS_TOKEN: Final = "__stroke_reads_token__"  # noqa: S105 -- the name of a mark
_LONGEST_PATH: Final = 2048
# A path of ours. Two slashes, a backslash or a control character would lead a browser elsewhere.
_OURS: Final = re.compile(r"/ui(/[A-Za-z0-9._~%-]+)*/?(\?[A-Za-z0-9._~%&=+:,/@!$'()*;-]*)?")
# Segments that lead out of /ui.
_DOTS: Final = frozenset({".", ".."})
_FORM_WITH_FILES: Final = "multipart/form-data"
_FORM: Final = "application/x-www-form-urlencoded"
# Nothing but what is served from here; no script, style or address in the page itself counts.
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

_Endpoint = TypeVar("_Endpoint", bound=Callable[..., Any])
_Handler = Callable[[Request], Coroutine[Any, Any, Response]]


@dataclass(frozen=True, slots=True)
class Page:
    """What the frame of a page needs to know."""

    request: Request
    language: Language
    current: str

    @property
    def caller(self) -> Principal | None:
        """Who sees it; None where that is not known."""
        return cast("Principal | None", self.request.scope.get(_CALLER))

    @property
    def token(self) -> str:
        """What its forms and its script show, so that they are known to be ours."""
        return token_of(self.request)

    @property
    def is_signed_in(self) -> bool:
        """Whether somebody sees it who can sign out."""
        return self.caller is not None and self.caller.kind != "open"

    def path(self, path: str) -> str:
        """Return an address of the service as browsers reach it."""
        return str(self.request.scope.get("root_path", "")) + path

    def asset(self, name: str) -> str:
        """Return the address of a file that pages load; it changes with the files."""
        return self.path(f"/ui/assets/{assets_version()}/{name}")

    def may(self, scope: str) -> bool:
        """Return whether who sees the page may do this."""
        return self.caller is not None and self.caller.may(Scope(scope))

    def shows(self, name: str) -> bool:
        """Return whether the page with this name is one that the caller may see."""
        return any(each == name for each, *_ in self.links)

    @property
    def links(self) -> list[tuple[str, str, str]]:
        """The pages that the caller may see: name, address, title."""
        say = self.language.say
        known = [
            ((Scope.PREDICT,), "calculator", HOME, say("Calculator")),
            ((Scope.PREDICT,), "batch", "/ui/batch", say("Batch")),
            ((Scope.READ,), "history", "/ui/history", say("History")),
            ((Scope.READ,), "insights", "/ui/insights", say("Insights")),
            (MODEL_SCOPES, "model", "/ui/model", say("Model")),
        ]
        if self.request.app.state.shows_platform:
            known.append(((Scope.ADMIN,), "platform", "/ui/platform", say("Platform")))
        return [
            (name, self.path(path), title)
            for scopes, name, path, title in known
            if any(map(self.may, scopes))
        ]

    @property
    def who(self) -> str:
        """What the caller is called; "" for anybody."""
        return (self.caller.name or "") if self.caller else ""

    @property
    def other_languages(self) -> list[tuple[str, str, str]]:
        """The other languages: code, name, address of this page in it."""
        path = self.request.url.path if self.request.method == "GET" else self.path(HOME)
        return [
            (code, each.name, f"{path}?language={code}")
            for code, each in spoken(self.request).items()
            if code != self.language.code
        ]

    @property
    def token_field(self) -> Markup:
        """The field that shows that a form is one of ours."""
        template = '<input type="hidden" name="csrf_token" value="{}">'
        return Markup(template).format(self.token)  # noqa: S704 - format escapes

    @property
    def sign_in(self) -> str:
        """Where a browser signs in."""
        return self.path(SIGN_IN)


def reads_token(endpoint: _Endpoint) -> _Endpoint:
    """Mark an endpoint: it reads a form with files, and calls ``check_field`` with its fields.

    Without the mark, such a form is refused if it comes without the header.
    """
    setattr(endpoint, _READS_TOKEN, True)
    return endpoint


class PageRoute(APIRoute):
    """A route for browsers, guarded as those of the API are. Its errors are pages, or JSON.

    Who calls is who has signed in with the browser, unless the request has a key. What is no GET
    must then have the token of a page of the same session: in the header X-CSRF-Token, or in the
    field ``csrf_token`` of its form. A browser that has not signed in is led to where it can, and
    back; the script gets 401, so that what was typed stays.
    """

    def get_route_handler(self) -> _Handler:
        """Return the handler behind its guard."""
        own = getattr(self.endpoint, _READS_TOKEN, False)

        async def identified(request: Request) -> Principal:
            if has_credentials(request):
                return await by_credentials(request)
            caller = await browsing(request)
            await _check_token(request, reads_token=own)
            return caller

        strangers = needed_by(self.endpoint) is None
        handler = guarded_by(identified, self.endpoint, super().get_route_handler())

        async def paged(request: Request) -> Response:
            try:
                if strangers:
                    await _check_token(request, reads_token=own)
                answer = await handler(request)
            except NotAuthenticated as error:
                if request.method == "GET" and not is_script(request) and wants_page(request):
                    answer = _to_sign_in(request)
                else:
                    answer = _failed(request, error)
            except StrokeError as error:
                answer = _failed(request, error)
            keep_cookie(request, answer)
            return answer

        return paged


def spoken(request: Request) -> Languages:
    """Return the languages that this service speaks."""
    return languages(request.app.state.catalogues)


def wants_page(request: Request) -> bool:
    """Return whether ``request`` is a browser's that shows what it gets."""
    return "text/html" in request.headers.get("accept", "")


def ours(path: str | None) -> str:
    """Return ``path`` if it leads to a page of ours, and otherwise the first page."""
    if not path or len(path) > _LONGEST_PATH or not _OURS.fullmatch(path):
        return HOME
    # Browsers take %2e for a dot, too.
    segments = unquote(path.partition("?")[0]).split("/")
    return HOME if _DOTS.intersection(segments) else path


def to(request: Request, path: str) -> RedirectResponse:
    """Return the answer that has the browser open a page of ours with GET."""
    return RedirectResponse(request.scope.get("root_path", "") + path, HTTPStatus.SEE_OTHER)


def _to_sign_in(request: Request) -> Response:
    wanted = request.url.path.removeprefix(request.scope.get("root_path", ""))
    query = f"?{request.url.query}" if request.url.query else ""
    return to(request, f"{SIGN_IN}?next={quote(ours(wanted + query), safe='/')}")


async def _check_token(request: Request, *, reads_token: bool) -> None:
    if request.method == "GET":  # HEAD comes as GET
        return
    sent = request.headers.get(TOKEN_HEADER)
    if sent is None:
        if is_form(request):
            sent = (await fields_of(request)).get(TOKEN_FIELD)
        elif reads_token and _media_type(request) == _FORM_WITH_FILES:
            return
    check_token(request, sent)


def language_of(request: Request) -> Language:
    """Return the language of the address, the cookie, or the browser; in this order."""
    chosen = request.query_params.get("language") or request.cookies.get(_COOKIE)
    return spoken(request).wanted(chosen, request.headers.get("accept-language"))


def is_script(request: Request) -> bool:
    """Return whether the page's script asks, and wants a part of the page."""
    return request.headers.get("x-part") == "yes"


def html(
    request: Request, template: str, current: str, *, code: int = 200, **shown: Any
) -> Response:
    """Return a page."""
    language = language_of(request)
    page = Page(request, language, current)
    content = render(template, language, page=page, **shown)
    response = Response(content, code, media_type="text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["Vary"] = "Accept, Accept-Language, Cookie"
    if (chosen := request.query_params.get("language")) in spoken(request):
        response.set_cookie(
            _COOKIE,
            str(chosen),
            max_age=_YEAR,
            path=page.path(HOME),
            httponly=True,
            samesite="lax",
            secure=request.url.scheme == "https",
        )
    return response


def part(request: Request, template: str, **shown: Any) -> str:
    """Return a part of a page, for the script to put into its place."""
    language = language_of(request)
    return render(template, language, page=Page(request, language, ""), **shown)


async def fields_of(request: Request) -> dict[str, str]:
    """Return the fields of a form. If several have one name, the last one counts.

    Raises ``HTTPException`` 413 or 415 for a body that is too long, or no form in UTF-8.
    """
    if _FIELDS not in request.scope:
        request.scope[_FIELDS] = await _read_fields(request)
    return cast("dict[str, str]", request.scope[_FIELDS])


def is_form(request: Request) -> bool:
    """Return whether the body of ``request`` is said to be an urlencoded form."""
    return _media_type(request) == _FORM


def check_field(request: Request, fields: Mapping[str, str]) -> None:
    """Check the token among ``fields``, unless the guard has had a token, or a key.

    Raises ``RequestForged``.
    """
    if TOKEN_HEADER not in request.headers and not has_credentials(request):
        check_token(request, fields.get(TOKEN_FIELD))


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def _read_fields(request: Request) -> dict[str, str]:
    state = api_state(request)
    if not is_form(request):
        raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"Send Content-Type: {_FORM}.")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > state.most_patient_bytes:
            raise HTTPException(status.HTTP_413_CONTENT_TOO_LARGE)
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_MOST_FIELDS,
        )
    except ValueError:  # UnicodeDecodeError, or too many fields; its text may quote a value
        raise HTTPException(HTTPStatus.BAD_REQUEST, "The body is not a form in UTF-8.") from None
    return dict(pairs)


def _failed(request: Request, error: StrokeError) -> Response:
    kind = next((KINDS[cause] for cause in type(error).__mro__ if cause in KINDS), None)
    if kind is None:
        raise error
    if kind.status == HTTPStatus.SERVICE_UNAVAILABLE:
        log_of(request.app).answered(error)
    said = failure(error, language_of(request))
    if is_script(request):
        return json_response({"said": said, "name": kind.name}, kind.status)
    return failure_page(request, kind.status, said, retry_after=kind.retry_after)


def failure_page(
    request: Request, code: int, said: str | None = None, *, retry_after: int | None = None
) -> Response:
    """Return the page of an error: what is wrong, and what to do."""
    language, is_get = language_of(request), request.method == "GET"
    answer = html(
        request,
        "failure.html",
        "",
        code=code,
        said=said or of_status(code, language),
        advice=advice(code, language, retry_after=retry_after, changes=not is_get),
        # Not the query: it may have a patient's name in it.
        again=request.url.path if is_get and code in AGAIN else None,
        reference=CURRENT.get() if code >= HTTPStatus.INTERNAL_SERVER_ERROR else None,
    )
    if retry_after is not None:
        answer.headers["Retry-After"] = str(retry_after)
    return answer
