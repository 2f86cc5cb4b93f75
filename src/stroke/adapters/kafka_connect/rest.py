"""KafkaConnect: the Connect REST API behind both of its ports.

Connect quotes a config's values in what it says, secrets that a config provider resolved among
them, and records in its traces. So neither its messages nor its traces pass this module as they
are: see ``refusals`` and ``trace``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import quote

import httpx

from stroke.adapters.kafka_connect.refusals import violations_of
from stroke.adapters.kafka_connect.trace import exception_classes, failing_record
from stroke.application.pipeline.failure_causes import cause_of
from stroke.application.pipeline.kafka_connect_model import (
    ConnectorConfig,
    ConnectorState,
    ConnectorStatus,
    TaskStatus,
    TopicPartition,
)
from stroke.application.pipeline.ports import ConnectorControl, ConnectorRegistry, SourceProgress
from stroke.domain.errors import (
    ConnectorFailed,
    ConnectorNotFound,
    ConnectUnavailable,
    InvalidConnector,
    InvalidSetting,
    Violation,
)

# A rebalance takes about `scheduled.rebalance.max.delay.ms` (3 s in our workers).
_PAUSES_WHILE_REBALANCING: Final = (0.25, 0.5, 1.0, 2.0, 4.0, 4.0, 4.0)
_PAUSES_WHILE_AWAY: Final = (0.2, 0.5)


class KafkaConnect(ConnectorRegistry, ConnectorControl, SourceProgress):
    """A Connect worker at ``url``; any of a cluster will do. Close it with ``aclose``.

    A request waits up to ``timeout`` seconds for its answer. It is sent again while the workers
    rebalance, and briefly when the worker is away or fails: every request may be repeated.
    ``trace`` is given the client that sends them.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout: float,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        trace: Callable[[httpx.AsyncClient], object] = lambda _: None,
    ) -> None:
        try:
            self._client = httpx.AsyncClient(base_url=url, timeout=timeout)
        except httpx.InvalidURL as error:
            raise InvalidSetting("STROKE_CONNECT_URL is not a URL") from error
        trace(self._client)
        self._shown = self._client.base_url.copy_with(userinfo=b"")
        self._sleep = sleep

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def cluster_id(self) -> str:
        """Return the id of the Kafka cluster that Connect works on."""
        with self._reading():
            return str((await self._json("GET", "/"))["kafka_cluster_id"])

    async def names(self) -> list[str]:
        """Return the names of all connectors, sorted."""
        with self._reading():
            found = await self._json("GET", "/connectors")
            if not (isinstance(found, list) and all(isinstance(name, str) for name in found)):
                raise self._not_connect()
            return sorted(found)

    async def config(self, name: str) -> ConnectorConfig | None:
        """Return a connector's stored config without ``name``, or None if there is none."""
        response = await self._request("GET", f"{_path(name)}/config")
        if response.status_code == httpx.codes.NOT_FOUND:
            return None
        with self._reading():
            config = self._answer(response)
            if "connector.class" not in config:
                raise self._not_connect()
            return {key: value for key, value in config.items() if key != "name"}

    async def known_keys(self, connector_class: str) -> frozenset[str]:
        """Return the settings that a class of connectors declares; none of an unknown class."""
        response = await self._request("GET", f"{_plugin(connector_class)}/config")
        if response.status_code == httpx.codes.NOT_FOUND:
            return frozenset()
        with self._reading():
            return frozenset(key["name"] for key in self._answer(response))

    async def check(self, name: str, config: ConnectorConfig) -> list[Violation]:
        """Return the violations that Connect's own validation finds in ``config``, by key."""
        connector_class = config.get("connector.class", "")
        if not await self.known_keys(connector_class):
            return [Violation("connector.class", "is of no plug-in of this Connect")]
        path = f"{_plugin(connector_class)}/config/validate"
        with self._reading():
            return violations_of(await self._json("PUT", path, {**config, "name": name}))

    async def put(self, name: str, config: ConnectorConfig) -> None:
        """Create the connector, or give it another config."""
        response = await self._request("PUT", f"{_path(name)}/config", dict(config))
        if response.status_code == httpx.codes.BAD_REQUEST:
            violations = await self.check(name, config)
            unexplained = Violation("config", "is refused by Kafka Connect: its log says why")
            raise InvalidConnector(name, tuple(violations) or (unexplained,))
        self._answer(response)

    async def remove(self, name: str) -> None:
        """Remove the connector; its offsets stay. Raises ``ConnectorNotFound``."""
        await self._of(name, "DELETE", "")

    async def status(self, name: str) -> ConnectorStatus:
        """Return the state of the connector and of its tasks."""
        with self._reading():
            found = await self._of(name, "GET", "/status")
            connector = found["connector"]
            return ConnectorStatus(
                name=name,
                kind=found.get("type", "unknown"),
                state=ConnectorState(connector["state"]),
                worker=connector["worker_id"],
                tasks=tuple(
                    TaskStatus(
                        number=task["id"],
                        state=ConnectorState(task["state"]),
                        worker=task["worker_id"],
                        reason=exception_classes(task.get("trace", "")),
                        cause=cause_of(task.get("trace", "")),
                        record=failing_record(task.get("trace", "")),
                    )
                    for task in found["tasks"]
                ),
                reason=exception_classes(connector.get("trace", "")),
                cause=cause_of(connector.get("trace", "")),
            )

    async def restart(self, name: str, *, only_failed: bool = True) -> None:
        """Restart the connector and its tasks, or only those of them that failed."""
        only = "true" if only_failed else "false"
        await self._of(name, "POST", f"/restart?includeTasks=true&onlyFailed={only}")

    async def pause(self, name: str) -> None:
        """Pause the tasks; they keep what they hold."""
        await self._of(name, "PUT", "/pause")

    async def stop(self, name: str) -> None:
        """Shut the tasks down; needed before ``set_offsets``."""
        await self._of(name, "PUT", "/stop")

    async def resume(self, name: str) -> None:
        """Continue after ``pause`` or ``stop``."""
        await self._of(name, "PUT", "/resume")

    async def offsets(self, name: str) -> dict[TopicPartition, int]:
        """Return the next offset that a sink connector reads, by partition, as committed."""
        with self._reading():
            return {
                TopicPartition(
                    entry["partition"]["kafka_topic"], int(entry["partition"]["kafka_partition"])
                ): int(entry["offset"]["kafka_offset"])
                for entry in await self._offsets(name)
                if "kafka_topic" in entry["partition"]
            }

    async def set_offsets(self, name: str, offsets: Mapping[TopicPartition, int]) -> None:
        """Let a stopped sink connector go on from other offsets.

        Raises ``ConnectorFailed`` while it is not stopped.
        """
        wanted = [
            {
                "partition": {"kafka_topic": at.topic, "kafka_partition": at.partition},
                "offset": {"kafka_offset": offset},
            }
            for at, offset in sorted(offsets.items())
        ]
        await self._of(name, "PATCH", "/offsets", {"offsets": wanted})

    async def source_position(self, name: str) -> str | None:
        """Return the GTID set that a source connector has committed, if it has one.

        None, too, while its first snapshot runs: the set then names rows that are still to come.
        """
        with self._reading():
            for entry in await self._offsets(name):
                offset = entry["offset"] or {}
                snapshot_runs = offset.get("snapshot") and not offset.get("snapshot_completed")
                if offset.get("gtids") and not snapshot_runs:
                    return str(offset["gtids"]).replace("\n", "")
        return None

    async def _offsets(self, name: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self._of(name, "GET", "/offsets"))["offsets"]
        return found

    async def _of(self, name: str, method: str, path: str, body: object | None = None) -> Any:
        """Send a request about a connector that has to be there."""
        response = await self._request(method, f"{_path(name)}{path}", body)
        if response.status_code == httpx.codes.NOT_FOUND:
            raise ConnectorNotFound(name)
        if response.status_code == httpx.codes.BAD_REQUEST:
            raise ConnectorFailed(f"{name} is not in a state for this: stop it first")
        return self._answer(response)

    async def _json(self, method: str, path: str, body: object | None = None) -> Any:
        return self._answer(await self._request(method, path, body))

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Turn an answer that Connect would not give into ``ConnectUnavailable``."""
        try:
            yield
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise self._not_connect() from error

    def _answer(self, response: httpx.Response) -> Any:
        if not response.is_success:
            raise ConnectUnavailable(
                f"Kafka Connect at {self._shown} answers {response.status_code}: see its log"
            )
        try:
            return response.json() if response.content else None
        except ValueError as error:
            raise self._not_connect() from error

    async def _request(self, method: str, path: str, body: object | None = None) -> httpx.Response:
        """Return the first answer to the request itself, not one about the worker's state.

        What is deleted may be gone by an attempt whose answer was an error, or got lost.
        """
        rebalancing, away = iter(_PAUSES_WHILE_REBALANCING), iter(_PAUSES_WHILE_AWAY)
        tried = False
        while True:
            try:
                response = await self._client.request(method, path, json=body)
            except httpx.TimeoutException as error:  # it waited long enough already
                raise self._unreachable("does not answer in time") from error
            except httpx.TransportError as error:
                if (pause := next(away, None)) is None:
                    raise self._unreachable("cannot be reached") from error
            else:
                if response.status_code == httpx.codes.CONFLICT:
                    pause = next(rebalancing, None)
                elif response.is_server_error:
                    pause = next(away, None)
                elif tried and method == "DELETE" and response.status_code == httpx.codes.NOT_FOUND:
                    return httpx.Response(httpx.codes.NO_CONTENT)
                else:
                    return response
                if pause is None:
                    return response
            tried = True
            await self._sleep(pause)

    def _not_connect(self) -> ConnectUnavailable:
        return ConnectUnavailable(
            f"what answers at {self._shown} is not Kafka Connect: see STROKE_CONNECT_URL"
        )

    def _unreachable(self, how: str) -> ConnectUnavailable:
        return ConnectUnavailable(
            f"Kafka Connect at {self._shown} {how}: is it up, and is STROKE_CONNECT_URL right?"
        )


def _path(name: str) -> str:
    return f"/connectors/{quote(name, safe='')}"


def _plugin(connector_class: str) -> str:
    return f"/connector-plugins/{quote(connector_class, safe='') or 'none'}"
