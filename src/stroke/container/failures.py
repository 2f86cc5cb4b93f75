"""What fails and is outlived, in the log: once for each cause and a while, not each time."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from stroke.domain.errors import StrokeError

# Texts of our errors and kinds of others are few. Should one ever change, the oldest is forgotten.
_MOST: Final = 100
_PAUSE: Final = 5.0


@dataclass(slots=True)
class _Cause:
    logged_at: float
    since: int = 0


class FailureLog:
    """Logs each cause at its first failure, and then at most once in ``seconds`` with a count.

    ``failures`` is the word for several of them. ``clock`` counts seconds. Several threads may use
    it. The text of a ``StrokeError`` holds no value of a patient. That of another error may, so
    only its kind is in the message; our formatters write types and places of what is attached.
    """

    def __init__(
        self,
        log: logging.Logger,
        seconds: float,
        *,
        failures: str = "failures",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = log
        self._seconds = seconds
        self._failures = failures
        self._clock = clock
        self._causes: dict[str, _Cause] = {}
        self._lock = threading.Lock()

    def note(self, what: str, error: BaseException) -> None:
        """Note that ``what`` happened because of ``error``."""
        text = f"{what}: {_said(error)}"
        before = self._due(text)
        if before is None:
            return
        more = f" ({before} more {self._failures} like this one before)" if before else ""
        self._log.warning("%s%s", text, more, exc_info=error)

    def _due(self, text: str) -> int | None:
        """Return how often ``text`` was kept back, if it is to be logged now; None if not."""
        now = self._clock()
        with self._lock:
            cause = self._causes.get(text)
            if cause is not None and now - cause.logged_at < self._seconds:
                cause.since += 1
                return None
            self._causes.pop(text, None)  # to the end: what was logged last is forgotten last
            self._causes[text] = _Cause(now)
            if len(self._causes) > _MOST:
                del self._causes[next(iter(self._causes))]
            return 0 if cause is None else cause.since


async def kept_up(
    what: str,
    work: Callable[[], Awaitable[object]],
    failures: FailureLog,
    *,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> None:
    """Do ``work`` again and again; after it has failed only a few seconds later.

    Nobody would miss a task of the background that ended with an error. ``work`` must wait for
    something, or the event loop does nothing else.
    """
    while True:
        try:
            await work()
        except Exception as error:  # noqa: BLE001 -- whatever it is, the next try may succeed
            failures.note(f"{what} failed, and begins again", error)
            await sleep(_PAUSE)


def _said(error: BaseException) -> str:
    if isinstance(error, StrokeError):
        return str(error)
    return f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")
