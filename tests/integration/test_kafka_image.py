"""The broker's image where the platform's tests do not reach: what a crash can leave."""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from components.change_events import until
from components.containers import LABELS, build_image, free_port

pytestmark = pytest.mark.soak("a coordinator that forgets takes a minute to provoke")

TOPIC = "events"


def docker(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


class Broker:
    """One broker with a volume of its own."""

    def __init__(self) -> None:
        self.name = f"stroke-broker-{secrets.token_hex(4)}"
        self.address = f"127.0.0.1:{free_port()}"
        self.image = build_image("kafka")
        labels = [f"--label={key}={value}" for key, value in LABELS.items()]
        docker("volume", "create", *labels, self.name)
        docker(
            *("run", "--detach", "--name", self.name, *labels),
            *("--publish", f"{self.address}:9092", "--volume", f"{self.name}:/var/lib/kafka"),
            *("--env", f"KAFKA_ADVERTISED_EXTERNAL={self.address}", self.image, "broker"),
        )

    def remove(self) -> None:
        docker("rm", "--force", "--volumes", self.name)
        docker("volume", "rm", self.name)

    def wait(self) -> None:
        def answers() -> bool:
            try:
                AdminClient({"bootstrap.servers": self.address}).list_topics(timeout=2)
            except KafkaException:
                return False
            return True

        until(answers, within=180, what="the broker")

    def committed(self, *, isolation: str = "read_committed") -> list[bytes]:
        """Return the values that a reader of the topic sees now."""
        consumer = Consumer(
            {
                "bootstrap.servers": self.address,
                "group.id": secrets.token_hex(4),
                "isolation.level": isolation,
                "enable.auto.commit": False,
            }
        )
        try:
            consumer.assign([TopicPartition(TOPIC, 0, 0)])
            found = []
            while (message := consumer.poll(5)) is not None:
                assert message.error() is None, message.error()
                found.append(message.value() or b"")
            return found
        finally:
            consumer.close()


@pytest.fixture
def broker(docker_engine: None) -> Iterator[Broker]:
    broker = Broker()
    try:
        broker.wait()
        yield broker
    finally:
        broker.remove()


def test_a_transaction_that_its_coordinator_forgot_is_ended_and_reading_goes_on(
    broker: Broker,
) -> None:
    admin = AdminClient({"bootstrap.servers": broker.address})
    admin.create_topics([NewTopic(TOPIC, 1, 1)])[TOPIC].result(30)
    producer = Producer({"bootstrap.servers": broker.address, "transactional.id": "source"})
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(TOPIC, b"never committed")
    assert producer.flush(30) == 0

    docker("kill", "--signal", "KILL", broker.name)
    forget = "rm -rf /var/lib/kafka/data/__transaction_state-*"
    volume = f"{broker.name}:/var/lib/kafka"
    docker("run", "--rm", "--volume", volume, "--entrypoint=sh", broker.image, "-c", forget)
    docker("start", broker.name)
    broker.wait()
    after = Producer({"bootstrap.servers": broker.address})
    after.produce(TOPIC, b"after")
    assert after.flush(30) == 0

    assert broker.committed() == []  # it waits behind the transaction
    assert broker.committed(isolation="read_uncommitted") == [b"never committed", b"after"]

    said = docker("exec", broker.name, "abort-hanging-transactions", "0")

    assert said.splitlines()[-1] == f"aborted a hanging transaction: {TOPIC}-0, from offset 0 on"
    assert broker.committed() == [b"after"]
    assert docker("exec", broker.name, "abort-hanging-transactions", "0") == ""
