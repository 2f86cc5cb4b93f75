"""Behaviour that every implementation of the pipeline's ports shares (see ``contracts``)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

import pytest

from stroke.application.ports import ConnectorControl, ConnectorRegistry
from stroke.domain.connectors import ConnectorConfig, ConnectorState, TopicPartition
from stroke.domain.errors import ConnectorFailed, ConnectorNotFound, InvalidConnector

_COMES_TRUE_WITHIN = 90.0
ABSENT = "there-is-no-such-connector"


class Connect(ConnectorRegistry, ConnectorControl, Protocol):
    """Both ports of one Kafka Connect."""


async def comes_true(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait for what Connect does after it has answered; a fake has done it already."""
    deadline = time.monotonic() + _COMES_TRUE_WITHIN
    while not await condition():
        assert time.monotonic() < deadline, "it did not come true"
        await asyncio.sleep(0.2)


async def comes_to_be(connect: Connect, name: str, state: ConnectorState) -> None:
    async def is_so() -> bool:
        try:
            status = await connect.status(name)
        except ConnectorNotFound:  # the config is stored, the connector not started yet
            return False
        tasks = {task.state for task in status.tasks}
        wanted = set() if state is ConnectorState.STOPPED else {state}
        return status.state is state and tasks == wanted

    await comes_true(is_so)


@pytest.mark.anyio
class ConnectContract:
    """Provide fixtures ``connect``, and ``name`` and ``config`` of a sink that is not there yet."""

    async def test_a_connector_is_kept_with_its_config(
        self, connect: Connect, name: str, config: ConnectorConfig
    ) -> None:
        assert await connect.config(name) is None

        await connect.put(name, config)

        assert name in await connect.names()
        assert await connect.config(name) == config

    async def test_another_config_replaces_the_first_one_wholly(
        self, connect: Connect, name: str, config: ConnectorConfig
    ) -> None:
        await connect.put(name, {**config, "batch.size": "7"})
        await connect.put(name, {**config, "errors.log.enable": "true"})

        assert await connect.config(name) == {**config, "errors.log.enable": "true"}

    async def test_a_sink_comes_to_run_pauses_and_goes_on(
        self, connect: Connect, name: str, config: ConnectorConfig
    ) -> None:
        await connect.put(name, config)
        await comes_to_be(connect, name, ConnectorState.RUNNING)
        status = await connect.status(name)
        assert (status.name, status.kind, status.is_running) == (name, "sink", True)

        await connect.pause(name)
        await comes_to_be(connect, name, ConnectorState.PAUSED)
        await connect.resume(name)
        await comes_to_be(connect, name, ConnectorState.RUNNING)
        await connect.restart(name, only_failed=False)
        await comes_to_be(connect, name, ConnectorState.RUNNING)

    async def test_the_offsets_of_a_stopped_sink_can_be_set(
        self, connect: Connect, name: str, config: ConnectorConfig
    ) -> None:
        at = TopicPartition(config["topics"], 0)
        await connect.put(name, config)
        await comes_to_be(connect, name, ConnectorState.RUNNING)
        with pytest.raises(ConnectorFailed):
            await connect.set_offsets(name, {at: 0})

        await connect.stop(name)
        await comes_to_be(connect, name, ConnectorState.STOPPED)
        await connect.set_offsets(name, {at: 0})

        assert await connect.offsets(name) == {at: 0}
        assert await connect.source_position(name) is None

    async def test_a_removed_connector_is_gone(
        self, connect: Connect, name: str, config: ConnectorConfig
    ) -> None:
        await connect.put(name, config)
        await connect.remove(name)

        assert name not in await connect.names()
        assert await connect.config(name) is None

    @pytest.mark.parametrize(
        "act",
        [
            lambda connect: connect.status(ABSENT),
            lambda connect: connect.restart(ABSENT),
            lambda connect: connect.pause(ABSENT),
            lambda connect: connect.stop(ABSENT),
            lambda connect: connect.resume(ABSENT),
            lambda connect: connect.offsets(ABSENT),
            lambda connect: connect.set_offsets(ABSENT, {TopicPartition("t", 0): 1}),
            lambda connect: connect.source_position(ABSENT),
            lambda connect: connect.remove(ABSENT),
        ],
    )
    async def test_a_connector_that_is_not_there_is_not_found(
        self, connect: Connect, act: Callable[[Connect], Awaitable[object]]
    ) -> None:
        with pytest.raises(ConnectorNotFound, match=ABSENT):
            await act(connect)

    async def test_a_good_config_is_found_good(
        self, connect: Connect, name: str, config: ConnectorConfig
    ) -> None:
        assert await connect.check(name, config) == []

    async def test_a_wrong_value_is_named_by_its_key_and_never_stored(
        self, connect: Connect, name: str, config: ConnectorConfig
    ) -> None:
        wrong = {**config, "tasks.max": "s3cret"}

        assert {x.field for x in await connect.check(name, wrong)} == {"tasks.max"}
        with pytest.raises(InvalidConnector, match=r"tasks\.max") as caught:
            await connect.put(name, wrong)
        assert "s3cret" not in str(caught.value)
        assert name not in await connect.names()

    async def test_a_class_without_a_plug_in_is_refused(
        self, connect: Connect, name: str, config: ConnectorConfig
    ) -> None:
        found = await connect.check(name, {**config, "connector.class": "no.such.Plugin"})

        assert [x.field for x in found] == ["connector.class"]

    async def test_a_class_declares_its_settings(
        self, connect: Connect, config: ConnectorConfig
    ) -> None:
        known = await connect.known_keys(config["connector.class"])

        assert {"tasks.max", "topics", "errors.tolerance"} <= known
        assert await connect.known_keys("no.such.Plugin") == frozenset()

    async def test_the_kafka_cluster_keeps_its_id(self, connect: Connect) -> None:
        first = await connect.cluster_id()

        assert first
        assert await connect.cluster_id() == first
