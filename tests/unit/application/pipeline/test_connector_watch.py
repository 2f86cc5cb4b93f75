from __future__ import annotations

import pytest

from fakes.pipeline import (
    FAILED,
    FakeClock,
    FakeConnect,
    FakeConnector,
    FakeDeadLetters,
    FakeLake,
    FakePipelineObserver,
    FakeTopics,
)
from stroke.application.pipeline.connector_rules import ICEBERG_SINK
from stroke.application.pipeline.connector_watch import (
    ConnectorWatch,
    WatchEvent,
    WatchEventKind,
    WatchPolicy,
)
from stroke.application.pipeline.consistency import Lineage
from stroke.application.pipeline.failure_causes import STALLED, UNKNOWN, Concerns, FailureCause
from stroke.application.pipeline.kafka_connect_model import ConnectorState, TopicPartition
from stroke.application.pipeline.restarts import RestartPolicy
from stroke.domain.errors import ConnectUnavailable

AT = TopicPartition("changes", 0)
POLICY = WatchPolicy(
    stalled_seconds=60,
    gap_seconds=60,
    lake_every=0,
    restarts=RestartPolicy(first_pause=5, longest_pause=20, at_most=3, window=1000, steady=60),
)


class Stage:
    """A source and a sink that run and have nothing to do, and what watches them."""

    def __init__(self) -> None:
        self.connect = FakeConnect({})
        self.source = FakeConnector({}, kind="source")
        self.sink = FakeConnector(
            {"topics": "changes", "errors.deadletterqueue.topic.name": "dlq"}, offsets={AT: 10}
        )
        self.connect.connectors = {"source": self.source, "sink": self.sink}
        self.topics = FakeTopics()
        self.topics.last = {AT: 9}
        self.lake = FakeLake()
        self.letters = FakeDeadLetters()
        self.observer = FakePipelineObserver()
        self.clock = FakeClock()
        self.watch = ConnectorWatch(
            registry=self.connect,
            control=self.connect,
            change_topic=self.topics,
            change_log=self.lake,
            dead_letters=self.letters,
            observer=self.observer,
            wanted=["sink", "source"],
            policy=POLICY,
            clock=self.clock,
        )

    async def look(self, *, after: float = 0) -> list[tuple[WatchEventKind, str]]:
        self.clock.seconds += after
        return [(event.kind, event.connector) for event in await self.watch.look()]


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.mark.anyio
async def test_where_all_is_well_nothing_is_said(stage: Stage) -> None:
    assert await stage.look() == []
    assert await stage.look(after=1000) == []
    assert stage.observer.running == {"source": True, "sink": True}
    assert stage.observer.sinks == {"sink": (0, False)}
    assert stage.watch.all_run


@pytest.mark.anyio
async def test_the_last_look_is_kept_with_the_lag_of_sinks(stage: Stage) -> None:
    stage.topics.last = {AT: 19}
    await stage.look()
    assert [(each.name, each.lag, each.stalled) for each in stage.watch.seen] == [
        ("sink", 10, False),
        ("source", None, False),
    ]

    del stage.connect.connectors["source"]
    await stage.look()
    assert {each.name: each.status is None for each in stage.watch.seen} == {
        "sink": False,
        "source": True,
    }


@pytest.mark.anyio
async def test_a_failed_task_is_restarted_and_runs_again(stage: Stage) -> None:
    stage.source.task, stage.source.reason = FAILED, "DebeziumException"

    [event] = await stage.watch.look()

    assert (event.kind, event.detail) == (WatchEventKind.RESTARTED, "DebeziumException")
    assert not stage.watch.all_run
    assert stage.observer.running["source"] is False
    assert await stage.look(after=10) == [(WatchEventKind.RECOVERED, "source")]
    assert stage.source.restarts == [True]
    assert stage.observer.restarts == ["source"]
    assert await stage.look(after=10) == []


