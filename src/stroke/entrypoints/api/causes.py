"""Why requests are answered 503, in the log: once for each cause and a while, not per request."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from fastapi import FastAPI

from stroke.container.failures import FailureLog
from stroke.domain.errors import StrokeError

_log = logging.getLogger("stroke.api")


class CauseLog(FailureLog):
    """Logs causes of 503: each at its first answer, and then at most once in ``seconds``."""

    def __init__(self, seconds: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(_log, seconds, failures="answers", clock=clock)

    def answered(self, error: StrokeError) -> None:
        """Note that a request was answered 503 because of ``error``."""
        self.note("answered 503", error)


def install(app: FastAPI, causes: CauseLog) -> None:
    """Keep ``causes`` where the routes and the handlers of ``app`` find it."""
    app.state.causes = causes


def log_of(app: FastAPI) -> CauseLog:
    """Return what ``install`` was given."""
    causes: CauseLog = app.state.causes
    return causes
