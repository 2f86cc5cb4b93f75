"""ConnectorService applies the connectors of the files, and restarts, pauses and removes them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from stroke.application.pipeline.connector_rules import CLASS, CONTROL_TOPIC, is_lake, violations_of
from stroke.application.pipeline.connector_topics import LIMIT, own_topics
from stroke.application.pipeline.consistency import NextRecord
from stroke.application.pipeline.failure_causes import Concerns
from stroke.application.pipeline.kafka_connect_model import (
    Change,
    ConnectorConfig,
    ConnectorSpec,
    ConnectorState,
    ConnectorStatus,
    TopicPartition,
    differences,
)
from stroke.application.pipeline.ports import (
    ChangeLog,
    ChangeTopic,
    ConnectorControl,
    ConnectorRegistry,
    ConnectorSpecs,
    DeadLetterQueue,
)
from stroke.application.pipeline.waiting import until
from stroke.domain.errors import (
    ConnectorFailed,
    ConnectorNotFound,
    ConnectUnavailable,
    InvalidConnector,
    LineageBroken,
    ReplicaUnavailable,
)

# A status can be that of tasks which are gone: RUNNING and FAILED count once they stay.
_RUNS_FOR: Final = 2.0
_FAILS_FOR: Final = 10.0
_ANOTHER_TRY_AFTER: Final = 3.0
_HALTED: Final = (ConnectorState.PAUSED, ConnectorState.STOPPED)


@dataclass(frozen=True, slots=True)
class TopicLimit:
    """A topic whose records may have ``before`` bytes, and are to have up to ``after``."""

    topic: str
    before: int
    after: int

    def __str__(self) -> str:
        """``topic NAME: max.message.bytes: before -> after``."""
        return f"topic {self.topic}: {LIMIT}: {self.before} -> {self.after}"


@dataclass(frozen=True, slots=True)
class Plan:
    """What ``apply`` is about to do to one connector.

    ``changes`` is empty where Connect has the config already; ``note`` says what else there is.
    ``limits`` are the topics of the connector that take smaller records than it may send.
    """

    spec: ConnectorSpec
    is_new: bool
    changes: list[Change]
    note: str = ""
    limits: Sequence[TopicLimit] = ()


class ConnectorService:
    """Makes Connect run what the files define. A name is a file's or a connector's."""

    def __init__(
        self,
        *,
        registry: ConnectorRegistry,
        control: ConnectorControl,
        specs: ConnectorSpecs,
        change_topic: ChangeTopic,
        change_log: ChangeLog,
        dead_letters: DeadLetterQueue | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._registry = registry
        self._control = control
        self._specs = specs
        self._change_topic = change_topic
        self._change_log = change_log
        self._dead_letters = dead_letters
        self._sleep = sleep
        self._clock = clock

    async def wait_for_connect(self, within: float) -> None:
        """Return once Connect answers; raise ``ConnectUnavailable`` after ``within`` seconds."""

        async def answers() -> bool:
            await self._registry.names()
            return True

        await self._until(answers, within, passing=(ConnectUnavailable,))

    async def plan(self, names: Sequence[str] = (), *, migrate: bool = False) -> list[Plan]:
        """Return what gives Connect the configs of the named files, or of all.

        Changes nothing. Raises ``InvalidConnector`` for a config that breaks our rules or
        Connect's, and ``LineageBroken`` where the Iceberg sink would lose rows.
        """
        cluster_id = await self._registry.cluster_id()
        specs = [self._specs.load(file, cluster_id=cluster_id) for file in self._files(names)]
        for spec in specs:
            await self._refuse_wrong(spec, cluster_id)
        return [await self._plan(spec, cluster_id, migrate=migrate) for spec in specs]

    async def apply(
        self,
        plans: Sequence[Plan],
        *,
        within: float,
        on_running: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Carry ``plans`` out; return once all connectors run, calling ``on_running`` with each.

        What Connect has already is not sent again, and nothing is removed first. Raises
        ``ConnectorFailed`` when one does not come to run within ``within`` seconds.
        """
        for plan in plans:
            await self._carry_out(plan)
        for plan in plans:
            await self._wait_until_running(plan, within)
            on_running(plan.spec.name)

    async def once_reachable(
        self, work: Callable[[], Awaitable[None]], waiting: Callable[[str], None]
    ) -> None:
        """Run ``work``, and again while a copy that it needs cannot be reached.

        ``waiting`` gets each new cause once. All other errors of ``work`` are raised.
        """
        known = ""
        while True:
            try:
                await work()
            except ReplicaUnavailable as error:
                if known != str(error):
                    known = str(error)
                    waiting(known)
                await self._sleep(_ANOTHER_TRY_AFTER)
            else:
                return

    async def statuses(self) -> list[ConnectorStatus]:
        """Return the status of every connector of Connect."""
        return [await self._control.status(name) for name in await self._registry.names()]

    async def in_the_way(self, status: ConnectorStatus) -> NextRecord | None:
        """Return the next record that a sink which fails has to take: it, or one after it, fails.

        The sink reads many at a time; after `dlq park --dry-run` this is the one. Where the sink
        names the record (``ConnectorStatus.failing_record``), it is that one. None is returned
        of a sink that does not fail, or fails for a cause that no record has.
        """
        places = {cause.concerns for cause in status.causes} == {Concerns.PLACE}
        if self._dead_letters is None or status.kind != "sink" or not status.has_failed or places:
            return None
        if status.failing_record is not None:
            return await self._dead_letters.next_record(*status.failing_record)
        offsets = await self._control.offsets(status.name)
        if not offsets:  # it never committed
            config = await self._registry.config(status.name) or {}
            offsets = {TopicPartition(config.get("topics", "").partition(",")[0], 0): 0}
        place, committed = next(iter(offsets.items()))
        return await self._dead_letters.next_record(place, committed)

    async def missing(self) -> list[str]:
        """Return the connectors that the files want and Connect does not have."""
        present = set(await self._registry.names())
        return sorted(set(self._specs.names().values()) - present)

    async def differing(self) -> dict[str, list[str]]:
        """Return the settings in which Connect's connectors differ from their files, by name.

        Connect validates nothing here, so that no database behind it is asked; connectors that
        are missing are not compared.
        """
        cluster_id = await self._registry.cluster_id()
        found = {}
        for file in self._files(()):
            spec = self._specs.load(file, cluster_id=cluster_id)
            running = await self._registry.config(spec.name)
            if running is None:
                continue
            differing = [change.key for change in differences(running, spec.config)]
            differing += [f"{LIMIT} of {low.topic}" for low in await self._too_low(spec.config)]
            if differing:
                found[spec.name] = differing
        return found

    async def restart(self, names: Sequence[str] = (), *, only_failed: bool = False) -> list[str]:
        """Restart the named connectors, or all; return their names."""
        return await self._each(
            names, lambda name: self._control.restart(name, only_failed=only_failed)
        )

    async def pause(self, names: Sequence[str] = ()) -> list[str]:
        """Pause the named connectors, or all; return their names."""
        return await self._each(names, self._control.pause)

    async def resume(self, names: Sequence[str] = ()) -> list[str]:
        """Resume the named connectors, or all; return their names."""
        return await self._each(names, self._control.resume)

    async def remove(self, names: Sequence[str], *, dry_run: bool = False) -> list[str]:
        """Remove the named connectors; return their names. Their offsets stay."""
        if dry_run:
            return await self._present(names)
        return await self._each(names, self._registry.remove)

    async def _each(self, names: Sequence[str], do: Callable[[str], Awaitable[None]]) -> list[str]:
        present = await self._present(names)
        for name in present:
            await do(name)
        return present

    async def _present(self, names: Sequence[str]) -> list[str]:
        """Return the names of connectors, which have to be there; all of them for no name."""
        present = await self._registry.names()
        of_files = self._specs.names()
        wanted = [of_files.get(name, name) for name in names]
        for name in wanted:
            if name not in present:
                raise ConnectorNotFound(name, tuple(present))
        return list(dict.fromkeys(wanted)) or present

    def _files(self, names: Sequence[str]) -> list[str]:
        """Return the names of the files, the source's first."""
        connectors = self._specs.names()
        by_connector = {name: file for file, name in connectors.items()}
        files = []
        for name in names or connectors:
            file = by_connector.get(name, name)
            if file not in connectors:
                raise ConnectorNotFound(name, (*connectors, *by_connector))
            files.append(file)
        return sorted(set(files))

    async def _refuse_wrong(self, spec: ConnectorSpec, cluster_id: str) -> None:
        """Raise ``InvalidConnector`` for a wrong value, before Connect gets it."""
        keys = await self._registry.known_keys(spec.config.get(CLASS, ""))
        found = violations_of(spec, cluster_id, keys)
        # Connect sees it only after that: its validation may open connections, and quotes values.
        found = found or await self._registry.check(spec.name, spec.config)
        if found:
            raise InvalidConnector(spec.name, tuple(found))

    async def _plan(self, spec: ConnectorSpec, cluster_id: str, *, migrate: bool) -> Plan:
        running = await self._registry.config(spec.name)
        note = ""
        if is_lake(spec.config):
            note = await self._lineage_note(spec, running, cluster_id, migrate=migrate)
        changes = differences(running, spec.config)
        return Plan(spec, running is None, changes, note, await self._too_low(spec.config))

    async def _lineage_note(
        self,
        spec: ConnectorSpec,
        running: ConnectorConfig | None,
        cluster_id: str,
        *,
        migrate: bool,
    ) -> str:
        """Return what a new Kafka cluster means for the table, or raise if rows would be lost.

        A control topic made anew while the table survives loses rows silently, while the
        sink is RUNNING (apache/iceberg #15293): each Kafka cluster has one of its own.
        """
        control_topic = spec.config[CONTROL_TOPIC]
        before = running.get(CONTROL_TOPIC) if running else None
        if before not in {None, control_topic} and not migrate:
            raise LineageBroken(
                f"{spec.name} runs with the control topic {before}, not with that of this Kafka "
                f"cluster, {control_topic}: rows may not reach the table. Apply it with "
                "--migrate, then run `stroke pipeline verify`"
            )
        lineage = await self._change_log.lineage()
        if lineage is None or lineage.cluster_id is None:
            return ""
        if lineage.cluster_id == cluster_id:
            await self._refuse_lost_control_topic(control_topic)
            return ""
        return (
            f"the table was last written from the Kafka cluster {lineage.cluster_id}; this one "
            f"({cluster_id}) gets the control topic {control_topic}. Run `stroke pipeline verify`"
        )

    async def _refuse_lost_control_topic(self, control_topic: str) -> None:
        """Each commit to the table left records in the control topic, which keeps them all."""
        if not await self._change_topic.last_offsets(control_topic):
            raise LineageBroken(
                f"the table was written from this Kafka cluster, but the control topic "
                f"{control_topic} is empty or gone: with it, rows would not reach the table. "
                f"Give {CONTROL_TOPIC} another name with {{cluster_id}} in its file, apply it "
                "with --migrate, then run `stroke pipeline verify`"
            )

    async def _carry_out(self, plan: Plan) -> None:
        for topic, config in own_topics(plan.spec.config).items():
            await self._change_topic.ensure_topic(topic, config)
        for low in plan.limits:
            await self._change_topic.set_limit(low.topic, low.after)
        if is_lake(plan.spec.config):
            await self._change_log.ensure_table()
        if plan.is_new or plan.changes:
            await self._registry.put(plan.spec.name, plan.spec.config)

    async def _too_low(self, config: ConnectorConfig) -> list[TopicLimit]:
        """Return the topics that are there and would refuse what the connector may send.

        A higher limit than is needed is left: it refuses nothing.
        """
        found = []
        for topic, settings in own_topics(config).items():
            wanted = int(settings.get(LIMIT, 0))
            limit = await self._change_topic.limit(topic) if wanted else None
            if limit is not None and limit < wanted:
                found.append(TopicLimit(topic, limit, wanted))
        return found

    async def _wait_until_running(self, plan: Plan, within: float) -> None:
        name = plan.spec.name
        steady = _RUNS_FOR if plan.changes else 0.0
        since, before = self._clock(), ""

        async def runs() -> bool:
            nonlocal since, before
            status = await self._status(name)
            now = self._clock()
            seen = status.summary if status else "Connect has not started it"
            if seen != before:
                since, before = now, seen
            if status and status.is_running and now - since >= steady:
                return True
            if status and status.state in _HALTED:
                raise ConnectorFailed(
                    f"{name} is {status.state}: `stroke connectors resume {name}` lets it run"
                )
            if status and status.has_failed and now - since >= _FAILS_FOR:
                raise ConnectorFailed(f"{name} does not run: {seen}")
            return False

        if not await self._until(runs, within):
            raise ConnectorFailed(f"{name} does not run: {before}")

    async def _until(
        self,
        condition: Callable[[], Awaitable[bool]],
        within: float,
        passing: tuple[type[Exception], ...] = (),
    ) -> bool:
        return await until(
            condition, within=within, clock=self._clock, sleep=self._sleep, passing=passing
        )

    async def _status(self, name: str) -> ConnectorStatus | None:
        try:
            return await self._control.status(name)
        except ConnectorNotFound:  # Connect has accepted the config and not started it yet
            return None


def checked(specs: ConnectorSpecs, cluster_id: str) -> list[ConnectorSpec]:
    """Return the connectors of all files for the Kafka cluster with this id.

    Raises ``InvalidConnector`` for a config that breaks our rules. Connect is not asked, so a
    misspelt key is not found.
    """
    found = [specs.load(file, cluster_id=cluster_id) for file in sorted(specs.names())]
    for spec in found:
        if broken := violations_of(spec, cluster_id):
            raise InvalidConnector(spec.name, tuple(broken))
    return found
