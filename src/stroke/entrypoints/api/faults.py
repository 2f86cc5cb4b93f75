"""The last line of defence: an unforeseen exception is a 500 that says nothing more."""

from __future__ import annotations

import logging
from http import HTTPStatus

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from stroke.entrypoints.api.problems import problem_response
from stroke.entrypoints.api.replies import answer_instead, watched
from stroke.entrypoints.logs import outline

_log = logging.getLogger("stroke.api")


class FaultBarrier:
    """Answers 500 for whatever ``app`` raises, and logs where it was raised.

    Starlette's own handler would raise the exception again for the server to log, and the text
    of a database driver's or validator's exception may hold the values of a patient.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        reply, sending = watched(scope, send)
        try:
            await self._app(scope, receive, sending)
        except ClientDisconnect:
            return  # nobody is left to answer
        except Exception as error:  # noqa: BLE001 - whatever it is
            _log.error("unforeseen %s", outline(error))
            answer = problem_response(HTTPStatus.INTERNAL_SERVER_ERROR)
            await answer_instead(reply, answer, scope, receive, sending)
