"""How clients of Kafka log in: one place makes them all."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from confluent_kafka import Consumer

import stroke.adapters
from stroke.adapters.kafka.clients import admin_client, committed_consumer, options, producer
from stroke.application.pipeline.broker import Broker
from stroke.domain.errors import BrokerUnavailable

CLIENTS = {"AdminClient", "Consumer", "Producer", "DeserializingConsumer", "SerializingProducer"}
LOGIN = Broker(
    "kafka:9093",
    protocol="SASL_SSL",
    mechanism="SCRAM-SHA-256",
    user="stroke",
    password='a "quoted" one\\',
    ca_file=Path("/run/ca.crt"),
)


def test_a_login_is_that_of_the_settings() -> None:
    assert options(LOGIN) == {
        "bootstrap.servers": "kafka:9093",
        "security.protocol": "SASL_SSL",
        "ssl.ca.location": "/run/ca.crt",
        "sasl.mechanism": "SCRAM-SHA-256",
        "sasl.username": "stroke",
        "sasl.password": 'a "quoted" one\\',
    }
    assert options(Broker("kafka:9092")) == {
        "bootstrap.servers": "kafka:9092",
        "security.protocol": "PLAINTEXT",
    }


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"])
@pytest.mark.parametrize("protocol", ["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"])
def test_the_client_takes_each_way_in(protocol: str, mechanism: str) -> None:
    broker = Broker("127.0.0.1:1", protocol, mechanism, "u", "p")  # type: ignore[arg-type]
    admin_client(broker)
    producer(broker, {"acks": "all"})
    with committed_consumer(broker) as consumer:
        assert isinstance(consumer, Consumer)


def test_authorities_that_are_not_there_are_said_without_the_password(tmp_path: Path) -> None:
    broker = Broker("127.0.0.1:1", "SASL_SSL", user="u", password="hidden", ca_file=tmp_path / "no")
    with pytest.raises(BrokerUnavailable, match="STROKE_KAFKA_CA_FILE") as raised:
        admin_client(broker)
    assert "hidden" not in str(raised.value)


def test_no_other_module_makes_a_client() -> None:
    folder = Path(stroke.adapters.__file__).parent
    making = {
        str(path.relative_to(folder))
        for path in folder.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name | ast.Attribute)
        and (node.func.id if isinstance(node.func, ast.Name) else node.func.attr) in CLIENTS
    }
    assert making == {"kafka/clients.py"}
