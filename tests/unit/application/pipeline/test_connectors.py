from __future__ import annotations

import pytest

from fakes.pipeline import (
    FAILED,
    FakeClock,
    FakeConnect,
    FakeConnector,
    FakeLake,
    FakeSpecs,
    FakeTopics,
)
from stroke.application.pipeline.connector_rules import ICEBERG_SINK, JDBC_SINK, MYSQL_SOURCE
from stroke.application.pipeline.connectors import ConnectorService, checked
from stroke.application.pipeline.consistency import Lineage
from stroke.application.pipeline.kafka_connect_model import ConnectorState, TopicPartition
from stroke.domain.errors import (
    ConnectorFailed,
    ConnectorNotFound,
    ConnectUnavailable,
    InvalidConnector,
    LineageBroken,
    ReplicaUnavailable,
)

SOURCE = {
    "connector.class": MYSQL_SOURCE,
    "tasks.max": "1",
    "exactly.once.support": "required",
    "errors.tolerance": "none",
}
LAKE = {
    "connector.class": ICEBERG_SINK,
    "tasks.max": "1",
    "topics": "changes",
    "iceberg.control.topic": "control-{cluster_id}",
}
SQL = {
    "connector.class": JDBC_SINK,
    "topics": "changes",
    "insert.mode": "upsert",
    "primary.key.mode": "record_key",
}
LARGE = {
    **SOURCE,
    "topic.prefix": "db",
    "table.include.list": "x.predictions",
    "transforms": "park",
    "transforms.park.type": "Park",
    "transforms.park.topic": "dlq.source",
    "producer.override.max.request.size": "2000000",
    "topic.creation.default.partitions": "1",
    "topic.creation.default.replication.factor": "1",
    "topic.creation.default.retention.ms": "60000",
    "topic.creation.default.max.message.bytes": "2000000",
}
ALL = {"a-source": ("source", SOURCE), "b-lake": ("lake", LAKE), "c-sql": ("sql", SQL)}
CONTROL = TopicPartition("control-cluster-1", 0)


class Stage:
    """A service among fakes."""

    def __init__(self) -> None:
        every = frozenset({*SOURCE, *LARGE, *LAKE, *SQL, "batch.size"})
        self.connect = FakeConnect(dict.fromkeys((MYSQL_SOURCE, ICEBERG_SINK, JDBC_SINK), every))
        self.specs = FakeSpecs(**ALL)
        self.topics = FakeTopics()
        self.lake = FakeLake()
        self.clock = FakeClock()
        self.service = ConnectorService(
            registry=self.connect,
            control=self.connect,
            specs=self.specs,
            change_topic=self.topics,
            change_log=self.lake,
            sleep=self.clock.sleep,
            clock=self.clock,
        )

    async def apply(self, *names: str, migrate: bool = False) -> list[str]:
        """Return the names of the connectors that ran, in order."""
        ran: list[str] = []
        plans = await self.service.plan(names, migrate=migrate)
        await self.service.apply(plans, within=60, on_running=ran.append)
        return ran

    def puts(self) -> dict[str, int]:
        return {name: found.puts for name, found in self.connect.connectors.items()}


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.mark.anyio
async def test_all_connectors_come_to_run_the_source_first(stage: Stage) -> None:
    assert await stage.apply() == ["source", "lake", "sql"]

    assert stage.connect.connectors["sql"].config == SQL
    assert stage.puts() == {"source": 1, "lake": 1, "sql": 1}


@pytest.mark.anyio
async def test_applied_twice_nothing_changes(stage: Stage) -> None:
    await stage.apply()

    plans = await stage.service.plan()
    await stage.apply()

    assert [(plan.is_new, plan.changes) for plan in plans] == [(False, [])] * 3
    assert stage.puts() == {"source": 1, "lake": 1, "sql": 1}


