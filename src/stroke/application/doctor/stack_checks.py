"""The checks of a stack, and what to do when one of them fails."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Final, TypeVar

from stroke.application.doctor.canary import Canary
from stroke.application.doctor.doctor import Check
from stroke.application.doctor.part_failures import explained
from stroke.application.doctor.ports import Metrics, PredictionApi, Schema, SchemaRegistryProbe
from stroke.application.pipeline.connectors import ConnectorService
from stroke.application.pipeline.consistency import DeadLetter
from stroke.application.pipeline.failure_causes import advice_for
from stroke.application.pipeline.kafka_connect_model import ConnectorStatus
from stroke.application.pipeline.ports import ChangeTopic, Replica, SourceOfTruth
from stroke.domain.errors import (
    ConnectorFailed,
    EndpointUnavailable,
    ReplicaUnavailable,
    RowsParked,
    StoreUnavailable,
    StrokeError,
    wrong_schema,
)

# The names of the checks, as they are printed.
API: Final = "API"
READY: Final = "API is ready"
MYSQL: Final = "MySQL"
SCHEMA: Final = "schema"
KAFKA: Final = "Kafka"
REGISTRY: Final = "schema registry"
CONNECT: Final = "Kafka Connect"
RUNNING: Final = "connectors run"
AS_FILED: Final = "connectors as filed"
HEALED: Final = "restarts heal"
LETTERS: Final = "dead letters"
SQL_SINK: Final = "SQL sink"
LAKE: Final = "lake"
SQL_ROWS: Final = "rows of the SQL sink"
LAKE_ROWS: Final = "rows of the lake"
STORED: Final = "canary predicted"
IN_MYSQL: Final = "canary in MySQL"
IN_SQL: Final = "canary in the SQL sink"
IN_LAKE: Final = "canary in the lake"
ERASED: Final = "canary erased"
GONE_FROM_SQL: Final = "canary gone from the SQL sink"
GONE_FROM_LAKE: Final = "canary gone from the lake"
API_METRICS: Final = "metrics of the API"
CONNECT_METRICS: Final = "metrics of Kafka Connect"
WATCH_METRICS: Final = "metrics of the watcher"
VERIFY_METRICS: Final = "metrics of verify"

_UNHEALED: Final = "stroke_connector_unhealed_restarts"
SINK_FAILED_AT: Final = "stroke_sink_failed_timestamp_seconds"
"""A gauge: when a sink last failed, in seconds since 1970, until it has written since."""
EXPOSED: Final[Mapping[str, frozenset[str]]] = {
    API_METRICS: frozenset(
        {
            "http_requests",
            "http_request_duration_seconds",
            "stroke_predictions",
            "stroke_prediction_probability",
            "stroke_store_seconds",
            "stroke_queue_depth",
        }
    ),
    CONNECT_METRICS: frozenset(
        {"kafka_connect_connector_status", "kafka_connect_connector_task_status"}
    ),
    WATCH_METRICS: frozenset(
        {
            "stroke_connector_running",
            "stroke_connector_restarts",
            _UNHEALED,
            SINK_FAILED_AT,
            "stroke_sink_lag_records",
            "stroke_pipeline_stalled",
            "stroke_lake_gap_records",
        }
    ),
    VERIFY_METRICS: frozenset(
        {
            "stroke_pipeline_verify_missing",
            "stroke_pipeline_verify_extra",
            "stroke_pipeline_verify_different",
            "stroke_pipeline_verify_duplicates",
            "stroke_pipeline_verify_rows",
            "stroke_pipeline_verify_timestamp_seconds",
        }
    ),
}
"""What each process is documented to expose, without the endings of counters and histograms."""

_CONNECT_URL: Final = "STROKE_CONNECT_URL"
_SQL_SETTING: Final = "MSSQL_HOST or STROKE_SINK_URL"
_LAKE_SETTING: Final = "STROKE_LAKE_CATALOG_URI"
_MYSQL_SETTING: Final = "MYSQL_HOST: without it the service keeps its rows in SQLite"
_SETTINGS: Final = {
    **dict.fromkeys((MYSQL, SCHEMA, IN_MYSQL), _MYSQL_SETTING),
    KAFKA: "STROKE_KAFKA_BOOTSTRAP_SERVERS",
    REGISTRY: "SCHEMA_REGISTRY_URL",
    **dict.fromkeys((CONNECT, RUNNING, AS_FILED, HEALED, LETTERS, *EXPOSED), _CONNECT_URL),
    **dict.fromkeys((SQL_SINK, SQL_ROWS, IN_SQL, GONE_FROM_SQL), _SQL_SETTING),
    **dict.fromkeys((LAKE, LAKE_ROWS, IN_LAKE, GONE_FROM_LAKE), _LAKE_SETTING),
}
_Part = TypeVar("_Part")
Letters = Callable[[], Awaitable[Sequence[DeadLetter]]]
"""Gives the dead letters that wait. Raises ``BrokerUnavailable``."""

_SHOWN: Final = 5
_TOLD_WITHIN: Final = 5.0
"""Seconds within which a process says what explains a failure."""
_BACK_IN_TIME: Final = timedelta(minutes=1)
"""How far before the last commit Iceberg's library for Java lets the next one be."""
_PAGE: Final = "docs/operations.md"
_VERIFY: Final = f"`stroke pipeline verify`; {_PAGE}#a-copy-is-behind-or-wrong"


