"""Leaves what a command found in the service's database, where the page shows it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from stroke.domain.errors import StrokeError
from stroke.entrypoints.cli.terminal.said import say

if TYPE_CHECKING:
    from stroke.application.platform.reports import PlatformReport
    from stroke.config import DatabaseSettings

_PAUSE: Final = 30.0


class ReportKeeper:
    """Keeps reports of one command. What cannot be kept is one warning, and fails no command.

    A report in which each state is as in the last one is kept only ``_PAUSE`` seconds after it.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept_at: float | None = None
        self._states: dict[str, str] = {}
        self._warned = False

    async def keep(self, database: DatabaseSettings, report: PlatformReport) -> None:
        """Keep ``report``, unless it says what the last one has said just now."""
        from stroke.container.platform import keep_report

        now, states = self._clock(), {each.name: each.state.value for each in report.lines}
        is_fresh = self._kept_at is not None and now - self._kept_at < _PAUSE
        if is_fresh and states == self._states:
            return
        try:
            await keep_report(database, report)
        except StrokeError as error:
            if not self._warned:
                say(f"the page does not show this: {error}", "warning")
            self._warned = True
        else:
            self._warned = False
        self._kept_at, self._states = now, states
