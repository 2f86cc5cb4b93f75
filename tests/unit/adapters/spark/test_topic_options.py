"""How Spark logs in at Kafka, in the words of Kafka's client in Java."""

from __future__ import annotations

from pathlib import Path

import pytest

from stroke.adapters.spark.topic_options import topic_options
from stroke.application.pipeline.broker import Broker
from stroke.domain.errors import BrokerUnavailable


def test_an_open_broker_is_asked_as_before() -> None:
    assert topic_options(Broker("kafka:9092"), "events") == {
        "kafka.bootstrap.servers": "kafka:9092",
        "kafka.security.protocol": "PLAINTEXT",
        "subscribe": "events",
        "startingOffsets": "earliest",
        "kafka.isolation.level": "read_committed",
        "failOnDataLoss": "true",
    }


def test_a_login_has_the_user_and_the_content_of_the_file(tmp_path: Path) -> None:
    authorities = tmp_path / "ca.crt"
    authorities.write_text("PEM")
    broker = Broker("kafka:9093", "SASL_SSL", user="u", password='a"b\\c', ca_file=authorities)
    options = topic_options(broker, "events")
    login = {
        "kafka.security.protocol": "SASL_SSL",
        "kafka.ssl.truststore.type": "PEM",
        "kafka.ssl.truststore.certificates": "PEM",
        "kafka.sasl.mechanism": "SCRAM-SHA-512",
        "kafka.sasl.jaas.config": "org.apache.kafka.common.security.scram.ScramLoginModule "
        'required username="u" password="a\\"b\\\\c";',
    }
    assert {name: value for name, value in options.items() if name in login} == login


def test_a_plain_login_has_its_own_module() -> None:
    broker = Broker("kafka:9093", "SASL_PLAINTEXT", "PLAIN", "u", "p")
    login = topic_options(broker, "events")["kafka.sasl.jaas.config"]
    assert login.startswith("org.apache.kafka.common.security.plain.PlainLoginModule required ")


def test_authorities_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    broker = Broker("kafka:9093", "SSL", ca_file=tmp_path / "none")
    with pytest.raises(BrokerUnavailable, match="STROKE_KAFKA_CA_FILE"):
        topic_options(broker, "events")
