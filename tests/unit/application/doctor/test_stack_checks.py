"""Every failure that `stroke doctor` tells, on a stack of fakes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from builders.predictions import patient
from fakes.doctor import AWAY, FakeApi, FakeMetrics, FakeRegistry, FakeSchema
from fakes.pipeline import (
    FAILED,
    FakeClock,
    FakeConnect,
    FakeDeadLetters,
    FakeLake,
    FakeSpecs,
    FakeTopics,
)
from fakes.verification import FakeReplica, FakeSource
from stroke.application.doctor import stack_checks as checks
from stroke.application.doctor.canary import COUNTRY, KEY, Canary
from stroke.application.doctor.doctor import Doctor
from stroke.application.doctor.findings import Finding, State, is_well
from stroke.application.doctor.part_failures import FAILED_AT
from stroke.application.doctor.stack_checks import (
    EXPOSED,
    SINK_FAILED_AT,
    StackParts,
    checks_of,
)
from stroke.application.pipeline.connectors import ConnectorService
from stroke.application.pipeline.failure_causes import Concerns, FailureCause
from stroke.application.pipeline.kafka_connect_model import TopicPartition
from stroke.domain.errors import (
    ConnectUnavailable,
    ReplicaUnavailable,
    StoreUnavailable,
)

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
CLASS = "io.debezium.connector.jdbc.JdbcSinkConnector"
CANARY = [
    checks.STORED,
    checks.IN_MYSQL,
    checks.IN_SQL,
    checks.IN_LAKE,
    checks.ERASED,
    checks.GONE_FROM_SQL,
    checks.GONE_FROM_LAKE,
]


class Stack:
    """All parts, well."""

    def __init__(self) -> None:
        self.source = FakeSource({})
        self.sql, self.lake = FakeReplica({}), FakeReplica({}, name="s3", lags=True)
        self.api = FakeApi(self.source, [self.sql, self.lake])
        self.schema, self.registry = FakeSchema(), FakeRegistry()
        self.letters = FakeDeadLetters()
        self.topics, self.clock = FakeTopics(), FakeClock()
        self.connect = FakeConnect({CLASS: frozenset({"connector.class", "topics"})})
        self.metrics = {name: FakeMetrics(wanted) for name, wanted in EXPOSED.items()}
        self.parts = StackParts(
            api=self.api,
            schema=self.schema,
            source=self.source,
            change_topic=self.topics,
            topic="changes",
            registry=self.registry,
            connectors=self._connectors(),
            sql=self.sql,
            lake=self.lake,
            letters=partial(self.letters.letters, "dlq"),
            metrics=self.metrics,
            sql_types=self._types,
            lake_ahead=self._lake_ahead,
            sleep=self.clock.sleep,
        )
        self.types: dict[str, str] = {}
        self.ahead = timedelta(0)
        self.canary = self._canary()

    async def _lake_ahead(self) -> timedelta:
        return self.ahead

    async def _types(self) -> dict[str, str]:
        return self.types

    def _connectors(self) -> ConnectorService:
        config = {"connector.class": CLASS, "topics": "changes"}
        asyncio.run(self.connect.put("sink", config))
        return ConnectorService(
            registry=self.connect,
            control=self.connect,
            specs=FakeSpecs(file=("sink", config)),
            change_topic=self.topics,
            change_log=FakeLake(),
            dead_letters=self.letters,
        )

    def _canary(self) -> Canary:
        chances = iter(n / 100 for n in range(100))
        return Canary(
            self.api,
            self.source,
            seconds=30,
            now=lambda: NOW + timedelta(seconds=self.clock()),
            clock=self.clock,
            sleep=self.clock.sleep,
            chance=lambda: next(chances),
        )

    def examined(self) -> dict[str, Finding]:
        doctor = Doctor(checks_of(self.parts, self.canary, waits=30), seconds=30)
        return {one.check: one for one in asyncio.run(doctor.examine())}


def failed(found: dict[str, Finding]) -> list[str]:
    return [name for name, one in found.items() if one.state is State.FAILED]


def not_checked(found: dict[str, Finding]) -> list[str]:
    return [name for name, one in found.items() if one.state is State.NOT_CHECKED]


@pytest.fixture
def stack() -> Stack:
    return Stack()


def test_a_stack_that_is_well_is_found_well_and_has_no_canary_left(stack: Stack) -> None:
    stack.topics.write("changes", ["one", "two"])

    found = stack.examined()

    assert is_well(found.values())
    assert {one.state for one in found.values()} == {State.OK}
    assert found[checks.KAFKA].detail == "changes: 2 records"
    assert found[checks.SCHEMA].detail == "at 0004"
    assert found[checks.RUNNING].detail == "1 connectors, 1 tasks"
    assert stack.source.rows == stack.sql.rows == stack.lake.rows == {}


BREAKS: list[tuple[Callable[[Stack], object], list[str], list[str]]] = [
    (lambda s: s.api.failing.add("live"), [checks.API], [checks.READY, *CANARY]),
    (lambda s: s.api.failing.add("ready"), [checks.READY], CANARY),
    (lambda s: s.api.failing.add("predict"), [checks.STORED], CANARY[1:]),
    (
        lambda s: setattr(s.schema, "failing", StoreUnavailable("away")),
        [checks.MYSQL],
        [checks.SCHEMA, *(name for name in CANARY[1:] if name != checks.ERASED)],
    ),
    (
        lambda s: setattr(s.schema, "found", "0002"),
        [checks.SCHEMA],
        [name for name in CANARY[1:] if name != checks.ERASED],
    ),
    (lambda s: setattr(s.topics, "last_offsets", _raising), [checks.KAFKA], [checks.LETTERS]),
    (lambda s: setattr(s.registry, "failing", AWAY), [checks.REGISTRY], []),
    (
        lambda s: setattr(s.connect, "failing", ConnectUnavailable("away")),
        [checks.CONNECT],
        [
            checks.RUNNING,
            checks.AS_FILED,
            checks.IN_SQL,
            checks.IN_LAKE,
            checks.GONE_FROM_SQL,
            checks.GONE_FROM_LAKE,
        ],
    ),
    (
        lambda s: setattr(s.connect.connectors["sink"], "task", FAILED),
        [checks.RUNNING],
        [checks.IN_SQL, checks.IN_LAKE, checks.GONE_FROM_SQL, checks.GONE_FROM_LAKE],
    ),
    (
        lambda s: s.connect.connectors["sink"].config.update({"topics": "others"}),
        [checks.AS_FILED],
        [],
    ),
    (
        lambda s: setattr(s.sql, "bounds", _raising),
        [checks.SQL_SINK],
        [checks.SQL_ROWS, checks.IN_SQL, checks.GONE_FROM_SQL],
    ),
    (
        lambda s: setattr(s.lake, "bounds", _raising),
        [checks.LAKE],
        [checks.LAKE_ROWS, checks.IN_LAKE, checks.GONE_FROM_LAKE],
    ),
    (lambda s: s.api.late.append(s.sql), [checks.IN_SQL], [checks.GONE_FROM_SQL]),
    (lambda s: s.api.late.append(s.lake), [checks.IN_LAKE], [checks.GONE_FROM_LAKE]),
    (lambda s: s.api.keeping.append(s.sql), [checks.GONE_FROM_SQL], []),
    (lambda s: s.api.keeping.append(s.lake), [checks.GONE_FROM_LAKE], []),
    (
        lambda s: s.api.failing.add("erase"),
        [checks.ERASED],
        [checks.GONE_FROM_SQL, checks.GONE_FROM_LAKE],
    ),
    *(
        (
            lambda s, name=name: setattr(s.metrics[name], "failing", AWAY),
            [name],
            [checks.HEALED] if name == checks.WATCH_METRICS else [],
        )
        for name in EXPOSED
    ),
]


async def _raising(*_: object) -> None:
    raise ReplicaUnavailable("away")


@pytest.mark.parametrize(("break_it", "fails", "unchecked"), BREAKS)
def test_what_is_broken_fails_with_a_remedy_and_what_needs_it_is_not_checked(
    stack: Stack, break_it: Callable[[Stack], object], fails: list[str], unchecked: list[str]
) -> None:
    break_it(stack)

    found = stack.examined()

    assert failed(found) == fails
    assert sorted(not_checked(found)) == sorted(unchecked)
    assert all(found[name].remedy for name in fails)
    assert not is_well(found.values())


@pytest.mark.parametrize(
    ("check", "cause", "words"),
    [
        (checks.KAFKA, "disk-full", "its disk is full"),
        (checks.CONNECT, "out-of-memory", "STROKE_CONNECT_HEAP"),
    ],
)
def test_a_part_whose_container_says_why_it_failed_fails_with_that_cause(
    stack: Stack, check: str, cause: str, words: str
) -> None:
    broker = FakeMetrics([FAILED_AT])
    worker = stack.metrics[checks.CONNECT_METRICS]
    stack.parts = replace(stack.parts, broker_metrics=broker, now=lambda: 1000.0)
    failing = broker if check == checks.KAFKA else worker
    failing.set(FAILED_AT, 990.0, cause=cause)

    found = stack.examined()

    assert failed(found) == [check]
    assert words in found[check].detail


def some_rows(stack: Stack, *, mysql: int, sql: int, lake: int) -> None:
    for replica, count in ((stack.source, mysql), (stack.sql, sql), (stack.lake, lake)):
        replica.rows |= dict.fromkeys(range(100, 100 + count), b"row")


@pytest.mark.parametrize(("sql", "lake"), [(19, 20), (21, 20), (0, 40)])
def test_a_sql_copy_with_more_or_fewer_rows_than_mysql_is_a_failure(
    stack: Stack, sql: int, lake: int
) -> None:
    some_rows(stack, mysql=20, sql=sql, lake=lake)

    found = stack.examined()

    assert failed(found) == [checks.SQL_ROWS]
    assert found[checks.SQL_ROWS].detail.startswith(f"holds {sql}")
    assert "pipeline verify" in found[checks.SQL_ROWS].remedy


def test_a_lake_with_fewer_events_than_mysql_has_rows_is_a_failure(stack: Stack) -> None:
    some_rows(stack, mysql=20, sql=20, lake=19)

    assert failed(stack.examined()) == [checks.LAKE_ROWS]


@pytest.mark.parametrize(
    ("part", "error"),
    [("source", StoreUnavailable("too slow")), ("sql", ReplicaUnavailable("too slow"))],
)
def test_rows_that_cannot_be_counted_in_time_are_said_not_to_be_compared(
    stack: Stack, part: str, error: Exception
) -> None:
    async def too_slow() -> int:
        raise error

    setattr(getattr(stack, part), "count", too_slow)  # noqa: B010 -- mypy takes no method's place

    assert stack.examined()[checks.SQL_ROWS] == Finding(
        checks.SQL_ROWS, State.OK, "not compared: the rows could not be counted in time"
    )


def test_a_copy_that_is_only_late_is_waited_for(stack: Stack) -> None:
    some_rows(stack, mysql=20, sql=19, lake=20)
    stack.clock.meanwhile = lambda: some_rows(stack, mysql=0, sql=20, lake=20)

    found = stack.examined()

    assert found[checks.SQL_ROWS] == Finding(checks.SQL_ROWS, State.OK, "20 rows")


def test_a_sql_copy_whose_table_the_sink_made_is_a_failure_that_names_the_columns(
    stack: Stack,
) -> None:
    stack.types = {"name": "TEXT", "age": "REAL"}

    found = stack.examined()[checks.SQL_ROWS]

    assert found.state is State.FAILED
    assert "age, name" in found.detail
    assert "sink-schema --rebuild" in found.detail


def test_a_connector_that_is_missing_is_named(stack: Stack) -> None:
    del stack.connect.connectors["sink"]

    assert stack.examined()[checks.RUNNING].detail == "sink is missing"


def test_settings_that_differ_are_named_without_their_values(stack: Stack) -> None:
    stack.connect.connectors["sink"].config["connection.password"] = "hunter2"

    assert stack.examined()[checks.AS_FILED].detail == (
        "Connect has other settings: sink in connection.password"
    )


def test_a_row_that_arrives_otherwise_than_mysql_has_it_is_a_failure(stack: Stack) -> None:
    stack.api.late.append(stack.sql)
    stack.sql.rows[1] = b"another"

    assert stack.examined()[checks.IN_SQL].detail == "after 30 s prediction 1 differs from MySQL's"


def test_metrics_that_are_not_exposed_are_named(stack: Stack) -> None:
    stack.metrics[checks.VERIFY_METRICS].exposed -= {"stroke_pipeline_verify_rows"}

    found = stack.examined()[checks.VERIFY_METRICS]

    assert found.detail == "does not expose stroke_pipeline_verify_rows"


def test_a_service_without_a_pipeline_is_well_and_what_is_missing_is_not_configured(
    stack: Stack,
) -> None:
    stack.parts = replace(
        stack.parts,
        schema=None,
        source=None,
        change_topic=None,
        registry=None,
        connectors=None,
        sql=None,
        lake=None,
        metrics={checks.API_METRICS: stack.metrics[checks.API_METRICS]},
    )
    stack.canary = Canary(
        stack.api,
        None,
        seconds=30,
        now=lambda: NOW,
        clock=stack.clock,
        sleep=stack.clock.sleep,
        chance=lambda: 0.5,
    )

    found = stack.examined()

    assert is_well(found.values())
    assert {name for name, one in found.items() if one.state is State.OK} == {
        checks.API,
        checks.READY,
        checks.API_METRICS,
        checks.STORED,
        checks.ERASED,
    }
    assert found[checks.CONNECT] == Finding(
        checks.CONNECT, State.NOT_CONFIGURED, "set STROKE_CONNECT_URL"
    )
    assert stack.source.rows == {}


def left_behind(stack: Stack, province: str, key: str = KEY) -> None:
    asyncio.run(stack.api.predict(patient(country=COUNTRY, province=province), idempotency_key=key))


def test_a_canary_that_a_killed_doctor_left_is_erased_first(stack: Stack) -> None:
    left_behind(stack, "until 2026-01-01T11:59:59Z")

    found = stack.examined()

    assert is_well(found.values())
    assert found[checks.STORED].detail == "prediction 2; 1 of an earlier run erased"
    assert stack.source.rows == {}


def test_a_canary_that_outlived_its_key_is_erased_too(stack: Stack) -> None:
    left_behind(stack, "until 2026-01-01T11:59:59Z", "a key that the service has forgotten")

    found = stack.examined()

    assert is_well(found.values())
    assert found[checks.STORED].detail == "prediction 2; 1 of an earlier run erased"
    assert stack.source.rows == {}


def test_a_canary_of_a_doctor_at_work_is_waited_for_and_not_erased(stack: Stack) -> None:
    left_behind(stack, "until 2026-01-01T12:01:00Z")

    found = stack.examined()

    assert failed(found) == [checks.STORED]
    assert "another `stroke doctor` is at work" in found[checks.STORED].detail
    assert stack.clock() >= 30
    assert list(stack.source.rows) == [1]


def test_the_canary_is_erased_when_the_examination_breaks_off(stack: Stack) -> None:
    asyncio.run(stack.canary.set_out())
    assert stack.source.rows != {}

    asyncio.run(stack.canary.aclose())

    assert stack.source.rows == {}


def test_the_canary_is_known_by_its_country_and_by_nothing_of_a_patient(stack: Stack) -> None:
    asyncio.run(stack.canary.set_out())

    [made] = stack.api.patients.values()
    assert (made.name, made.country, made.province) == (
        "Canary",
        "stroke doctor",
        "until 2026-01-01T12:02:00Z",
    )


def test_a_dead_letter_that_waits_is_named_with_its_record_and_cause(stack: Stack) -> None:
    stack.letters.add(
        "dlq", TopicPartition("changes", 0), 7, prediction_id=77, cause="a value is too long"
    )

    found = stack.examined()

    assert failed(found) == [checks.LETTERS]
    assert found[checks.LETTERS].detail == (
        "1 wait: sink: changes-0@7 (prediction 77): a value is too long"
    )


def test_many_dead_letters_are_counted_and_the_first_ones_named(stack: Stack) -> None:
    for offset in range(8):
        stack.letters.add("dlq", TopicPartition("changes", 0), offset)

    detail = stack.examined()[checks.LETTERS].detail

    assert detail.startswith("8 wait: ")
    assert detail.endswith("; and 3 more")
    assert "@5" not in detail


@pytest.mark.parametrize(
    ("concerns", "names_a_record"),
    [(Concerns.RECORD, True), (Concerns.UNKNOWN, True), (Concerns.PLACE, False)],
)
def test_a_sink_that_fails_is_shown_with_its_cause_and_the_record_before_it(
    stack: Stack, concerns: Concerns, *, names_a_record: bool
) -> None:
    at = TopicPartition("changes", 0)
    sink = stack.connect.connectors["sink"]
    sink.task, sink.reason, sink.offsets = FAILED, "PSQLException", {at: 7}
    sink.cause = FailureCause("it is full of zebras", "count them", concerns)
    stack.letters.records[at] = {7: 77}

    detail = stack.examined()[checks.RUNNING].detail

    assert "task 0 is FAILED (it is full of zebras (PSQLException))" in detail
    assert detail.endswith("count them")
    assert ("changes-0@7 (prediction 77)" in detail) is names_a_record


def test_a_record_that_the_sink_itself_names_is_the_one(stack: Stack) -> None:
    at = TopicPartition("changes", 0)
    sink = stack.connect.connectors["sink"]
    sink.task, sink.reason, sink.offsets = FAILED, "DataException", {at: 7}
    sink.record = (at, 9)
    stack.letters.records[at] = {7: 77, 9: 79}

    detail = stack.examined()[checks.RUNNING].detail

    assert "it fails on changes-0@9 (prediction 79)" in detail
    assert "reads with it" not in detail


def test_a_connector_that_fails_again_after_each_restart_is_named_although_it_runs(
    stack: Stack,
) -> None:
    watcher = stack.metrics[checks.WATCH_METRICS]
    watcher.set("stroke_connector_unhealed_restarts", 3, connector="sink")
    watcher.set("stroke_connector_unhealed_restarts", 0, connector="source")

    found = stack.examined()

    assert failed(found) == [checks.HEALED]
    assert found[checks.HEALED].detail == (
        "3 restarts in a row did not heal the same failure of sink"
    )


S3_FAILS = "S3 fails, or asks to slow down"


def test_a_sink_that_has_written_nothing_since_it_failed_is_named_although_it_runs(
    stack: Stack,
) -> None:
    stack.parts = replace(stack.parts, now=lambda: 1000.0)
    watcher = stack.metrics[checks.WATCH_METRICS]
    watcher.set(SINK_FAILED_AT, 960.0, connector="sink", cause=S3_FAILS)

    found = stack.examined()

    assert failed(found) == [checks.RUNNING]
    assert found[checks.RUNNING].detail.startswith(
        f"sink has written nothing since it failed 40 s ago: {S3_FAILS}; wait, or look at"
    )


def test_a_sink_that_writes_within_the_time_that_the_doctor_waits_is_well(stack: Stack) -> None:
    watcher = stack.metrics[checks.WATCH_METRICS]
    watcher.set(SINK_FAILED_AT, 960.0, connector="sink", cause=S3_FAILS)

    async def sleep(seconds: float) -> None:
        await stack.clock.sleep(seconds)
        if stack.clock() >= 20:
            watcher.gauges.clear()

    stack.parts = replace(stack.parts, sleep=sleep)

    assert is_well(stack.examined().values())


def test_what_the_watcher_says_of_a_sink_that_is_gone_is_no_failure(stack: Stack) -> None:
    watcher = stack.metrics[checks.WATCH_METRICS]
    watcher.set(SINK_FAILED_AT, 960.0, connector="another", cause=S3_FAILS)

    assert is_well(stack.examined().values())


def test_a_lake_whose_times_are_ahead_of_the_clock_fails_with_what_to_do() -> None:
    stack = Stack()
    stack.ahead = timedelta(minutes=58)

    found = stack.examined()[checks.LAKE]

    assert found.state is State.FAILED
    assert "58 min after this clock's" in found.detail
    assert "stroke lake set-back" in found.detail


def test_a_lake_may_be_ahead_by_the_minute_that_iceberg_allows() -> None:
    stack = Stack()
    stack.ahead = timedelta(minutes=1)

    assert stack.examined()[checks.LAKE].state is State.OK
