"""ConnectorWatch restarts connectors that fail or stall, and reports what it cannot heal."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from stroke.application.pipeline.connector_rules import CLASS, DEAD_LETTERS, ICEBERG_SINK
from stroke.application.pipeline.failure_causes import STALLED, UNKNOWN
from stroke.application.pipeline.kafka_connect_model import (
    ConnectorConfig,
    ConnectorState,
    ConnectorStatus,
    TopicPartition,
    in_words,
)
from stroke.application.pipeline.ports import (
    ChangeLog,
    ChangeTopic,
    ConnectorControl,
    ConnectorRegistry,
    DeadLetterQueue,
    PipelineObserver,
)
from stroke.application.pipeline.restarts import RestartPolicy, Restarts, Verdict
from stroke.application.pipeline.sink_progress import LakeGap, SinkProgress, lag
from stroke.domain.errors import ConnectorNotFound, StrokeError


class WatchEventKind(StrEnum):
    """What the watch saw or did."""

    MISSING = "missing"
    RESTARTED = "restarted"
    GAVE_UP = "gave up"
    RECOVERED = "recovered"
    LAKE_GAP = "lake gap"
    BLIND = "blind"


_HALTED: Final = (ConnectorState.PAUSED, ConnectorState.STOPPED)


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """One thing worth a log line. ``connector`` is empty if it concerns all of them."""

    kind: WatchEventKind
    connector: str
    detail: str


@dataclass(frozen=True, slots=True)
class Watched:
    """A connector at the last look; ``status`` is None where Connect has none of its name.

    ``lag`` is how many records a sink has still to read; None where that was not looked at.
    """

    name: str
    status: ConnectorStatus | None
    lag: int | None = None
    stalled: bool = False


@dataclass(frozen=True, slots=True)
class WatchPolicy:
    """When a sink counts as stalled, and rows as lost: later than a commit's interval."""

    stalled_seconds: float = 120.0
    gap_seconds: float = 120.0
    lake_every: float = 30.0
    restarts: RestartPolicy = field(default_factory=RestartPolicy)