@pytest.mark.anyio
async def test_one_that_cannot_be_healed_is_given_up_until_it_runs_again(stage: Stage) -> None:
    stage.source.task, stage.source.cured = FAILED, False

    seen = [event for _ in range(30) for event in await stage.look(after=5)]

    assert seen.count((WatchEventKind.RESTARTED, "source")) == len(stage.source.restarts) == 3
    assert seen[3:] == [(WatchEventKind.GAVE_UP, "source")] * (len(seen) - 3)
    assert len(seen) > 4
    stage.source.task = ConnectorState.RUNNING
    assert await stage.look() == [(WatchEventKind.RECOVERED, "source")]
    stage.source.task = FAILED
    assert await stage.look() == [(WatchEventKind.RESTARTED, "source")]


@pytest.mark.anyio
@pytest.mark.parametrize("halt", ["pause", "stop"])
async def test_a_connector_that_somebody_halted_is_left_alone(stage: Stage, halt: str) -> None:
    await getattr(stage.connect, halt)("sink")
    stage.topics.last = {AT: 99}

    assert await stage.look() == []
    assert await stage.look(after=1000) == []
    assert stage.sink.restarts == []
    assert stage.observer.running["sink"] is False


@pytest.mark.anyio
async def test_a_sink_that_stands_still_while_the_source_moves_is_restarted(stage: Stage) -> None:
    await stage.look()
    stage.topics.last = {AT: 19}

    assert await stage.look(after=59) == []
    stage.topics.last = {AT: 29}
    stage.clock.seconds += 1
    [event] = await stage.watch.look()

    assert event.kind is WatchEventKind.RESTARTED
    assert "20 records to go" in event.detail
    assert stage.sink.restarts == [False]
    assert stage.observer.sinks == {"sink": (20, True)}
    assert await stage.look(after=59) == []
    assert await stage.look(after=1) == [(WatchEventKind.RESTARTED, "sink")]
    stage.sink.offsets = {AT: 30}
    assert await stage.look(after=1) == [(WatchEventKind.RECOVERED, "sink")]
    assert stage.observer.sinks == {"sink": (0, False)}


@pytest.mark.anyio
async def test_a_sink_that_moves_slowly_is_left_alone(stage: Stage) -> None:
    stage.topics.last = {AT: 9999}
    for read in range(11, 30):
        stage.sink.offsets = {AT: read}
        assert await stage.look(after=59) == []


@pytest.mark.anyio
async def test_a_dead_letter_at_the_end_is_no_standstill(stage: Stage) -> None:
    """Iceberg's sink commits nothing for a record that Connect has parked."""
    await stage.look()
    stage.topics.last = {AT: 10}
    stage.letters.add("dlq", AT, 10)

    assert await stage.look(after=60) == []
    assert await stage.look(after=60) == []
    assert stage.observer.sinks == {"sink": (1, False)}
    stage.topics.last = {AT: 11}
    await stage.look(after=1)
    assert await stage.look(after=60) == [(WatchEventKind.RESTARTED, "sink")]


@pytest.mark.anyio
async def test_a_connector_that_is_wanted_and_not_there_is_missing(stage: Stage) -> None:
    del stage.connect.connectors["sink"]

    assert await stage.look() == [(WatchEventKind.MISSING, "sink")]


@pytest.mark.anyio
async def test_a_connector_that_was_removed_is_missing_though_connect_still_has_its_state(
    stage: Stage,
) -> None:
    stage.connect.gone["sink"] = stage.connect.connectors.pop("sink")

    assert await stage.look() == [(WatchEventKind.MISSING, "sink")]
    assert stage.observer.running == {"source": True, "sink": False}
    assert not stage.watch.all_run


@pytest.mark.anyio
async def test_without_connect_the_watch_is_blind_and_nothing_runs_as_far_as_it_knows(
    stage: Stage,
) -> None:
    await stage.look()
    stage.connect.failing = ConnectUnavailable("away")

    assert await stage.look() == [(WatchEventKind.BLIND, "")]
    assert stage.observer.running == {"source": False, "sink": False}
    stage.connect.failing = None
    assert await stage.look() == []
    assert stage.observer.running == {"source": True, "sink": True}


@pytest.fixture
def lake_stage(stage: Stage) -> Stage:
    stage.sink.config = {**stage.sink.config, "connector.class": ICEBERG_SINK}
    stage.lake.written = Lineage("cluster-1", {AT: 9})
    return stage