@pytest.mark.anyio
async def test_a_topic_that_is_there_takes_what_its_connector_may_send(stage: Stage) -> None:
    stage.specs.files["a-source"] = ("source", LARGE)
    stage.topics.made = {"db.x.predictions": {}, "dlq.source": {"max.message.bytes": "2000001"}}

    (plan,) = await stage.service.plan(["a-source"])
    assert [str(low) for low in plan.limits] == [
        "topic db.x.predictions: max.message.bytes: 1048588 -> 2000000"
    ]
    await stage.service.apply([plan], within=60)

    assert stage.topics.made["db.x.predictions"] == {"max.message.bytes": "2000000"}
    assert stage.topics.made["dlq.source"] == {"max.message.bytes": "2000001"}, "a higher one stays"
    assert [plan.limits for plan in await stage.service.plan(["a-source"])] == [[]]


@pytest.mark.anyio
async def test_a_topic_that_takes_less_than_its_connector_sends_differs_from_the_files(
    stage: Stage,
) -> None:
    stage.specs.files["a-source"] = ("source", LARGE)
    await stage.apply()
    assert await stage.service.differing() == {}

    stage.topics.made["db.x.predictions"]["max.message.bytes"] = "1048588"

    assert await stage.service.differing() == {"source": ["max.message.bytes of db.x.predictions"]}


@pytest.mark.anyio
async def test_the_topic_of_change_events_is_made_as_connect_would_make_it(stage: Stage) -> None:
    stage.specs.files["a-source"] = ("source", LARGE)
    await stage.apply("a-source")

    assert stage.topics.made == {
        "db.x.predictions": {"retention.ms": "60000", "max.message.bytes": "2000000"},
        "dlq.source": {
            "cleanup.policy": "delete",
            "retention.ms": "-1",
            "max.message.bytes": "2000000",
        },
    }


@pytest.mark.anyio
async def test_only_what_differs_is_sent_and_the_difference_is_shown_before(stage: Stage) -> None:
    await stage.apply()
    stage.specs.files["c-sql"] = ("sql", {**SQL, "batch.size": "7"})

    plans = await stage.service.plan()

    assert [str(change) for plan in plans for change in plan.changes] == ["batch.size: - -> 7"]
    assert stage.puts()["sql"] == 1
    await stage.apply()
    assert stage.puts() == {"source": 1, "lake": 1, "sql": 2}


@pytest.mark.anyio
@pytest.mark.parametrize("name", ["c-sql", "sql"])
async def test_one_connector_is_named_by_its_file_or_by_itself(stage: Stage, name: str) -> None:
    assert await stage.apply(name) == ["sql"]
    assert list(stage.connect.connectors) == ["sql"]


@pytest.mark.anyio
async def test_a_name_without_a_file_is_not_found_with_those_that_are(stage: Stage) -> None:
    with pytest.raises(ConnectorNotFound, match="a-source"):
        await stage.service.plan(["nobody"])


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("key", "value"),
    [("insert.mode", "nonsense"), ("batch.sise", "7"), ("connection.password", "clear")],
)
async def test_a_wrong_value_is_refused_before_connect_sees_any(
    stage: Stage, key: str, value: str
) -> None:
    stage.specs.files["c-sql"] = ("sql", {**SQL, key: value})

    with pytest.raises(InvalidConnector, match=key):
        await stage.apply()

    assert stage.connect.connectors == {}
    assert "sql" not in stage.connect.checked


@pytest.mark.anyio
async def test_what_connect_itself_refuses_is_not_sent(stage: Stage) -> None:
    stage.connect.known = {MYSQL_SOURCE: frozenset(SOURCE), ICEBERG_SINK: frozenset(LAKE)}

    with pytest.raises(InvalidConnector, match=r"sql: connector\.class"):
        await stage.apply()

    assert stage.connect.connectors == {}


@pytest.mark.anyio
async def test_the_lake_gets_its_table_and_a_control_topic_that_keeps_everything(
    stage: Stage,
) -> None:
    await stage.apply("b-lake")

    assert stage.topics.made == {
        "control-cluster-1": {"cleanup.policy": "delete", "retention.ms": "-1"}
    }
    assert stage.lake.is_there


