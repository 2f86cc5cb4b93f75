"""The processes of one service: clears away what a worker leaves behind, and logs its end."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client.multiprocess import mark_process_dead
from uvicorn.supervisors import Multiprocess

_log = logging.getLogger("stroke.http")


class Workers(Multiprocess):
    """uvicorn's supervisor. A worker that ended takes its gauges with it."""

    def keep_subprocess_alive(self) -> None:
        """Start another worker for each that ended or hangs, and log it."""
        with self._clearing():
            super().keep_subprocess_alive()

    def handle_signals(self) -> None:
        """Do what signals ask for: stop, restart all, one more, one fewer."""
        with self._clearing():
            super().handle_signals()

    @contextmanager
    def _clearing(self) -> Iterator[None]:
        before = list(self.processes)
        yield
        worst = logging.INFO
        for gone in before:
            if gone not in self.processes and gone.pid is not None:
                # Counters stay: what it counted has happened. Gauges say what is.
                mark_process_dead(gone.pid)  # type: ignore[no-untyped-call]
                level = logging.WARNING if gone.exitcode else logging.INFO
                worst = max(worst, level)
                _log.log(level, "worker %d ended with exit code %s", gone.pid, gone.exitcode)
        for new in self.processes:
            if new not in before:
                _log.log(worst, "worker %d was started", new.pid)
