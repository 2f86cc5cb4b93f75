from __future__ import annotations

import pytest

from stroke.application.pipeline.kafka_connect_model import (
    Change,
    ConnectorState,
    ConnectorStatus,
    TaskStatus,
    differences,
    holds_secret,
)


def status(state: ConnectorState, *tasks: ConnectorState) -> ConnectorStatus:
    return ConnectorStatus(
        "c", "sink", state, "w", tuple(TaskStatus(n, task, "w") for n, task in enumerate(tasks))
    )


RUNNING, FAILED = ConnectorState.RUNNING, ConnectorState.FAILED


@pytest.mark.parametrize(
    ("found", "running", "failed"),
    [
        (status(RUNNING, RUNNING), True, False),
        (status(RUNNING), False, False),
        (status(RUNNING, RUNNING, FAILED), False, True),
        (status(FAILED), False, True),
        (status(ConnectorState.PAUSED, ConnectorState.PAUSED), False, False),
    ],
)
def test_a_connector_runs_when_it_and_all_its_tasks_do(
    found: ConnectorStatus, running: bool, failed: bool
) -> None:
    assert (found.is_running, found.has_failed) == (running, failed)


def test_differences_name_what_is_set_altered_and_left_out() -> None:
    assert differences({"a": "1", "b": "2", "c": "3"}, {"a": "1", "b": "x", "d": "4"}) == [
        Change("b", "2", "x"),
        Change("c", "3", None),
        Change("d", None, "4"),
    ]
    assert differences(None, {"a": "1"}) == [Change("a", None, "1")]
    assert differences({"a": "1"}, {"a": "1"}) == []


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("database.password", "pw"),
        ("database.password", "x${env:PASSWORD}"),
        ("iceberg.catalog.s3.access-key-id", "AKIA"),
        ("iceberg.catalog.s3.secret-access-key", "x"),
        ("iceberg.catalog.token", "x"),
        ("transforms.mask.salt", "x"),
        ("connection.url", "jdbc:postgresql://me:pw@host/db"),
        ("connection.url", "jdbc:sqlserver://host;user=me;password=pw"),
    ],
)
def test_a_secret_in_clear_is_seen_and_not_shown(key: str, value: str) -> None:
    assert holds_secret(key, value)
    assert str(Change(key, value, "${env:X}")) == f"{key}: *** -> ${{env:X}}"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("database.password", "${env:PASSWORD}"),
        ("database.password", "${file:/run/secrets/x:password}"),
        ("database.password", "${dir:/run/secrets:password}"),
        ("iceberg.catalog.token-refresh-enabled", "true"),
        ("connection.url", "jdbc:postgresql://host:5432/db?x=y"),
        ("connection.url", "jdbc:sqlserver://host;password=${env:PASSWORD}"),
        ("key.converter.apicurio.registry.url", "${env:URL}/apis/registry/v2"),
        ("topic.prefix", "dbserver1"),
    ],
)
def test_a_reference_or_a_plain_value_is_no_secret(key: str, value: str) -> None:
    assert not holds_secret(key, value)
    assert str(Change(key, None, value)) == f"{key}: - -> {value}"
