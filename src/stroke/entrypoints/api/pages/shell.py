"""What all pages share: who sees them, in which language, under which policy, and what fails."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, cast
from urllib.parse import parse_qsl

from fastapi import Request, Response
from markupsafe import Markup
from starlette import status
from starlette.exceptions import HTTPException

from stroke.domain.access import Principal, Scope
from stroke.domain.errors import (
    InvalidOutcome,
    InvalidPatient,
    NotAuthenticated,
    OutcomeNotFound,
    OutsideSupport,
    PredictionNotFound,
    PredictionNotReplayable,
    PredictionRejected,
    ScopeMissing,
    ServiceOverloaded,
    SiteMissing,
    StoreUnavailable,
    StrokeError,
)
from stroke.entrypoints.api.access import GuardedRoute
from stroke.entrypoints.api.causes import log_of
from stroke.entrypoints.api.problems import KINDS
from stroke.entrypoints.api.rendering import json_response
from stroke.entrypoints.api.state import api_state
from stroke.entrypoints.ui.languages import Language, Languages, languages
from stroke.entrypoints.ui.rendering import assets_version, render

HOME: Final = "/ui"
_COOKIE: Final = "stroke_language"
_YEAR: Final = 365 * 24 * 3600
_MOST_FIELDS: Final = 100
_CALLER: Final = "stroke.caller"
_FORM: Final = "application/x-www-form-urlencoded"
# Nothing but what is served from here; no script, style or address in the page itself counts.
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

_Handler = Callable[[Request], Coroutine[Any, Any, Response]]


@dataclass(frozen=True, slots=True)
class Page:
    """What the frame of a page needs to know."""

    request: Request
    language: Language
    current: str
    token: str = ""

    @property
    def caller(self) -> Principal | None:
        """Who sees it; None where that is not known."""
        return cast("Principal | None", self.request.scope.get(_CALLER))

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
            (Scope.PREDICT, "calculator", HOME, say("Calculator")),
            (Scope.PREDICT, "batch", "/ui/batch", say("Batch")),
            (Scope.READ, "history", "/ui/history", say("History")),
            (Scope.READ, "insights", "/ui/insights", say("Insights")),
            (Scope.MODELS, "model", "/ui/model", say("Model")),
        ]
        return [
            (name, self.path(path), title) for scope, name, path, title in known if self.may(scope)
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
        return self.path("/ui/sign-in")


class PageRoute(GuardedRoute):
    """A guarded route whose errors are pages, too: or JSON, where the script asked."""

    def get_route_handler(self) -> _Handler:
        """Return the handler."""
        handler = super().get_route_handler()

        async def paged(request: Request) -> Response:
            try:
                return await handler(request)
            except StrokeError as error:
                return _failed(request, error)

        return paged


def spoken(request: Request) -> Languages:
    """Return the languages that this service speaks."""
    return languages(request.app.state.catalogues)


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
    """Return the fields of a form. Of several with one name the last one counts.

    Raises ``HTTPException`` 413 or 415 for a body that is too long, or no form in UTF-8.
    """
    state = api_state(request)
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != _FORM:
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


def failure(error: StrokeError, language: Language) -> str:
    """Return what a person is told of an error. It holds nothing of a patient."""
    say = language.say
    known: Mapping[type[StrokeError], str] = {
        NotAuthenticated: say("You are not signed in."),
        ScopeMissing: say("Your key does not allow this."),
        SiteMissing: say("Your key belongs to no site."),
        PredictionNotFound: say("There is no such estimate. It may have been erased."),
        OutcomeNotFound: say("This estimate has no outcome."),
        PredictionNotReplayable: say("This estimate was saved before and cannot be shown again."),
        PredictionRejected: say("The database does not take this estimate."),
        ServiceOverloaded: say("The service has too much to do. Try again in a moment."),
        StoreUnavailable: say("The database does not answer."),
        InvalidPatient: say("A measurement is not right."),
        OutsideSupport: say("The model has not seen such patients, and this service saves none."),
        InvalidOutcome: say("The outcome is not right."),
    }
    for cause in type(error).__mro__:
        if cause in known:
            return known[cause]
    return say("This did not work.")


def _failed(request: Request, error: StrokeError) -> Response:
    kind = next((KINDS[cause] for cause in type(error).__mro__ if cause in KINDS), None)
    if kind is None:
        raise error
    if kind.status == HTTPStatus.SERVICE_UNAVAILABLE:
        log_of(request.app).answered(error)
    said = failure(error, language_of(request))
    if is_script(request):
        return json_response({"said": said, "name": kind.name}, kind.status)
    return html(request, "failure.html", "", code=kind.status, said=said)
