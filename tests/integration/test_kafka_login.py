"""Clients of Kafka on a broker that asks for TLS and a login (SCRAM)."""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from components.change_events import until
from components.containers import LABELS, build_image, free_port
from stroke.adapters.kafka.dead_letters import KafkaDeadLetterQueue
from stroke.adapters.kafka.records import KafkaTopicRecords
from stroke.adapters.kafka.retention import TopicRetention
from stroke.adapters.kafka.topics import KafkaChangeTopic
from stroke.application.pipeline.broker import Broker
from stroke.domain.errors import BrokerUnavailable

pytestmark = [pytest.mark.anyio, pytest.mark.soak("a broker of its own, with TLS and SCRAM")]

NOWHERE = "http://127.0.0.1:1"  # no record here names a schema
START = r"""
cat > /tmp/login.properties << PROPERTIES
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@localhost:29093
controller.listener.names=CONTROLLER
listeners=LOGIN://:9092,INSIDE://localhost:29092,CONTROLLER://localhost:29093
advertised.listeners=LOGIN://$ADDRESS,INSIDE://localhost:29092
listener.security.protocol.map=LOGIN:SASL_SSL,INSIDE:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=INSIDE
sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.login.scram-sha-512.sasl.jaas.config=$MODULE required;
ssl.keystore.type=PEM
ssl.keystore.location=/tmp/server.pem
log.dirs=/tmp/data
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
PROPERTIES
printf '%s' "$PEM" > /tmp/server.pem
java() { command java -Xmx300m -Dlog4j2.configurationFile=/opt/kafka/config/log4j2.yaml \
  -cp "/opt/kafka/libs/*" "$@"; }
java kafka.tools.StorageTool format --cluster-id "$(java kafka.tools.StorageTool random-uuid)" \
  --config /tmp/login.properties --add-scram "SCRAM-SHA-512=[name=stroke,password=$PASSWORD]"
java kafka.Kafka /tmp/login.properties
"""


def certificate() -> tuple[str, str]:
    """Return a certificate for 127.0.0.1 that signs itself, and the same with its key, in PEM."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "broker")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public = made.public_bytes(serialization.Encoding.PEM).decode()
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
    return public, private + public


@pytest.fixture(scope="module")
def broker(docker_engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    public, both = certificate()
    authorities = tmp_path_factory.mktemp("login") / "ca.crt"
    authorities.write_text(public)
    wanted = Broker(
        f"127.0.0.1:{free_port()}",
        "SASL_SSL",
        user="stroke",
        password=secrets.token_hex(8),
        ca_file=authorities,
    )
    name = f"stroke-login-{secrets.token_hex(4)}"
    given = {
        "ADDRESS": wanted.servers,
        "MODULE": "org.apache.kafka.common.security.scram.ScramLoginModule",
        "PEM": both,
        "PASSWORD": wanted.password,
    }
    command = ["docker", "run", "--detach", "--name", name, "--entrypoint=bash", "--memory=1g"]
    command += [f"--label={key}={value}" for key, value in LABELS.items()]
    command += [part for key in given for part in ("--env", f"{key}={given[key]}")]
    command += ["--publish", f"{wanted.servers}:9092", build_image("kafka"), "-c", START]
    subprocess.run(command, check=True, capture_output=True)
    try:
        until(lambda: answers(wanted), within=180, what="the broker with a login")
        yield wanted
    finally:
        subprocess.run(
            ["docker", "rm", "--force", "--volumes", name], check=True, capture_output=True
        )


def answers(broker: Broker) -> bool:
    try:
        KafkaChangeTopic(broker, timeout=3)._last_offsets("none")
    except BrokerUnavailable:
        return False
    return True


async def test_each_kind_of_client_logs_in(broker: Broker) -> None:
    topic = f"events-{secrets.token_hex(4)}"
    assert await KafkaChangeTopic(broker).ensure_topic(
        topic, {"retention.ms": "3600000", "segment.ms": "600000"}
    )
    KafkaDeadLetterQueue(broker, NOWHERE).produce(topic, [(b"k", b"a row", [])])
    [found] = await KafkaTopicRecords(broker, NOWHERE).records(topic, start=0, limit=9)
    assert found.value == "a row"
    now = datetime.now(UTC)
    [kept] = await TopicRetention(broker, topic).retained(now, now=now)
    # A record goes with its file, which is written to for as long as a segment.
    assert kept.until == now + timedelta(hours=1, minutes=10)


async def test_whoever_has_not_the_login_the_authority_or_the_protocol_is_left_out(
    broker: Broker, tmp_path: Path
) -> None:
    others = tmp_path / "others.crt"
    others.write_text(certificate()[0])
    for wrong in (
        replace(broker, password="another one"),
        replace(broker, user="another"),
        replace(broker, mechanism="PLAIN"),
        replace(broker, ca_file=others),
        replace(broker, ca_file=None),
        replace(broker, protocol="SSL"),
        replace(broker, protocol="SASL_PLAINTEXT"),
        replace(broker, protocol="PLAINTEXT"),
        replace(broker, servers=broker.servers.replace("127.0.0.1", "localhost")),
    ):
        with pytest.raises(BrokerUnavailable) as refused:
            await KafkaChangeTopic(wrong, timeout=3).last_offsets("none")
        assert broker.password not in str(refused.value)
        assert "STROKE_KAFKA_SECURITY_PROTOCOL" in str(refused.value)
