"""Clients of Kafka: the only place that makes one, so that each logs in as the settings say."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from stroke.application.pipeline.broker import Broker
from stroke.domain.errors import BrokerUnavailable

# The client retries by itself, and would say so on stderr, line by line.
_SILENT: Final = logging.getLogger("stroke.kafka")
_SILENT.addHandler(logging.NullHandler())
_SILENT.propagate = False

# How long a broker waits for more records at the end of a partition before it says that there are
# none. Whoever reads to the end waits for that answer: by default for half a second, each time.
_END_MILLISECONDS: Final = 20


def options(broker: Broker) -> dict[str, str | int | float | bool]:
    """Return what every client needs to reach ``broker``, as librdkafka calls it."""
    found: dict[str, str | int | float | bool] = {
        "bootstrap.servers": broker.servers,
        "security.protocol": broker.protocol,
    }
    if broker.encrypts and broker.ca_file is not None:
        found["ssl.ca.location"] = str(broker.ca_file)
    if broker.logs_in:
        found["sasl.mechanism"] = broker.mechanism
        found["sasl.username"] = broker.user
        found["sasl.password"] = broker.password
    return found


def admin_client(broker: Broker) -> AdminClient:
    """Return what asks for topics and their settings, and changes them."""
    with _settings_in_words():
        return AdminClient(options(broker), logger=_SILENT)


def producer(broker: Broker, settings: Mapping[str, str | int | bool]) -> Producer:
    """Return a producer with these settings."""
    with _settings_in_words():
        return Producer({**options(broker), **settings}, logger=_SILENT)


@contextmanager
def committed_consumer(broker: Broker) -> Iterator[Consumer]:
    """Yield a consumer that reads committed records only, and commits nothing itself."""
    with _settings_in_words():
        consumer = Consumer(
            {
                **options(broker),
                "group.id": f"stroke-{uuid.uuid4()}",  # needed, but never joined
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "enable.partition.eof": True,
                "fetch.wait.max.ms": _END_MILLISECONDS,
                "auto.offset.reset": "earliest",
            },
            logger=_SILENT,
        )
    try:
        yield consumer
    finally:
        consumer.close()


@contextmanager
def broken_off(broker: Broker) -> Iterator[None]:
    """Translate the client's errors when the broker is away, or does not let it in."""
    try:
        yield
    except (KafkaException, TimeoutError) as error:
        code = f" ({error.args[0].name()})" if isinstance(error, KafkaException) else ""
        raise BrokerUnavailable(
            f"Kafka does not answer at {broker.servers}{code}: is the broker up, and are "
            "STROKE_KAFKA_BOOTSTRAP_SERVERS and STROKE_KAFKA_SECURITY_PROTOCOL right"
            f"{', and the user and the password' if broker.logs_in else ''}?"
        ) from error


@contextmanager
def _settings_in_words() -> Iterator[None]:
    """Say which setting the client does not take: above all a file that is not there."""
    try:
        yield
    except KafkaException as error:
        raise BrokerUnavailable(
            f"no client of Kafka can be made ({error.args[0].name()}): are STROKE_KAFKA_CA_FILE "
            "and STROKE_KAFKA_SASL_MECHANISM right?"
        ) from error