@pytest.mark.anyio
@pytest.mark.parametrize("key", ["errors.deadletterqueue.topic.name", "transforms.park.topic"])
async def test_a_connector_gets_a_dead_letter_topic_that_keeps_everything(
    stage: Stage, key: str
) -> None:
    aliases = {"transforms": "park", "transforms.park.type": "x"} if "park" in key else {}
    stage.connect.known = {JDBC_SINK: frozenset({*SQL, key, *aliases})}
    stage.specs.files["c-sql"] = ("sql", {**SQL, **aliases, key: "dlq.sql"})

    await stage.apply("c-sql")

    assert stage.topics.made == {"dlq.sql": {"cleanup.policy": "delete", "retention.ms": "-1"}}


@pytest.mark.anyio
async def test_a_plan_changes_nothing(stage: Stage) -> None:
    await stage.service.plan()

    assert (stage.connect.connectors, stage.topics.made, stage.lake.is_there) == ({}, {}, False)


@pytest.mark.anyio
async def test_a_control_topic_without_the_clusters_id_is_refused(stage: Stage) -> None:
    stage.specs.files["b-lake"] = ("lake", {**LAKE, "iceberg.control.topic": "control"})

    with pytest.raises(InvalidConnector, match=r"iceberg\.control\.topic"):
        await stage.apply()


@pytest.mark.anyio
async def test_a_new_kafka_cluster_beside_an_old_table_gets_its_own_control_topic(
    stage: Stage,
) -> None:
    stage.lake.written = Lineage("cluster-0", {TopicPartition("changes", 0): 99})

    [plan] = await stage.service.plan(["b-lake"])

    assert "cluster-0" in plan.note
    assert "control-cluster-1" in plan.note
    assert await stage.apply("b-lake") == ["lake"]


@pytest.mark.anyio
async def test_a_sink_on_another_clusters_control_topic_is_refused_unless_it_migrates(
    stage: Stage,
) -> None:
    old = {**LAKE, "iceberg.control.topic": "control-cluster-0"}
    stage.connect.connectors["lake"] = FakeConnector(old)

    with pytest.raises(LineageBroken, match="--migrate"):
        await stage.apply()
    assert stage.connect.connectors["lake"].config == old

    await stage.apply(migrate=True)
    assert stage.connect.connectors["lake"].config["iceberg.control.topic"] == "control-cluster-1"


@pytest.mark.anyio
async def test_a_control_topic_that_was_lost_is_not_made_anew(stage: Stage) -> None:
    stage.lake.written = Lineage("cluster-1", {TopicPartition("changes", 0): 99})

    with pytest.raises(LineageBroken, match="empty or gone"):
        await stage.apply()
    assert stage.topics.made == {}

    stage.topics.last[CONTROL] = 12
    await stage.apply()
    assert stage.puts()["lake"] == 1


@pytest.mark.anyio
async def test_a_connector_that_does_not_come_to_run_fails_by_its_exceptions_classes(
    stage: Stage,
) -> None:
    stage.connect.starts_as = FakeConnector({}, task=FAILED, reason="ConnectException")

    with pytest.raises(ConnectorFailed, match=r"source does not run: .*\(ConnectException\)"):
        await stage.apply()
    assert stage.clock.seconds < 60


@pytest.mark.anyio
async def test_one_that_fails_while_it_restarts_is_waited_for(stage: Stage) -> None:
    stage.connect.starts_as = FakeConnector({}, task=FAILED)

    def heal_after_5_seconds() -> None:
        if stage.clock.seconds >= 5:
            stage.connect.connectors["sql"].task = ConnectorState.RUNNING

    stage.clock.meanwhile = heal_after_5_seconds
    assert await stage.apply("sql") == ["sql"]


@pytest.mark.anyio
async def test_one_without_a_task_is_waited_for_until_the_time_is_up(stage: Stage) -> None:
    stage.connect.starts_as = FakeConnector({}, task=None)

    with pytest.raises(ConnectorFailed, match="has no task"):
        await stage.apply("sql")
    assert stage.clock.seconds >= 60


