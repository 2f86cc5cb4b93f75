"""What a signal does to a command. The three ways differ on purpose.

A command that writes a file or a table ends as it does by Ctrl-C, with exit code 143
(``ends_on_sigterm``). One that watches until it is stopped has done its work when SIGTERM comes,
and ends with exit code 0 (``stops_on_sigterm``). The service handles signals itself and drains. At
last it sends itself the signal once more, which must not end it (``survives_signals``).
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from traceback import walk_stack
from types import FrameType
from typing import Final

Handler = Callable[[int, FrameType | None], None]

_LATER: Final = 0.05  # seconds
_asked: Final[set[signal.Signals]] = set()  # the command to end


@contextmanager
def ends_on_sigterm() -> Iterator[None]:
    """Let SIGTERM end the block as Ctrl-C does, so that it cleans up after itself.

    A module that is being imported is let finish: C code that imports does not expect to be left.
    And what a handler raises is lost where C calls Python back, so the block ends at its next
    ``end_if_asked`` as well: at its next progress, or before its file takes its place.
    """

    def stop(_: int, frame: FrameType | None) -> None:
        _asked.add(signal.SIGTERM)
        if _is_importing(frame):
            signal.setitimer(signal.ITIMER_REAL, _LATER)
        else:
            end_if_asked()

    try:
        with _handled(stop, signal.SIGTERM, signal.SIGALRM):
            try:
                yield
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
    finally:
        _asked.clear()


def end_if_asked() -> None:
    """End the command with exit code 143 if SIGTERM came within ``ends_on_sigterm``."""
    if _asked:
        sys.exit(128 + signal.SIGTERM)  # no Exception: libraries catch those


@contextmanager
def stops_on_sigterm() -> Iterator[None]:
    """Let SIGTERM cancel the running task of asyncio, and the block end well with it."""
    import asyncio

    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    if task is None:
        raise RuntimeError("no task runs")
    before = signal.getsignal(signal.SIGTERM)
    loop.add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        with suppress(asyncio.CancelledError):
            yield
    finally:
        loop.remove_signal_handler(signal.SIGTERM)  # which sets the default
        signal.signal(signal.SIGTERM, before)


@contextmanager
def survives_signals() -> Iterator[None]:
    """Let SIGTERM and Ctrl-C do nothing but what the block does about them itself."""
    with _handled(lambda *_: None, signal.SIGTERM, signal.SIGINT):
        yield


@contextmanager
def _handled(handler: Handler, *numbers: signal.Signals) -> Iterator[None]:
    """Let ``handler`` handle these signals within the block, and behind it what did before."""
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


def _is_importing(frame: FrameType | None) -> bool:
    return any(
        each.f_code.co_filename.startswith("<frozen importlib") for each, _ in walk_stack(frame)
    )
