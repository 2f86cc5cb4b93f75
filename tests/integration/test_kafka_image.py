"""The broker's image where the platform's tests do not reach: what a crash can leave."""

from __future__ import annotations

import re
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
    """One broker with a volume of its own; in memory, and no larger, where ``size`` says how large.

    A container beside it can fill a small volume, and keeps it while the broker starts again.
    """

    def __init__(self, size: str = "") -> None:
        self.name = f"stroke-broker-{secrets.token_hex(4)}"
        self.beside = f"{self.name}-beside"
        self.address = f"127.0.0.1:{free_port()}"
        self.metrics = f"127.0.0.1:{free_port()}"
        self.image = build_image("kafka")
        labels = [f"--label={key}={value}" for key, value in LABELS.items()]
        small = ["--opt=type=tmpfs", "--opt=device=tmpfs", f"--opt=o=size={size},uid=10001"]
        docker("volume", "create", *labels, *(small if size else ()), self.name)
        docker(
            *("run", "--detach", "--name", self.beside, *labels, "--user=0"),
            *("--volume", f"{self.name}:/disk", "--entrypoint=sleep", self.image, "infinity"),
        )
        docker(
            *("run", "--detach", "--name", self.name, *labels, "--restart=unless-stopped"),
            *("--publish", f"{self.address}:9092", "--publish", f"{self.metrics}:9991"),
            *("--volume", f"{self.name}:/var/lib/kafka", "--memory=1g"),
            *("--env", f"KAFKA_ADVERTISED_EXTERNAL={self.address}", self.image, "broker"),
        )

    def fill(self) -> None:
        docker("exec", self.beside, "sh", "-c", "dd if=/dev/zero of=/disk/filler bs=64k || true")

    def free(self) -> None:
        docker("exec", self.beside, "rm", "/disk/filler")

    def failures(self) -> list[str]:
        """Return the causes that it tells at the port of its metrics."""
        metrics = subprocess.run(
            ["curl", "-sS", "-m", "5", f"http://{self.metrics}/metrics"],
            capture_output=True,
            text=True,
            check=False,
        )
        return re.findall(r'^stroke_part_failed_\w+{cause="([\w-]+)"', metrics.stdout, re.MULTILINE)

    def remove(self) -> None:
        docker("rm", "--force", self.beside)
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


def test_a_broker_on_a_full_disk_says_so_waits_and_then_takes_every_compression(
    docker_engine: None,
) -> None:
    """The first record that is compressed comes when it is over: what unpacks it must be there."""
    broker = Broker("256m")
    try:
        broker.wait()
        admin = AdminClient({"bootstrap.servers": broker.address})
        kinds = ("zstd", "snappy", "lz4", "gzip")
        # Of another compression than the producer's: the broker itself compresses.
        topics = [NewTopic(kind, 1, 1, config={"compression.type": kind}) for kind in kinds]
        for made in admin.create_topics(topics).values():
            made.result(30)
        assert broker.failures() == []

        broker.fill()
        until(lambda: broker.failures() == ["disk-full"], within=120, what="the cause")
        broker.free()

        broker.wait()
        assert broker.failures() == []
        errors: list[object] = []
        producer = Producer({"bootstrap.servers": broker.address, "compression.type": "none"})
        for kind in kinds:
            producer.produce(kind, b"x" * 5000, on_delivery=lambda error, _: errors.append(error))
        assert producer.flush(60) == 0
        assert errors == [None] * len(kinds)
    finally:
        broker.remove()