@pytest.mark.anyio
async def test_one_that_runs_for_a_moment_only_has_not_come_to_run(stage: Stage) -> None:
    def fail_after_a_second() -> None:
        if stage.clock.seconds >= 1:
            stage.connect.connectors["sql"].task = FAILED

    stage.clock.meanwhile = fail_after_a_second
    with pytest.raises(ConnectorFailed):
        await stage.apply("sql")


@pytest.mark.anyio
async def test_a_paused_connector_is_not_waited_for(stage: Stage) -> None:
    await stage.apply("sql")
    await stage.service.pause(["c-sql"])
    before = stage.clock.seconds

    with pytest.raises(ConnectorFailed, match="stroke connectors resume sql"):
        await stage.apply("sql")
    assert stage.clock.seconds == before


@pytest.mark.anyio
async def test_connect_is_waited_for_until_it_answers(stage: Stage) -> None:
    stage.connect.failing = ConnectUnavailable("away")
    with pytest.raises(ConnectUnavailable):
        await stage.service.wait_for_connect(10)
    assert stage.clock.seconds >= 10

    def answer() -> None:
        stage.connect.failing = None

    stage.clock.meanwhile = answer
    await stage.service.wait_for_connect(10)


@pytest.mark.anyio
async def test_connectors_are_run_by_hand_all_of_them_or_by_name(stage: Stage) -> None:
    await stage.apply()

    assert await stage.service.restart() == ["lake", "source", "sql"]
    assert await stage.service.pause(["c-sql", "sql"]) == ["sql"]
    assert [s.name for s in await stage.service.statuses() if not s.is_running] == ["sql"]
    assert await stage.service.resume() == ["lake", "source", "sql"]
    assert all(s.is_running for s in await stage.service.statuses())


@pytest.mark.anyio
async def test_nothing_happens_when_one_of_the_names_is_wrong(stage: Stage) -> None:
    await stage.apply()

    with pytest.raises(ConnectorNotFound):
        await stage.service.remove(["sql", "nobody"])
    assert len(stage.connect.connectors) == 3


@pytest.mark.anyio
async def test_removed_connectors_are_missing_and_a_dry_run_removes_none(stage: Stage) -> None:
    await stage.apply()

    assert await stage.service.remove(["c-sql"], dry_run=True) == ["sql"]
    assert await stage.service.missing() == []
    assert await stage.service.remove(["c-sql"]) == ["sql"]
    assert await stage.service.missing() == ["sql"]


def test_connectors_are_checked_without_connect() -> None:
    specs = FakeSpecs(**ALL)
    assert [spec.name for spec in checked(specs, "cluster-1")] == ["source", "lake", "sql"]


def test_a_control_topic_of_another_cluster_is_refused_without_connect() -> None:
    lake = LAKE | {"iceberg.control.topic": "control-cluster-0"}
    with pytest.raises(InvalidConnector, match=r"iceberg\.control\.topic"):
        checked(FakeSpecs(**{**ALL, "b-lake": ("lake", lake)}), "cluster-1")


@pytest.mark.anyio
async def test_a_lake_that_comes_late_is_waited_for_and_its_cause_is_logged_once(
    stage: Stage,
) -> None:
    reported: list[str] = []
    stage.lake.failing = ReplicaUnavailable("the bucket is not there")

    def meanwhile() -> None:
        if stage.clock.seconds > 30:
            stage.lake.failing = None
        elif stage.clock.seconds > 15:
            stage.lake.failing = ReplicaUnavailable("the bucket refuses the key")

    stage.clock.meanwhile = meanwhile

    async def apply() -> None:
        assert len(await stage.apply()) == 3

    await stage.service.once_reachable(apply, reported.append)

    assert reported == ["the bucket is not there", "the bucket refuses the key"]
    assert stage.lake.is_there


@pytest.mark.anyio
async def test_what_waiting_does_not_mend_is_raised_at_once(stage: Stage) -> None:
    stage.lake.failing = LineageBroken("another cluster")

    async def apply() -> None:
        await stage.apply()

    with pytest.raises(LineageBroken):
        await stage.service.once_reachable(apply, pytest.fail)
    assert stage.clock.seconds == 0
