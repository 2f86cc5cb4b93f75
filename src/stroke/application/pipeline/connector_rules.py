"""Our own rules for connectors. Connect accepts settings that lose data; these rules do not.

Connect's validation accepts unknown keys and any text for most enumerations, and the connector
then starts with a default, or loses data quietly. Sources of the lists: Debezium 3.6
(MySqlConnectorConfig, JdbcSinkConnectorConfig), Apache Iceberg 1.12 (IcebergSinkConfig).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from stroke.application.pipeline.kafka_connect_model import (
    ConnectorConfig,
    ConnectorSpec,
    holds_secret,
)
from stroke.domain.errors import Violation

CLASS: Final = "connector.class"
MYSQL_SOURCE: Final = "io.debezium.connector.mysql.MySqlConnector"
JDBC_SINK: Final = "io.debezium.connector.jdbc.JdbcSinkConnector"
ICEBERG_SINK: Final = "org.apache.iceberg.connect.IcebergSinkConnector"
CONTROL_TOPIC: Final = "iceberg.control.topic"
DEAD_LETTERS: Final = "errors.deadletterqueue.topic.name"
# A source connector has no dead-letter queue: our own transform is one.
PARKED_BY_SOURCE: Final = "transforms.park.topic"

_BOOLEAN: Final = ("true", "false")


@dataclass(frozen=True, slots=True)
class _Rules:
    """The settings that one class of connectors may have. ``numbers`` are inclusive bounds.

    ``undeclared`` keys are read by the connector although it does not declare them to Connect;
    below ``free`` prefixes, any key may stand.
    """

    needed: Mapping[str, str] = field(default_factory=dict)
    one_of: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    numbers: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    undeclared: tuple[str, ...] = ()
    free: tuple[str, ...] = ()


_DAY_MS: Final = 24 * 3600 * 1000
_FOREVER: Final = -1
# A broker takes requests of 100 MiB (socket.request.max.bytes).
_LARGEST: Final = 100 * 1024 * 1024
_COMMON: Final = _Rules(
    one_of={
        "errors.tolerance": ("none", "all"),
        "errors.log.enable": _BOOLEAN,
        "errors.log.include.messages": _BOOLEAN,
        "errors.deadletterqueue.context.headers.enable": _BOOLEAN,
        "config.action.reload": ("restart", "none"),
    },
    numbers={
        "tasks.max": (1, 64),
        "errors.retry.timeout": (_FOREVER, 7 * _DAY_MS),
        "errors.retry.delay.max.ms": (1, 3_600_000),
        "errors.deadletterqueue.topic.replication.factor": (1, 9),
        "topic.creation.default.replication.factor": (_FOREVER, 9),
        "topic.creation.default.partitions": (1, 1),  # order of changes, and one offset to compare
        "consumer.override.max.poll.records": (1, 100_000),
        "consumer.override.session.timeout.ms": (1000, 300_000),
        "consumer.override.heartbeat.interval.ms": (100, 100_000),
        "consumer.override.max.partition.fetch.bytes": (1, _LARGEST),
        "consumer.override.fetch.max.bytes": (1, 2**31 - 1),
        "producer.override.max.request.size": (1, _LARGEST),
        "producer.override.buffer.memory": (1, 2**31 - 1),
        "topic.creation.default.max.message.bytes": (1, _LARGEST),
    },
    free=(
        "transforms.",
        "predicates.",
        "key.converter.",
        "value.converter.",
        "header.converter.",
        "consumer.override.",
        "producer.override.",
        "admin.override.",
        "topic.creation.",
    ),
)
_BY_CLASS: Final = {
    MYSQL_SOURCE: _Rules(
        needed={
            "tasks.max": "1",
            "exactly.once.support": "required",
            "errors.tolerance": "none",  # others leave records out silently
        },
        one_of={
            # initial_only stops, never and no_data leave rows out: a copy would lack them
            "snapshot.mode": ("initial", "when_needed", "always", "recovery"),
            "snapshot.locking.mode": ("minimal", "minimal_percona", "extended", "none"),
            "tombstones.on.delete": _BOOLEAN,
            "include.schema.changes": _BOOLEAN,
            "decimal.handling.mode": ("precise", "string", "double"),
            "time.precision.mode": ("adaptive_time_microseconds", "connect", "isostring"),
            "bigint.unsigned.handling.mode": ("long", "precise"),
            "event.processing.failure.handling.mode": ("fail",),  # the others leave rows out
            "schema.name.adjustment.mode": ("none", "avro", "avro_unicode"),
            "field.name.adjustment.mode": ("none", "avro", "avro_unicode"),
            "database.ssl.mode": (
                "disabled",
                "preferred",
                "required",
                "verify_ca",
                "verify_identity",
            ),
            "transaction.boundary": ("poll", "interval", "connector"),
            "schema.history.internal.store.only.captured.tables.ddl": _BOOLEAN,
            "driver.allowPublicKeyRetrieval": _BOOLEAN,
        },
        numbers={
            "database.server.id": (1, 2**32 - 1),
            "heartbeat.interval.ms": (1, 600_000),
            "poll.interval.ms": (1, 60_000),
            "incremental.snapshot.chunk.size": (1, 100_000),
            "connect.keep.alive.interval.ms": (100, 600_000),
            "errors.max.retries": (_FOREVER, 1000),
            "max.batch.size": (1, 100_000),
            "max.queue.size": (2, 1_000_000),
            "max.queue.size.in.bytes": (0, 2**31),
        },
        undeclared=("field.name.adjustment.mode",),
        free=("driver.", "schema.history.internal.", "signal.kafka.", "column.", "datatype."),
    ),
    JDBC_SINK: _Rules(
        needed={"insert.mode": "upsert", "primary.key.mode": "record_key"},
        one_of={
            "schema.evolution": ("none", "basic"),
            "delete.enabled": _BOOLEAN,
            "truncate.enabled": _BOOLEAN,
            "quote.identifiers": _BOOLEAN,
            "use.reduction.buffer": _BOOLEAN,
            "dialect.sqlserver.identity.insert": _BOOLEAN,
        },
        numbers={
            "batch.size": (1, 10_000),
            "flush.max.retries": (_FOREVER, 1000),
            "flush.retry.delay.ms": (1, 600_000),
            "connection.pool.min_size": (1, 100),
            "connection.pool.max_size": (1, 100),
        },
        undeclared=("use.reduction.buffer", "connection.provider"),
        free=("hibernate.",),
    ),
    ICEBERG_SINK: _Rules(
        needed={"tasks.max": "1"},  # apache/iceberg #17637, #16282, #17811, #17193
        one_of={
            "iceberg.tables.auto-create-enabled": _BOOLEAN,
            "iceberg.tables.evolve-schema-enabled": _BOOLEAN,
            "iceberg.tables.schema-force-optional": _BOOLEAN,
            "iceberg.tables.schema-case-insensitive": _BOOLEAN,
            "iceberg.tables.auto-create-props.write.format.default": ("parquet", "avro"),
            "iceberg.catalog.type": ("rest", "glue", "jdbc"),
            "iceberg.catalog.http-client.type": ("urlconnection", "apache"),
            "iceberg.catalog.s3.path-style-access": _BOOLEAN,
        },
        numbers={
            "iceberg.control.commit.interval-ms": (100, 3_600_000),
            "iceberg.control.commit.timeout-ms": (100, 3_600_000),
            "iceberg.kafka.session.timeout.ms": (1000, 300_000),
        },
        free=(
            "iceberg.catalog.",
            "iceberg.hadoop.",
            "iceberg.kafka.",
            "iceberg.table.",
            "iceberg.tables.auto-create-props.",
        ),
    ),
}


def violations(config: ConnectorConfig, known_keys: Collection[str] = ()) -> list[Violation]:
    """Return every rule that ``config`` breaks, by key. No reason quotes a value of the config.

    Without ``known_keys``, those that the connector's class declares to Connect, misspelt keys
    are not found.
    """
    rules = _BY_CLASS.get(config.get(CLASS, ""))
    if rules is None:
        return [Violation(CLASS, f"must be {' or '.join(_BY_CLASS)}")]
    found = [
        *_values(config, rules),
        *_secrets(config),
        *_errors(config),
        *_aliases(config),
        *_sinks(config),
    ]
    if known_keys:
        found += _unknown_keys(config, {*known_keys, *rules.undeclared}, rules.free + _COMMON.free)
    return sorted(set(found), key=lambda v: (v.field, v.reason))


def violations_of(
    spec: ConnectorSpec, cluster_id: str, known_keys: Collection[str] = ()
) -> list[Violation]:
    """Return the same for the connector of the Kafka cluster with this id."""
    found = violations(spec.config, known_keys)
    if is_lake(spec.config) and cluster_id not in spec.config.get(CONTROL_TOPIC, ""):
        found.append(Violation(CONTROL_TOPIC, "must carry {cluster_id}: see LineageBroken"))
    return found


def is_lake(config: ConnectorConfig) -> bool:
    """Return whether the connector writes the Iceberg table."""
    return config.get(CLASS) == ICEBERG_SINK


def _values(config: ConnectorConfig, rules: _Rules) -> Iterator[Violation]:
    for key, needed in rules.needed.items():
        if config.get(key) != needed:
            yield Violation(key, f"must be {needed}")
    for key, allowed in {**_COMMON.one_of, **rules.one_of}.items():
        if config.get(key, allowed[0]) not in allowed:
            yield Violation(key, f"must be {' or '.join(allowed)}")
    for key, (least, most) in {**_COMMON.numbers, **rules.numbers}.items():
        text = config.get(key, str(least))
        if not (re.fullmatch(r"-?[0-9]{1,18}", text) and least <= int(text) <= most):
            yield Violation(key, f"must be a whole number from {least} to {most}")


def _secrets(config: ConnectorConfig) -> Iterator[Violation]:
    for key, value in config.items():
        if holds_secret(key, value):
            yield Violation(key, "holds a secret: write ${env:NAME} or ${file:PATH:KEY} instead")


def _errors(config: ConnectorConfig) -> Iterator[Violation]:
    """Messages hold patients; a tolerated error without a dead letter is a lost record."""
    if config.get("errors.log.include.messages", "false") != "false":
        yield Violation("errors.log.include.messages", "must be false: it logs patients")
    if config.get("errors.tolerance", "none") == "all":
        if not config.get(DEAD_LETTERS):
            yield Violation(DEAD_LETTERS, "is needed with errors.tolerance=all")
        if config.get("errors.deadletterqueue.context.headers.enable") != "true":
            yield Violation("errors.deadletterqueue.context.headers.enable", "must be true")


def _aliases(config: ConnectorConfig) -> Iterator[Violation]:
    """A transform that is configured but not listed, or listed but without a type, does nothing."""
    for part in ("transforms", "predicates"):
        listed = {alias.strip() for alias in config.get(part, "").split(",")} - {""}
        for key in config:
            prefix, _, rest = key.partition(".")
            if prefix == part and rest and rest.partition(".")[0] not in listed:
                yield Violation(key, f"is of none of the {part} that are listed")
        for alias in listed:
            if not config.get(f"{part}.{alias}.type"):
                yield Violation(f"{part}.{alias}.type", "is needed")


def _sinks(config: ConnectorConfig) -> Iterator[Violation]:
    if config[CLASS] == MYSQL_SOURCE:
        return
    if not config.get("topics"):
        yield Violation("topics", "is needed")
    if config[CLASS] == ICEBERG_SINK and not config.get(CONTROL_TOPIC):
        # Without it all sinks share "control-iceberg", whichever the Kafka cluster.
        yield Violation(CONTROL_TOPIC, "is needed")


def _unknown_keys(
    config: ConnectorConfig, known: Collection[str], free: tuple[str, ...]
) -> Iterator[Violation]:
    for key in config:
        if key in known or key.startswith(free):
            continue
        near = difflib.get_close_matches(key, known, n=1)
        yield Violation(key, f"is not known: is it {near[0]}?" if near else "is not known")