@dataclass(frozen=True, slots=True)
class StackParts:
    """What is examined; None is not configured. ``metrics`` are by the names of ``EXPOSED``."""

    api: PredictionApi
    schema: Schema | None
    source: SourceOfTruth | None
    change_topic: ChangeTopic | None
    topic: str
    registry: SchemaRegistryProbe | None
    connectors: ConnectorService | None
    sql: Replica | None
    lake: Replica | None
    letters: Letters | None
    metrics: Mapping[str, Metrics]
    sql_types: Callable[[], Awaitable[Mapping[str, str]]] | None = None
    """Names the columns of the SQL copy that have other types than ours."""
    lake_ahead: Callable[[], Awaitable[timedelta]] | None = None
    """Says how far the newest time in the lake's table is ahead of the clock here."""
    broker_metrics: Metrics | None = None
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    now: Callable[[], float] = time.time
    """Seconds since 1970."""


def checks_of(parts: StackParts, canary: Canary, *, waits: float) -> list[Check]:
    """Return all checks, each after those that it needs. ``waits``: seconds for one wait."""
    return [
        *_of_service(parts),
        *_of_pipeline(parts, waits),
        # Beyond its own limit a wait could not say what it waited for.
        *_of_canary(parts, canary, waits + 30),
        *_of_metrics(parts),
    ]


def _of_service(parts: StackParts) -> list[Check]:
    async def live() -> str:
        await parts.api.live()
        return "answers"

    async def ready() -> str:
        return ", ".join(f"{name} {state}" for name, state in (await parts.api.ready()).items())

    return [
        Check(API, live, f"`deploy/stack.sh logs api`; {_PAGE}#the-api-does-not-answer"),
        Check(READY, ready, f"`stroke db status`; {_PAGE}#the-api-is-not-ready", needs=[API]),
        _check(parts.schema, MYSQL, _revision, f"{_PAGE}#mysql-does-not-answer"),
        _check(parts.schema, SCHEMA, _at_head, "`stroke db upgrade`", needs=[MYSQL]),
    ]


def _of_pipeline(parts: StackParts, waits: float) -> list[Check]:
    async def on_kafka(topic: ChangeTopic) -> str:
        found = await topic.last_offsets(parts.topic)
        records = sum(offset + 1 for offset in found.values())
        return f"{parts.topic}: {records:,} records" if found else f"{parts.topic}: no records yet"

    async def subjects(registry: SchemaRegistryProbe) -> str:
        return f"{await registry.subjects()} subjects"

    connectors = parts.connectors
    worker = parts.metrics.get(CONNECT_METRICS)
    return [
        _check(
            parts.change_topic,
            KAFKA,
            _explaining(parts, on_kafka, parts.broker_metrics),
            f"{_PAGE}#kafka-does-not-answer",
        ),
        _check(parts.registry, REGISTRY, subjects, f"{_PAGE}#the-schema-registry-does-not-answer"),
        _check(
            connectors,
            CONNECT,
            _explaining(parts, _names, worker),
            f"{_PAGE}#kafka-connect-does-not-answer",
        ),
        _check(
            connectors,
            RUNNING,
            partial(_all_run, parts, waits),
            f"`stroke connectors restart --only-failed`; {_PAGE}#a-connector-does-not-run",
            needs=[CONNECT],
            seconds=waits + 30,
        ),
        _check(
            connectors,
            AS_FILED,
            _as_filed,
            "`stroke connectors apply --dry-run`, then `stroke connectors apply`",
            needs=[CONNECT],
        ),
        _check(
            parts.letters,
            LETTERS,
            _none_waits,
            "`stroke pipeline dlq list`, mend the cause, `stroke pipeline dlq replay`; "
            f"{_PAGE}#a-connector-does-not-run",
            needs=[KAFKA],
        ),
        _check(parts.sql, SQL_SINK, _readable, f"{_PAGE}#the-sql-sink-does-not-answer"),
        _check(
            parts.lake, LAKE, partial(_takes_commits, parts), f"{_PAGE}#the-lake-cannot-be-read"
        ),
        *(
            _check(
                copy,
                name,
                partial(_holds_rows, parts, waits),
                _VERIFY,
                needs=[needed],
                seconds=waits + 30,
            )
            for copy, name, needed in (
                (parts.sql, SQL_ROWS, SQL_SINK),
                (parts.lake, LAKE_ROWS, LAKE),
            )
        ),
    ]