@pytest.mark.anyio
async def test_rows_that_the_lake_has_are_no_gap(lake_stage: Stage) -> None:
    assert await lake_stage.look() == []
    assert await lake_stage.look(after=60) == []
    assert lake_stage.observer.gap == 0


@pytest.mark.anyio
async def test_rows_that_were_committed_and_never_reach_the_lake_are_reported(
    lake_stage: Stage,
) -> None:
    await lake_stage.look()
    lake_stage.sink.offsets, lake_stage.topics.last = {AT: 50}, {AT: 49}

    assert await lake_stage.look(after=1) == []
    assert lake_stage.observer.gap == 0
    assert await lake_stage.look(after=60) == [(WatchEventKind.LAKE_GAP, "sink")]
    assert lake_stage.observer.gap == 40
    lake_stage.lake.written = Lineage("cluster-1", {AT: 49})
    assert await lake_stage.look(after=1) == []
    assert lake_stage.observer.gap == 0


@pytest.mark.anyio
async def test_offsets_of_another_kafka_cluster_do_not_hide_a_gap(lake_stage: Stage) -> None:
    lake_stage.lake.written = Lineage("cluster-0", {AT: 5000})

    await lake_stage.look()
    assert await lake_stage.look(after=60) == [(WatchEventKind.LAKE_GAP, "sink")]
    assert lake_stage.observer.gap == 10


@pytest.mark.anyio
async def test_a_record_that_was_parked_and_passed_over_is_no_gap(lake_stage: Stage) -> None:
    lake_stage.sink.offsets, lake_stage.topics.last = {AT: 11}, {AT: 10}
    lake_stage.letters.add("dlq", AT, 10)

    await lake_stage.look()
    assert await lake_stage.look(after=60) == []
    assert lake_stage.observer.gap == 0


@pytest.mark.anyio
async def test_restarts_come_look_after_look_with_growing_pauses(stage: Stage) -> None:
    stage.source.task, stage.source.cured = FAILED, False
    seen = []
    for seconds in (0, 5, 10, 15):
        events = await stage.look(after=5 if seconds else 0)
        seen += [(seconds, kind) for kind, _ in events]
    assert seen == [
        (0, WatchEventKind.RESTARTED),
        (5, WatchEventKind.RESTARTED),
        (15, WatchEventKind.RESTARTED),
    ]


TOO_LONG = FailureCause("a value is too long", "widen the column", Concerns.RECORD)


async def flapping(stage: Stage, seconds: int) -> list[tuple[float, WatchEvent]]:
    """Look every ten seconds at a sink that fails again five seconds after each restart."""
    seen = []
    for _ in range(0, seconds, 10):
        seen += [(stage.clock.seconds, event) for event in await stage.watch.look()]
        stage.clock.seconds += 5
        if stage.sink.task is ConnectorState.RUNNING:
            # seen to run in between, as the operator saw it
            seen += [(stage.clock.seconds, event) for event in await stage.watch.look()]
        stage.sink.task, stage.sink.reason, stage.sink.cause = FAILED, "PSQLException", TOO_LONG
        stage.clock.seconds += 5
    return seen


@pytest.mark.anyio
async def test_a_failure_that_three_restarts_do_not_heal_is_reported_with_its_cause(
    stage: Stage,
) -> None:
    stage.sink.task, stage.sink.reason, stage.sink.cause = FAILED, "PSQLException", TOO_LONG

    seen = await flapping(stage, 600)

    kinds = [event.kind for _, event in seen]
    assert kinds[:5] == [WatchEventKind.RESTARTED, WatchEventKind.RECOVERED] * 2 + [
        WatchEventKind.RESTARTED
    ]
    assert WatchEventKind.RECOVERED not in kinds[5:], "it runs for five seconds after each restart"
    given_up = next(event for _, event in seen if event.kind is WatchEventKind.GAVE_UP)
    assert given_up.detail.startswith(
        "a value is too long (PSQLException); it fails in the same way after 3 restarts"
    )
    assert given_up.detail.endswith("widen the column")
    assert stage.observer.not_healed["sink"] >= 3
    # With pauses of 20 s, there would be thirty.
    assert len(stage.sink.restarts) <= 5


