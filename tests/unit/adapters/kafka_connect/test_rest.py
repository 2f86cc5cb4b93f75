"""How KafkaConnect takes what a worker says that is away, busy or broken.

What it does with one that is well is tested on a real worker: tests/integration.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest

from components.scripted_server import ScriptedServer
from stroke.adapters.kafka_connect.rest import KafkaConnect
from stroke.application.pipeline.kafka_connect_model import ConnectorState, TopicPartition
from stroke.domain.errors import ConnectorNotFound, ConnectUnavailable, InvalidSetting

TRACE = "org.apache.kafka.connect.errors.ConnectException: Jane Roe\n\tat x"


@pytest.fixture
def worker() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        yield server


@pytest.fixture
def slept() -> list[float]:
    return []


@pytest.fixture
async def connect(worker: ScriptedServer, slept: list[float]) -> AsyncIterator[KafkaConnect]:
    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    adapter = KafkaConnect(worker.url, timeout=5, sleep=sleep)
    yield adapter
    await adapter.aclose()


@pytest.mark.anyio
async def test_a_request_is_sent_again_while_the_workers_rebalance(
    worker: ScriptedServer, connect: KafkaConnect, slept: list[float]
) -> None:
    worker.answers = [(409, {"message": "rebalancing"})] * 3 + [(200, ["b", "a"])]

    assert await connect.names() == ["a", "b"]
    assert len(worker.asked) == 4
    assert slept == sorted(slept)


@pytest.mark.anyio
@pytest.mark.parametrize("status", [409, 500, 503])
async def test_a_worker_that_stays_busy_or_broken_is_unavailable(
    worker: ScriptedServer, connect: KafkaConnect, slept: list[float], status: int
) -> None:
    worker.answers = [(status, {"message": "hunter2"})]

    with pytest.raises(ConnectUnavailable, match=f"answers {status}") as caught:
        await connect.pause("x")

    assert "hunter2" not in str(caught.value)
    assert 0 < sum(slept) < 30


@pytest.mark.anyio
@pytest.mark.parametrize("status", [409, 500, 503])
async def test_what_an_attempt_without_a_good_answer_removed_is_removed(
    worker: ScriptedServer, connect: KafkaConnect, status: int
) -> None:
    worker.answers = [(status, {"message": "Request timed out"}), (404, {"message": "not found"})]

    await connect.remove("a")

    assert worker.asked == ["DELETE /connectors/a"] * 2


@pytest.mark.anyio
async def test_what_was_never_there_is_not_removed(
    worker: ScriptedServer, connect: KafkaConnect
) -> None:
    worker.answers = [(404, {"message": "not found"})]

    with pytest.raises(ConnectorNotFound):
        await connect.remove("a")


@pytest.mark.anyio
async def test_one_failure_is_passed_over(worker: ScriptedServer, connect: KafkaConnect) -> None:
    worker.answers = [(500, {"message": "Request timed out"}), (202, b"")]

    await connect.pause("x")

    assert worker.asked == ["PUT /connectors/x/pause"] * 2


@pytest.mark.anyio
async def test_where_nobody_listens_connect_is_unavailable_and_the_setting_is_named(
    slept: list[float],
) -> None:
    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    connect = KafkaConnect("http://me:hunter2@127.0.0.1:1", timeout=5, sleep=sleep)
    with pytest.raises(ConnectUnavailable, match="STROKE_CONNECT_URL") as caught:
        await connect.names()
    await connect.aclose()

    assert "hunter2" not in str(caught.value)
    assert slept


@pytest.mark.anyio
async def test_what_is_not_kafka_connect_is_named_as_such(
    worker: ScriptedServer, connect: KafkaConnect
) -> None:
    worker.answers = [(200, b"<html>")]
    with pytest.raises(ConnectUnavailable, match="is not Kafka Connect"):
        await connect.cluster_id()

    worker.answers = [(200, {"hello": "world"})]
    with pytest.raises(ConnectUnavailable, match="is not Kafka Connect"):
        await connect.cluster_id()


@pytest.mark.anyio
@pytest.mark.parametrize(
    "ask",
    [
        lambda connect: connect.cluster_id(),
        lambda connect: connect.names(),
        lambda connect: connect.config("x"),
        lambda connect: connect.known_keys("x.Class"),
        lambda connect: connect.check("x", {"connector.class": "x.Class"}),
        lambda connect: connect.status("x"),
        lambda connect: connect.offsets("x"),
        lambda connect: connect.source_position("x"),
    ],
)
@pytest.mark.parametrize("answer", [b"<html>", {"hello": "Jane Roe"}, [{"offsets": 1}], 7, b""])
async def test_another_server_is_not_taken_for_kafka_connect(
    worker: ScriptedServer,
    connect: KafkaConnect,
    ask: Callable[[KafkaConnect], Awaitable[object]],
    answer: object,
) -> None:
    worker.answers = [(200, answer)]

    with pytest.raises(ConnectUnavailable, match="is not Kafka Connect") as caught:
        await ask(connect)

    assert "Jane" not in str(caught.value)


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidSetting, match="STROKE_CONNECT_URL"):
        KafkaConnect("http://connect:port", timeout=5)


@pytest.mark.anyio
async def test_a_failed_task_is_shown_by_its_exceptions_classes(
    worker: ScriptedServer, connect: KafkaConnect
) -> None:
    worker.answers = [
        (
            200,
            {
                "name": "x",
                "type": "sink",
                "connector": {"state": "RUNNING", "worker_id": "w:1"},
                "tasks": [{"id": 0, "state": "FAILED", "worker_id": "w:1", "trace": TRACE}],
            },
        )
    ]

    status = await connect.status("x")

    assert status.tasks[0].state is ConnectorState.FAILED
    assert "Jane" not in repr(status)
    assert status.tasks[0].reason == "ConnectException"


@pytest.mark.anyio
async def test_a_name_is_escaped(worker: ScriptedServer, connect: KafkaConnect) -> None:
    worker.answers = [(204, b"")]

    await connect.remove("a/b?c")

    assert worker.asked == ["DELETE /connectors/a%2Fb%3Fc"]


@pytest.mark.anyio
async def test_offsets_are_read_by_partition(worker: ScriptedServer, connect: KafkaConnect) -> None:
    entry = {"partition": {"kafka_topic": "t", "kafka_partition": 2}, "offset": {"kafka_offset": 7}}
    worker.answers = [(200, {"offsets": [entry]})]

    assert await connect.offsets("x") == {TopicPartition("t", 2): 7}


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("offset", "position"),
    [
        ({"gtids": "a:1-5,\nb:1-2", "pos": 4}, "a:1-5,b:1-2"),
        ({"gtids": "a:1-5", "snapshot": "INITIAL", "snapshot_completed": False}, None),
        ({"gtids": "a:1-5", "snapshot": True}, None),
        ({"gtids": "a:1-5", "snapshot": "INITIAL", "snapshot_completed": True}, "a:1-5"),
        ({"pos": 4}, None),
        (None, None),
    ],
)
async def test_a_source_has_a_position_once_its_first_snapshot_is_through(
    worker: ScriptedServer,
    connect: KafkaConnect,
    offset: dict[str, Any] | None,
    position: str | None,
) -> None:
    worker.answers = [(200, {"offsets": [{"partition": {"server": "s"}, "offset": offset}]})]

    assert await connect.source_position("x") == position