def _of_metrics(parts: StackParts) -> list[Check]:
    def check(name: str, wanted: frozenset[str]) -> Check:
        async def scrape(metrics: Metrics) -> str:
            absent = sorted(wanted - await metrics.names())
            if absent:
                raise EndpointUnavailable(f"does not expose {', '.join(absent)}")
            return f"{len(wanted)} documented names"

        # Connect knows of a connector some seconds after it has begun to run.
        return _check(
            parts.metrics.get(name),
            name,
            scrape,
            f"{_PAGE}#metrics-are-missing",
            after=[IN_SQL, IN_LAKE],
        )

    healed = _check(
        parts.metrics.get(WATCH_METRICS),
        HEALED,
        _restarts_heal,
        f"`stroke connectors status`; {_PAGE}#a-connector-does-not-run",
        needs=[WATCH_METRICS],
    )
    return [*(check(name, wanted) for name, wanted in EXPOSED.items()), healed]


def _of_canary(parts: StackParts, canary: Canary, seconds: float) -> list[Check]:
    async def stored(_: SourceOfTruth) -> str:
        return await canary.is_stored()

    stays = f"{_PAGE}#a-canary-stays"
    arrivals = [IN_MYSQL, IN_SQL, IN_LAKE]
    return [
        Check(
            STORED, canary.set_out, f"{_PAGE}#the-api-is-not-ready", needs=[READY], seconds=seconds
        ),
        _check(parts.source, IN_MYSQL, stored, "`stroke db status`", needs=[STORED, SCHEMA]),
        _check(
            parts.sql,
            IN_SQL,
            canary.reaches,
            _VERIFY,
            needs=[IN_MYSQL, RUNNING, SQL_SINK],
            seconds=seconds,
        ),
        _check(
            parts.lake,
            IN_LAKE,
            canary.reaches,
            _VERIFY,
            needs=[IN_MYSQL, RUNNING, LAKE],
            seconds=seconds,
        ),
        Check(ERASED, canary.erase, stays, needs=[STORED], after=arrivals),
        _check(
            parts.sql, GONE_FROM_SQL, canary.leaves, stays, needs=[ERASED, IN_SQL], seconds=seconds
        ),
        _check(
            parts.lake,
            GONE_FROM_LAKE,
            canary.leaves,
            stays,
            needs=[ERASED, IN_LAKE],
            seconds=seconds,
        ),
    ]


def _check(
    part: _Part | None,
    name: str,
    look: Callable[[_Part], Awaitable[str]],
    remedy: str,
    *,
    needs: Sequence[str] = (),
    after: Sequence[str] = (),
    seconds: float = 0.0,
) -> Check:
    """Return the check of a part that may not be configured."""
    work = None if part is None else partial(look, part)
    return Check(name, work, remedy, needs, after, _SETTINGS[name], seconds)


def _explaining(
    parts: StackParts, look: Callable[[_Part], Awaitable[str]], metrics: Metrics | None
) -> Callable[[_Part], Awaitable[str]]:
    """Return ``look`` that also says what the part's container says of its failures."""
    return lambda part: explained(partial(look, part), metrics, parts.now)()


async def _revision(schema: Schema) -> str:
    return f"revision {await schema.revision() or 'none'}"


async def _at_head(schema: Schema) -> str:
    found = await schema.revision()
    if found != schema.needed:
        raise wrong_schema(found, schema.needed)
    return f"at {found}"


async def _names(connectors: ConnectorService) -> str:
    return f"{len(await connectors.statuses())} connectors"


async def _all_run(parts: StackParts, waits: float, connectors: ConnectorService) -> str:
    """A sink that the watcher has just restarted runs; wait until it has written something."""
    began, turns = time.monotonic(), 0
    while True:
        missing = await connectors.missing()
        found = await connectors.statuses()
        faults = [f"{name} is missing" for name in missing]
        faults += [await _fault(connectors, one) for one in found if not one.is_running]
        if faults:
            raise ConnectorFailed("; ".join(faults))
        unproved = await _not_written_since(parts, [one.name for one in found])
        if not unproved:
            break
        if max(turns, time.monotonic() - began) >= waits:
            raise ConnectorFailed("; ".join(unproved))
        turns += 1
        await parts.sleep(1)
    tasks = sum(len(one.tasks) for one in found)
    return f"{len(found)} connectors, {tasks} tasks"


