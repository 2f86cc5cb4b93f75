"""What Spark needs to read a topic: where it begins, and how Kafka's client in Java logs in."""

from __future__ import annotations

from stroke.application.pipeline.broker import Broker
from stroke.domain.errors import BrokerUnavailable


def topic_options(broker: Broker, topic: str) -> dict[str, str]:
    """Return what Spark needs to read a topic from its beginning: only what was committed.

    Raises ``BrokerUnavailable`` if the file with the brokers' authorities cannot be read.
    """
    return {
        **_login(broker),
        "kafka.bootstrap.servers": broker.servers,
        "subscribe": topic,
        "startingOffsets": "earliest",
        "kafka.isolation.level": "read_committed",
        # Events that are gone before they were read are no reason to go on.
        "failOnDataLoss": "true",
    }


def _login(broker: Broker) -> dict[str, str]:
    """Return how Kafka's client in Java logs in. Executors have no file, so it gets the content."""
    found: dict[str, str] = {"kafka.security.protocol": broker.protocol}
    if broker.encrypts and broker.ca_file is not None:
        try:
            found["kafka.ssl.truststore.certificates"] = broker.ca_file.read_text("ascii")
        except (OSError, UnicodeDecodeError):
            raise BrokerUnavailable("STROKE_KAFKA_CA_FILE cannot be read as PEM") from None
        found["kafka.ssl.truststore.type"] = "PEM"
    if broker.logs_in:
        module = "plain.Plain" if broker.mechanism == "PLAIN" else "scram.Scram"
        found["kafka.sasl.mechanism"] = broker.mechanism
        found["kafka.sasl.jaas.config"] = (
            f"org.apache.kafka.common.security.{module}LoginModule required "
            f"username={_quoted(broker.user)} password={_quoted(broker.password)};"
        )
    return found


def _quoted(text: str) -> str:
    """Return ``text`` as a value in a configuration of JAAS."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
