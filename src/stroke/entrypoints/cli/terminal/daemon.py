"""The loop of the commands that keep running."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Never, TypeVar

from stroke.domain.errors import StrokeError
from stroke.entrypoints.cli.terminal.said import say

T = TypeVar("T")


async def regularly(
    look: Callable[[], Awaitable[T]], show: Callable[[T], None], *, every: float
) -> Never:
    """Look, show what was found, then wait ``every`` seconds, again and again.

    An expected error of ``look`` is one line on stderr: what was away may be back the next time.
    What ``show`` raises ends the loop. The caller decides what SIGTERM does.
    """
    import asyncio

    while True:
        try:
            found = await look()
        except StrokeError as error:
            say(str(error), "error")
        else:
            show(found)
        await asyncio.sleep(every)