async def _not_written_since(parts: StackParts, names: Sequence[str]) -> list[str]:
    """Return what the watcher says of sinks that failed and have written nothing since."""
    watcher = parts.metrics.get(WATCH_METRICS)
    if watcher is None:
        return []
    try:
        async with asyncio.timeout(_TOLD_WITHIN):
            found = await watcher.samples(SINK_FAILED_AT)
    except (EndpointUnavailable, TimeoutError):  # another check says that it does not answer
        return []
    said = []
    for labels, at in found:
        name, cause = labels.get("connector", ""), labels.get("cause", "")
        if name in names:
            seconds = max(0.0, parts.now() - at)
            wrong = f"{name} has written nothing since it failed {seconds:.0f} s ago: {cause}"
            said.append("; ".join(filter(None, [wrong, advice_for(cause)])))
    return sorted(said)


async def _fault(connectors: ConnectorService, status: ConnectorStatus) -> str:
    """Return why one does not run, on which record, and what to do."""
    said = f"{status.name}: {status.summary}"
    try:
        record = await connectors.in_the_way(status)
    except StrokeError:  # the cause that is known is not lost for what cannot be asked
        record = None
    if record is not None:
        others = " or on one that it reads with it" if status.failing_record is None else ""
        said += f"; it fails on {record}{others}"
    return "; ".join([said, *(cause.advice for cause in status.causes)])


async def _restarts_heal(watcher: Metrics) -> str:
    """A connector that fails again after each restart runs in between, whenever one looks."""
    found = await watcher.values(_UNHEALED, "connector")
    ailing = [
        f"{count:.0f} restarts in a row did not heal the same failure of {name}"
        for name, count in sorted(found.items())
        if count
    ]
    if ailing:
        raise ConnectorFailed("; ".join(ailing))
    return "no failure comes back"


async def _none_waits(letters: Letters) -> str:
    found = await letters()
    if not found:
        return "none waits"
    named = [f"{one.connector}: {one.record}: {one.cause or one.reason}" for one in found[:_SHOWN]]
    more = [f"and {len(found) - _SHOWN:,} more"] if len(found) > _SHOWN else []
    raise RowsParked(f"{len(found):,} wait: {'; '.join(named + more)}")


async def _as_filed(connectors: ConnectorService) -> str:
    found = await connectors.differing()
    if found:
        differing = [f"{name} in {', '.join(keys)}" for name, keys in found.items()]
        raise ConnectorFailed(f"Connect has other settings: {'; '.join(differing)}")
    return "Connect has the files' settings"


async def _readable(replica: Replica) -> str:
    bounds = await replica.bounds()
    return "no rows yet" if bounds is None else f"ids {bounds[0]} to {bounds[1]}"


async def _takes_commits(parts: StackParts, lake: Replica) -> str:
    seen = await _readable(lake)
    ahead = timedelta(0) if parts.lake_ahead is None else await parts.lake_ahead()
    if ahead > _BACK_IN_TIME:
        raise ReplicaUnavailable(
            f"the newest time in the table is {ahead.total_seconds() / 60:.0f} min after this "
            "clock's: the sink cannot commit until then. If this clock is right, run `stroke lake "
            "set-back`, then `stroke connectors restart --only-failed`"
        )
    return seen


async def _holds_rows(parts: StackParts, waits: float, replica: Replica) -> str:
    """Compare counts until the copy has as many rows as MySQL had since the check began."""
    kind = "events" if replica.keeps_history else "rows"
    if parts.source is None:
        return f"{await replica.count():,} {kind}"
    try:
        least = most = await parts.source.count()
        await replica.count()
    except (StoreUnavailable, ReplicaUnavailable):  # away is what other checks say
        return "not compared: the rows could not be counted in time"
    for _ in range(int(waits) + 1):
        held = await replica.count()
        now = await parts.source.count()
        least, most = min(least, now), max(most, now)
        if held >= least and (replica.keeps_history or held <= most):
            break
        await parts.sleep(1)
    else:
        raise ReplicaUnavailable(f"holds {held:,} {kind}, and MySQL {now:,} rows")
    if not replica.keeps_history and parts.sql_types is not None:
        found = await parts.sql_types()
        if found:
            raise ReplicaUnavailable(
                f"the table was made with other types: {', '.join(sorted(found))}: "
                "`stroke pipeline sink-schema --rebuild`"
            )
    return f"{held:,} {kind}"
