from __future__ import annotations

import pytest

from stroke.application.pipeline.connector_rules import (
    ICEBERG_SINK,
    JDBC_SINK,
    MYSQL_SOURCE,
    violations,
)
from stroke.application.pipeline.kafka_connect_model import ConnectorConfig

SOURCE = {
    "connector.class": MYSQL_SOURCE,
    "tasks.max": "1",
    "exactly.once.support": "required",
    "errors.tolerance": "none",
    "database.password": "${env:PASSWORD}",
}
SQL_SINK = {
    "connector.class": JDBC_SINK,
    "topics": "changes",
    "insert.mode": "upsert",
    "primary.key.mode": "record_key",
}
LAKE_SINK = {
    "connector.class": ICEBERG_SINK,
    "tasks.max": "1",
    "topics": "changes",
    "iceberg.control.topic": "control",
}


def broken(config: ConnectorConfig, *known: str) -> list[str]:
    return [violation.field for violation in violations(config, known)]


@pytest.mark.parametrize("config", [SOURCE, SQL_SINK, LAKE_SINK])
def test_a_config_that_needs_no_change_breaks_no_rule(config: ConnectorConfig) -> None:
    assert violations(config) == []


@pytest.mark.parametrize("given", [{}, {"connector.class": "io.confluent.connect.s3.S3Sink"}])
def test_a_class_that_is_not_ours_is_refused(given: dict[str, str]) -> None:
    assert broken(given) == ["connector.class"]


@pytest.mark.parametrize(
    ("config", "key", "value"),
    [
        (SOURCE, "snapshot.mode", "nonsense"),
        (SOURCE, "snapshot.mode", "no_data"),
        (SOURCE, "tombstones.on.delete", "yes"),
        (SOURCE, "tasks.max", "2"),
        (SOURCE, "exactly.once.support", "requested"),
        (SOURCE, "database.server.id", "0"),
        (SOURCE, "database.server.id", "4294967296"),
        (SOURCE, "database.server.id", "1.5"),
        (SOURCE, "heartbeat.interval.ms", "0"),
        (SOURCE, "event.processing.failure.handling.mode", "skip"),
        (SOURCE, "topic.creation.default.partitions", "3"),
        (SOURCE, "errors.log.include.messages", "true"),
        (SQL_SINK, "insert.mode", "insert"),
        (SQL_SINK, "primary.key.mode", "kafka"),
        (SQL_SINK, "schema.evolution", "advanced"),
        (SQL_SINK, "delete.enabled", "True"),
        (SQL_SINK, "batch.size", "many"),
        (SQL_SINK, "topics", ""),
        (SQL_SINK, "errors.log.include.messages", "true"),
        (LAKE_SINK, "tasks.max", "2"),
        (LAKE_SINK, "iceberg.control.topic", ""),
        (LAKE_SINK, "iceberg.control.commit.interval-ms", "10s"),
        (LAKE_SINK, "iceberg.tables.auto-create-props.write.format.default", "orc"),
    ],
)
def test_a_wrong_value_is_refused_by_its_key_and_not_quoted(
    config: ConnectorConfig, key: str, value: str
) -> None:
    found = violations({**config, key: value})

    assert {violation.field for violation in found} == {key}
    assert not any(f" {value} " in f" {violation.reason} " for violation in found if value)


@pytest.mark.parametrize(
    ("config", "key"),
    [
        (SOURCE, "tasks.max"),
        (SOURCE, "exactly.once.support"),
        (SQL_SINK, "insert.mode"),
        (SQL_SINK, "primary.key.mode"),
        (SQL_SINK, "topics"),
        (LAKE_SINK, "iceberg.control.topic"),
    ],
)
def test_what_the_pipeline_needs_may_not_be_left_out(config: ConnectorConfig, key: str) -> None:
    assert broken({k: v for k, v in config.items() if k != key}) == [key]


def test_a_secret_in_clear_is_refused_and_not_quoted() -> None:
    found = violations({**SOURCE, "database.password": "hunter2"})

    assert [x.field for x in found] == ["database.password"]
    assert "hunter2" not in found[0].reason


def test_an_error_that_is_passed_over_needs_a_dead_letter_with_its_origin() -> None:
    tolerant = {**SQL_SINK, "errors.tolerance": "all"}

    assert broken(tolerant) == [
        "errors.deadletterqueue.context.headers.enable",
        "errors.deadletterqueue.topic.name",
    ]
    assert (
        broken(
            {
                **tolerant,
                "errors.deadletterqueue.topic.name": "dlq",
                "errors.deadletterqueue.context.headers.enable": "true",
            }
        )
        == []
    )


def test_a_source_may_not_pass_over_errors() -> None:
    assert "errors.tolerance" in broken({**SOURCE, "errors.tolerance": "all"})


def test_a_transform_that_is_configured_but_not_listed_is_refused() -> None:
    given = {**SOURCE, "transforms": "masc", "transforms.mask.type": "M"}

    assert broken(given) == ["transforms.masc.type", "transforms.mask.type"]
    assert broken({**given, "transforms": "mask"}) == []
    assert broken({**SOURCE, "predicates.tomb.type": "T"}) == ["predicates.tomb.type"]


def test_a_misspelt_key_is_refused_with_the_closest_known_one() -> None:
    given = {**SQL_SINK, "insert.mod": "upsert"}

    [found] = violations(given, [*SQL_SINK, "insert.mode"])

    assert (found.field, found.reason) == ("insert.mod", "is not known: is it insert.mode?")


def test_keys_below_free_prefixes_and_undeclared_ones_are_known() -> None:
    free = {
        "transforms": "a",
        "transforms.a.type": "A",
        "transforms.a.anything": "1",
        "key.converter.apicurio.registry.url": "x",
        "consumer.override.max.poll.records": "100",
        "use.reduction.buffer": "true",
    }
    assert broken({**SQL_SINK, **free}, *SQL_SINK, "transforms") == []
    assert broken({**LAKE_SINK, "iceberg.catalog.x": "1"}, *LAKE_SINK) == []
    assert broken({**SQL_SINK, "iceberg.catalog.x": "1"}, *SQL_SINK) == ["iceberg.catalog.x"]