class ConnectorWatch:
    """Watches the connectors that the files want, and all others that Connect runs.

    A connector that somebody paused or stopped is left alone. ``clock`` is monotonic seconds.
    """

    def __init__(
        self,
        *,
        registry: ConnectorRegistry,
        control: ConnectorControl,
        change_topic: ChangeTopic,
        change_log: ChangeLog,
        dead_letters: DeadLetterQueue,
        observer: PipelineObserver,
        wanted: Collection[str],
        policy: WatchPolicy,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._registry = registry
        self._control = control
        self._change_topic = change_topic
        self._change_log = change_log
        self._dead_letters = dead_letters
        self._observer = observer
        self._wanted = wanted
        self._policy = policy
        self._clock = clock
        self._restarts = defaultdict[str, Restarts](lambda: Restarts(policy.restarts))
        self._progress = defaultdict[str, SinkProgress](SinkProgress)
        self._failing = SinksThatFail(observer)
        self._gap = LakeGap(policy.gap_seconds)
        self._lake_seen_at: float | None = None
        self._running: set[str] = set()
        self._seen: dict[str, Watched] = {}

    @property
    def seen(self) -> tuple[Watched, ...]:
        """What the last look saw of each connector that it could ask for."""
        return tuple(self._seen.values())

    @property
    def all_run(self) -> bool:
        """Whether every connector that is wanted ran at the last look."""
        return self._running.issuperset(self._wanted)

    async def look(self) -> list[WatchEvent]:
        """Look once. Something that cannot be seen is an event, too, and no exception."""
        self._running.clear()
        self._seen.clear()
        try:
            there = await self._registry.names()
        except StrokeError as error:
            for name in self._wanted:
                self._observer.connector(name, running=False)
            return [WatchEvent(WatchEventKind.BLIND, "", str(error))]
        events: list[WatchEvent] = []
        for name in sorted({*self._wanted, *there}):
            try:
                # Connect has the state of one that was removed for a moment longer than itself.
                events += await self._look_at(name) if name in there else self._missing(name)
            except StrokeError as error:
                events.append(WatchEvent(WatchEventKind.BLIND, name, str(error)))
        return events

    async def _look_at(self, name: str) -> list[WatchEvent]:
        try:
            status = await self._control.status(name)
        except ConnectorNotFound:
            return self._missing(name)
        self._seen[name] = Watched(name, status)
        self._observer.connector(name, running=status.is_running)
        if status.is_running:
            self._running.add(name)
        if status.has_failed:
            self._progress[name].is_well(self._clock())
            if status.kind == "sink":
                words = "; ".join(cause.words for cause in status.causes)
                self._failing.failed(name, words or UNKNOWN.words)
            why = _reasons(status)
            advice = "; ".join(cause.advice for cause in status.causes)
            return await self._heal(name, why, kind=why, only_failed=True, advice=advice)
        if not status.is_running:
            self._progress[name].is_well(self._clock())
            if status.state in _HALTED:
                self._failing.is_over(name)
            return []
        events = await self._look_at_sink(name) if status.kind == "sink" else []
        if not self._progress[name].stalled and self._restarts[name].well(self._clock()):
            self._observer.unhealed(name, restarts=0)
            events.append(WatchEvent(WatchEventKind.RECOVERED, name, "it runs"))
        return events

    def _missing(self, name: str) -> list[WatchEvent]:
        self._seen[name] = Watched(name, None)
        self._failing.is_over(name)
        self._observer.connector(name, running=False)
        return [WatchEvent(WatchEventKind.MISSING, name, "run `stroke connectors apply`")]

    async def _heal(
        self, name: str, why: str, *, kind: str, only_failed: bool, advice: str = ""
    ) -> list[WatchEvent]:
        """Restart it, or wait, or say that this does not help; like failures have one ``kind``."""
        restarts = self._restarts[name]
        verdict = restarts.ask(self._clock(), kind)
        self._observer.unhealed(name, restarts=restarts.same if restarts.is_unhealed else 0)
        if verdict is Verdict.WAIT:
            return []
        if verdict is Verdict.GIVE_UP:
            detail = f"{why}; restarts do not help: see its log"
            if restarts.is_unhealed:
                detail = (
                    f"{why}; it fails in the same way after {restarts.same} restarts, and the "
                    f"next one follows {restarts.pause:.0f} s after the last. "
                    f"{advice or 'See its log'}"
                )
            return [WatchEvent(WatchEventKind.GAVE_UP, name, detail)]
        await self._control.restart(name, only_failed=only_failed)
        self._observer.restarted(name)
        return [WatchEvent(WatchEventKind.RESTARTED, name, why)]

    async def _look_at_sink(self, name: str) -> list[WatchEvent]:
        config = await self._registry.config(name) or {}
        committed = await self._control.offsets(name)
        last: dict[TopicPartition, int] = {}
        for topic in filter(None, (t.strip() for t in config.get("topics", "").split(","))):
            last.update(await self._change_topic.last_offsets(topic))
        events = await self._look_at_progress(name, config, committed, last)
        if config.get(CLASS) == ICEBERG_SINK:
            events += await self._look_at_lake(name, config, committed)
        return events

    async def _look_at_progress(
        self,
        name: str,
        config: ConnectorConfig,
        committed: Mapping[TopicPartition, int],
        last: Mapping[TopicPartition, int],
    ) -> list[WatchEvent]:
        """A sink that commits nothing while there is more to read has failed, in any state."""
        progress = self._progress[name]
        still = progress.seconds_still(self._clock(), committed, last)
        to_go = lag(committed, last)
        events: list[WatchEvent] = []
        if not to_go or self._failing.has_moved(name, committed):
            self._failing.is_over(name)
        if still >= self._policy.stalled_seconds:
            if await self._are_parked(config, _ends(committed, last)):
                progress.is_well(self._clock())
                self._failing.is_over(name)
            else:
                if name not in self._failing:  # else its cause says more
                    self._failing.failed(name, STALLED.words)
                why = f"nothing committed for {still:.0f} s, {to_go} records to go"
                events = await self._heal(name, why, kind="stalled", only_failed=False)
                progress.was_restarted(self._clock())
        self._observer.sink(name, lag=to_go, stalled=progress.stalled)
        self._seen[name] = replace(self._seen[name], lag=to_go, stalled=progress.stalled)
        return events

    async def _look_at_lake(
        self, name: str, config: ConnectorConfig, committed: Mapping[TopicPartition, int]
    ) -> list[WatchEvent]:
        """Find rows that are lost silently: offsets are committed and the table stays behind."""
        now = self._clock()
        if self._lake_seen_at is not None and now - self._lake_seen_at < self._policy.lake_every:
            return []
        self._lake_seen_at = now
        lineage = await self._change_log.lineage()
        # Offsets of another Kafka cluster say nothing about this one's.
        ours = lineage is not None and lineage.cluster_id == await self._registry.cluster_id()
        highest = lineage.offsets if lineage is not None and ours else {}
        gap = self._gap.records(now, committed, highest)
        if gap and await self._are_parked(config, {at: x - 1 for at, x in committed.items()}):
            gap = 0
        self._observer.lake_gap(gap)
        if not gap:
            return []
        detail = (
            f"{gap} records were committed as read and are not in the table, as when Kafka or "
            "the control topic is made anew: `stroke connectors apply`, `stroke pipeline verify`"
        )
        return [WatchEvent(WatchEventKind.LAKE_GAP, name, detail)]

    async def _are_parked(
        self, config: ConnectorConfig, ends: Mapping[TopicPartition, int]
    ) -> bool:
        """Return whether these records are dead letters: then the sink has read up to them.

        Neither Connect nor a skipped offset moves what the sink commits and writes past a dead
        letter at the end of a partition.
        """
        topic = config.get(DEAD_LETTERS)
        if not topic:
            return False
        letters = await self._dead_letters.letters(topic)
        parked = {(TopicPartition(x.topic, x.partition), x.offset) for x in letters}
        return set(ends.items()) <= parked


class SinksThatFail:
    """Sinks that failed and have not written anything since, though they may run at the moment.

    A sink that is restarted runs until it comes to what it failed on. Whoever looks meanwhile
    learns the cause from here.
    """

    def __init__(self, observer: PipelineObserver) -> None:
        self._observer = observer
        self._committed: dict[str, Mapping[TopicPartition, int] | None] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._committed

    def failed(self, name: str, cause: str) -> None:
        """Note that the sink failed now, of ``cause`` in words."""
        self._committed[name] = None
        self._observer.sink_failed(name, cause)

    def has_moved(self, name: str, committed: Mapping[TopicPartition, int]) -> bool:
        """Return whether the sink, which runs, committed more than when it first ran again."""
        if name not in self._committed:
            return False
        before = self._committed[name]
        if before is None:
            self._committed[name] = dict(committed)
        return before is not None and before != committed

    def is_over(self, name: str) -> None:
        """Note that the sink wrote, or has nothing to write, or was halted by somebody."""
        if name in self._committed:
            del self._committed[name]
            self._observer.sink_failed(name, "")


def _ends(
    committed: Mapping[TopicPartition, int], last: Mapping[TopicPartition, int]
) -> dict[TopicPartition, int]:
    return {at: offset for at, offset in last.items() if offset >= committed.get(at, 0)}


def _reasons(status: ConnectorStatus) -> str:
    failed = [task for task in status.tasks if task.state is ConnectorState.FAILED]
    reasons = [in_words(status.cause, status.reason)]
    reasons += [task.why for task in failed]
    return ", ".join(filter(None, dict.fromkeys(reasons))) or "it failed"
