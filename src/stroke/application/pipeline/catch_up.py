"""Waits until the copies hold what MySQL holds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from stroke.application.pipeline.ports import ChangeTopic, Replica, SourceOfTruth, SourceProgress
from stroke.application.pipeline.waiting import until
from stroke.domain.errors import (
    BrokerUnavailable,
    ConnectUnavailable,
    ReplicaBehind,
    ReplicaUnavailable,
)

_PASSING: Final = (BrokerUnavailable, ConnectUnavailable, ReplicaUnavailable)


class CatchingUp:
    """Waits until copies hold every transaction that MySQL has committed when the wait begins.

    The order of things: MySQL's GTID set, the connector's committed position that includes it
    (its heartbeats move it when nothing else does), the last offsets of the topic, and the
    copies that reached those.
    """

    def __init__(
        self,
        source: SourceOfTruth,
        progress: SourceProgress,
        change_topic: ChangeTopic,
        *,
        topic: str,
        source_connector: str,
        now: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._source = source
        self._progress = progress
        self._change_topic = change_topic
        self._topic = topic
        self._source_connector = source_connector
        self._now = now
        self._sleep = sleep

    async def wait(self, replicas: Sequence[Replica], *, seconds: float) -> None:
        """Return once all ``replicas`` caught up; raise ``ReplicaBehind`` after ``seconds``.

        A part that is away for a while is waited for; its own error is raised at the end.
        """
        deadline = self._now() + seconds
        wanted = await self._source.position()
        await self._until(
            lambda: self._sent(wanted),
            deadline,
            f"{self._source_connector} did not send what MySQL has committed within "
            f"{seconds:g} s: see `stroke connectors status`",
        )
        offsets = await self._change_topic.last_offsets(self._topic)
        point = ", ".join(f"{p.partition}:{offset}" for p, offset in sorted(offsets.items()))
        for replica in replicas:
            await self._until(
                lambda replica=replica: replica.reached(offsets),  # type: ignore[misc]
                deadline,
                f"{replica.name} did not reach {point} of {self._topic} (partition:offset) within "
                f"{seconds:g} s: see `stroke connectors status`, and `stroke connectors apply "
                "--dry-run`, which says if Kafka was made anew",
            )

    async def until(self, condition: Callable[[], Awaitable[bool]], *, seconds: float) -> None:
        """Return once ``condition`` holds; raise ``ReplicaBehind`` after ``seconds``."""
        await self._until(condition, self._now() + seconds, "")

    async def _until(
        self, condition: Callable[[], Awaitable[bool]], deadline: float, behind: str
    ) -> None:
        within = deadline - self._now()
        if not await until(
            condition, within=within, clock=self._now, sleep=self._sleep, passing=_PASSING
        ):
            raise ReplicaBehind(behind)

    async def _sent(self, wanted: str) -> bool:
        position = await self._progress.source_position(self._source_connector)
        return position is not None and await self._source.includes(position, wanted)
