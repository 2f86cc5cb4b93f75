"""Why requests are answered 503, in the log: once for each cause and a while, not per request."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from fastapi import FastAPI

from stroke.domain.errors import StrokeError

_log = logging.getLogger("stroke.api")
# Texts of errors are ours, and few. Should one ever hold what changes, the oldest is forgotten.
_MOST: Final = 100


@dataclass(slots=True)
class _Cause:
    logged_at: float
    since: int = 0


class CauseLog:
    """Logs each cause at its first answer, and then at most once in ``seconds`` with a count.

    ``clock`` counts seconds. A ``StrokeError``'s text holds no value of a patient; of the errors
    that it was made from only types and places are logged.
    """

    def __init__(self, seconds: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._causes: dict[str, _Cause] = {}

    def answered(self, error: StrokeError) -> None:
        """Note that a request was answered 503 because of ``error``."""
        text, now = str(error), self._clock()
        cause = self._causes.get(text)
        if cause is not None and now - cause.logged_at < self._seconds:
            cause.since += 1
            return
        more = (
            f" ({cause.since} more answers like this one before)" if cause and cause.since else ""
        )
        self._causes.pop(text, None)  # to the end: what was logged last is forgotten last
        self._causes[text] = _Cause(now)
        if len(self._causes) > _MOST:
            del self._causes[next(iter(self._causes))]
        _log.warning("answered 503: %s%s", text, more, exc_info=error)


def install(app: FastAPI, causes: CauseLog) -> None:
    """Keep ``causes`` where the routes and the handlers of ``app`` find it."""
    app.state.causes = causes


def log_of(app: FastAPI) -> CauseLog:
    """Return what ``install`` was given."""
    causes: CauseLog = app.state.causes
    return causes
