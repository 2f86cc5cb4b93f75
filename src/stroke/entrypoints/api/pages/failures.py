"""What the page says of an error: what is wrong, and what to do. Nothing of a patient."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from stroke.domain.errors import (
    InvalidOutcome,
    InvalidPatient,
    NotAuthenticated,
    OutcomeNotFound,
    OutsideSupport,
    PredictionNotFound,
    PredictionNotReplayable,
    PredictionRejected,
    ProviderUnavailable,
    RequestForged,
    ScopeMissing,
    ServiceOverloaded,
    SiteMissing,
    StoreUnavailable,
    StrokeError,
)
from stroke.entrypoints.ui.languages import Language

AGAIN: Final = frozenset(
    {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.SERVICE_UNAVAILABLE}
)
"""Where the same request may work a moment later."""


def failure(error: StrokeError, language: Language) -> str:
    """Say what is wrong."""
    say = language.say
    known: Mapping[type[StrokeError], str] = {
        NotAuthenticated: say("You are not signed in."),
        RequestForged: say("This page is too old. Load it again."),
        ScopeMissing: say("Your key does not allow this."),
        SiteMissing: say("Your key belongs to no site."),
        PredictionNotFound: say("There is no such estimate. It may have been erased."),
        OutcomeNotFound: say("This estimate has no outcome."),
        PredictionNotReplayable: say("This estimate was saved before and cannot be shown again."),
        PredictionRejected: say("The database does not take this estimate."),
        ServiceOverloaded: say("The service has too much to do. Try again in a moment."),
        ProviderUnavailable: say("The sign-in of your organization does not answer."),
        StoreUnavailable: say("The database does not answer."),
        InvalidPatient: say("A measurement is not right."),
        OutsideSupport: say("The model has not seen such patients, and this service saves none."),
        InvalidOutcome: say("The outcome is not right."),
    }
    for cause in type(error).__mro__:
        if cause in known:
            return known[cause]
    return say("This did not work.")


def of_status(code: int, language: Language) -> str:
    """Say what is wrong where no more than the status of the answer is known."""
    say = language.say
    known = {
        HTTPStatus.UNAUTHORIZED: say("You are not signed in."),
        HTTPStatus.FORBIDDEN: say("Your key does not allow this."),
        HTTPStatus.NOT_FOUND: say("There is no such page."),
        HTTPStatus.METHOD_NOT_ALLOWED: say("This address does not take what was sent."),
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE: say("What was sent is too long."),
        HTTPStatus.TOO_MANY_REQUESTS: say("Too many requests in a short time."),
        HTTPStatus.INTERNAL_SERVER_ERROR: say("The service has made a mistake."),
        HTTPStatus.SERVICE_UNAVAILABLE: say("The service cannot answer now."),
    }
    return known.get(HTTPStatus(code), say("This did not work."))


def advice(code: int, language: Language, *, retry_after: int | None, changes: bool) -> list[str]:
    """Say what to do about an error with the status ``code``.

    ``changes`` says whether the request was one to change something.
    """
    say = language.say
    tell = say("If it stays so, tell the people who run the service.")
    if code == HTTPStatus.SERVICE_UNAVAILABLE:
        unknown = say("It is not known whether anything was saved: look at the history first.")
        return [unknown, tell] if changes else [say("Try again in a moment."), tell]
    if code == HTTPStatus.INTERNAL_SERVER_ERROR:
        return [say("Try again."), tell]
    wait = retry_after or 1
    known = {
        HTTPStatus.TOO_MANY_REQUESTS: language.say_n(
            "Wait for %(n)s second, and try again.", "Wait for %(n)s seconds, and try again.", wait
        ),
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE: say(
            "Send less at a time: fewer rows of a file, shorter texts."
        ),
        HTTPStatus.UNPROCESSABLE_ENTITY: say("Something that was sent cannot be read."),
        HTTPStatus.NOT_FOUND: say("Look whether the address is right, or choose a page above."),
        HTTPStatus.UNAUTHORIZED: say("Sign in, and do it again."),
        HTTPStatus.FORBIDDEN: say("Ask the people who run the service if you need it."),
    }
    done = [say("Nothing was changed.")] if changes else []
    return done + [known[each] for each in known if each == code]
