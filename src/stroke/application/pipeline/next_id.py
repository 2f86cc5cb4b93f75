"""Which id MySQL must give next, so that it names a row that nobody has heard of.

A restored MySQL knows less than its copies: without this it would give ids anew that copies, topic
and lake know as other patients'.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from stroke.application.pipeline.ports import ChangeTopic, Replica, SourceOfTruth
from stroke.domain.errors import InvalidData
from stroke.domain.prediction import LARGEST_ID

REACH = 1_000_000
"""A copy that others write to is believed up to so many ids above what the other places know."""


@dataclass(frozen=True, slots=True)
class NextId:
    """What MySQL gives next, and what it should give.

    ``seen`` holds the highest id by place, None where there is none. The ids of the places in
    ``unbelieved`` are so far above all others that they do not count: a row that somebody wrote
    into a copy by hand would spend all ids below its own.
    """

    gives: int
    wanted: int
    seen: Mapping[str, int | None] = field(default_factory=dict)
    unbelieved: Sequence[str] = ()

    @property
    def is_safe(self) -> bool:
        """Whether every id that MySQL gives from now on is new."""
        return self.gives >= self.wanted


def next_id(
    gives: int,
    *,
    stored: int | None,
    logs: Mapping[str, int | None],
    copies: Mapping[str, int | None],
) -> NextId:
    """Return what MySQL should give next.

    ``gives`` is what it gives now, ``stored`` its highest id. ``logs`` give the highest id by
    place of what only MySQL's own binlog wrote, ``copies`` of what others can write to as well.
    """
    known = max([gives - 1, stored or 0, *(seen or 0 for seen in logs.values())])
    believed = {name: seen for name, seen in copies.items() if (seen or 0) <= known + REACH}
    highest = min(max([known, *(seen or 0 for seen in believed.values())]), LARGEST_ID - 1)
    return NextId(
        gives=gives,
        wanted=highest + 1,
        seen={"MySQL": stored, **logs, **copies},
        unbelieved=sorted(copies.keys() - believed.keys()),
    )


class NextIds:
    """Asks all places for the ids that they have seen, and lets MySQL continue above them.

    ``logs`` and ``copies`` are replicas by the words for them; see ``next_id``.
    """

    def __init__(
        self,
        source: SourceOfTruth,
        topic: ChangeTopic,
        *,
        name: str,
        logs: Mapping[str, Replica],
        copies: Mapping[str, Replica],
    ) -> None:
        self._source = source
        self._topic = topic
        self._name = name
        self._logs = logs
        self._copies = copies

    async def look(self, *, with_topic: bool = True) -> NextId:
        """Ask all places. Raises what they raise when one of them does not answer."""
        gives = await self._source.next_id()
        if gives is None:
            raise InvalidData("MySQL's table gives no ids by itself: its id is no AUTO_INCREMENT")
        bounds = await self._source.bounds()
        logs = {word: await _highest(log) for word, log in self._logs.items()}
        if with_topic:
            logs[f"the topic {self._name}"] = await self._topic.highest_id(self._name)
        copies = {word: await _highest(copy) for word, copy in self._copies.items()}
        return next_id(gives, stored=bounds and bounds[1], logs=logs, copies=copies)

    async def settle(self, found: NextId) -> NextId:
        """Let MySQL continue where ``found`` wants it to, and return what it gives then."""
        if not found.is_safe:
            await self._source.continue_at(found.wanted)
        gives = await self._source.next_id()
        return NextId(gives or 0, found.wanted, found.seen, found.unbelieved)


async def _highest(replica: Replica) -> int | None:
    bounds = await replica.bounds()
    return None if bounds is None else bounds[1]