@pytest.mark.anyio
async def test_one_that_runs_on_after_its_cause_is_mended_has_recovered(stage: Stage) -> None:
    stage.sink.task, stage.sink.reason, stage.sink.cause = FAILED, "PSQLException", TOO_LONG
    await flapping(stage, 200)
    stage.sink.task, stage.sink.reason, stage.sink.cause = ConnectorState.RUNNING, "", None

    seen = [event for _ in range(30) for event in await stage.look(after=10)]

    assert seen == [(WatchEventKind.RECOVERED, "sink")]
    assert stage.observer.not_healed["sink"] == 0


@pytest.mark.anyio
async def test_other_failures_one_after_the_other_are_each_healed(stage: Stage) -> None:
    for number in range(3):
        stage.sink.task, stage.sink.reason = FAILED, f"Failure{number}"
        assert await stage.look(after=30) == [(WatchEventKind.RESTARTED, "sink")]
        assert await stage.look(after=30) == [(WatchEventKind.RECOVERED, "sink")]
    assert stage.observer.not_healed["sink"] == 0


async def failed_and_restarted(stage: Stage) -> None:
    """The sink has records to read, fails, and runs again since the last look."""
    stage.topics.last = {AT: 19}
    stage.sink.task, stage.sink.reason, stage.sink.cause = FAILED, "PSQLException", TOO_LONG
    assert await stage.look() == [(WatchEventKind.RESTARTED, "sink")]
    stage.sink.reason, stage.sink.cause = "", None
    assert await stage.look(after=5) == [(WatchEventKind.RECOVERED, "sink")]


@pytest.mark.anyio
async def test_the_cause_of_a_sinks_failure_is_kept_until_it_commits(stage: Stage) -> None:
    await failed_and_restarted(stage)
    for _ in range(3):
        await stage.look(after=5)
        assert stage.observer.failed == {"sink": TOO_LONG.words}

    stage.sink.offsets = {AT: 11}
    await stage.look(after=5)

    assert stage.observer.failed == {"sink": ""}


@pytest.mark.anyio
async def test_a_cause_is_kept_through_the_restarts_of_a_sink_that_stands_still(
    stage: Stage,
) -> None:
    await failed_and_restarted(stage)
    await stage.look(after=30)

    assert await stage.look(after=60) == [(WatchEventKind.RESTARTED, "sink")]
    assert stage.observer.failed == {"sink": TOO_LONG.words}


@pytest.mark.anyio
async def test_a_sink_that_stands_still_and_never_failed_is_said_to(stage: Stage) -> None:
    await stage.look()
    stage.topics.last = {AT: 19}
    await stage.look(after=59)
    assert stage.observer.failed == {}

    await stage.look(after=1)

    assert stage.observer.failed == {"sink": STALLED.words}


@pytest.mark.anyio
@pytest.mark.parametrize("end", ["nothing to read", "pause", "stop", "removed", "parked"])
async def test_a_failure_is_over_when_nothing_is_left_to_write(stage: Stage, end: str) -> None:
    await failed_and_restarted(stage)
    await stage.look(after=5)
    if end == "nothing to read":
        stage.topics.last = {AT: 9}
    elif end == "removed":
        del stage.connect.connectors["sink"]
    elif end == "parked":
        stage.letters.add("dlq", AT, 19)
        await stage.look(after=30)
    else:
        await getattr(stage.connect, end)("sink")

    await stage.look(after=60 if end == "parked" else 5)

    assert stage.observer.failed == {"sink": ""}


@pytest.mark.anyio
async def test_a_failure_without_a_known_cause_is_kept_as_such(stage: Stage) -> None:
    stage.sink.task, stage.sink.reason = FAILED, "SomeException"

    await stage.look()

    assert stage.observer.failed == {"sink": UNKNOWN.words}


@pytest.mark.anyio
async def test_a_source_that_runs_again_is_well(stage: Stage) -> None:
    """It writes nothing that could be seen here; what comes back is named as not healed."""
    stage.source.task, stage.source.reason, stage.source.cause = FAILED, "E", TOO_LONG

    await stage.look()

    assert stage.observer.failed == {}
