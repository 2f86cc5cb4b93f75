"""Notices to a webhook that a canary was taken back, while nobody waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from stroke.application.models.ports import Webhook
from stroke.domain.deployment import Deployment
from stroke.domain.errors import EndpointUnavailable

_LONGEST_PAUSE: Final = 60.0


class Notices:
    """Sends each notice ``attempts`` times at most, with pauses that double from one second on.

    Without a ``webhook`` nothing is sent. ``tell`` gets what was given up, and why. ``sleep`` waits
    for some seconds. A notice names versions and figures of groups, and no patient.
    """

    def __init__(
        self,
        webhook: Webhook | None,
        *,
        attempts: int,
        tell: Callable[[str], object],
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._webhook = webhook
        self._attempts = attempts
        self._tell = tell
        self._sleep = sleep
        self._sending: set[asyncio.Task[None]] = set()

    def taken_back(self, version: str, guard: str, after: Deployment) -> None:
        """Begin to say that the canary ``version`` was taken back; return at once."""
        if self._webhook is None:
            return
        document = {
            "event": "canary-breach",
            "model_version": version,
            "guard": guard,
            "reason": after.reason,
            "champion": after.champion.version,
            "deployment": after.number,
            "at": None if after.at is None else after.at.isoformat(),
        }
        task = asyncio.get_running_loop().create_task(self._send(self._webhook, document))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def close(self, seconds: float = 5) -> None:
        """Wait ``seconds`` at the most for what is being sent, and give up the rest."""
        if not self._sending:
            return
        _, late = await asyncio.wait(self._sending, timeout=seconds)
        for task in late:
            task.cancel()

    async def _send(self, webhook: Webhook, document: Mapping[str, object]) -> None:
        pause = 1.0
        for attempt in range(1, self._attempts + 1):
            try:
                await webhook.send(document)
            except EndpointUnavailable as error:
                if attempt == self._attempts:
                    self._tell(f"no webhook was told that the canary was taken back: {error}")
                    return
            else:
                return
            await self._sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
