"""FHIR servers, asked over real sockets: redirects, addresses, sizes, times, and TLS."""

from __future__ import annotations

import asyncio
import gzip
import ssl
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, ip_network
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from components.fhir_record import Answer, FhirRecord
from contracts.clinical import MOST, RecordServerContract
from stroke.adapters.record_servers.addresses import may_ask
from stroke.adapters.record_servers.http import HttpRecordServer
from stroke.application.clinical.ports import NotFetched

pytestmark = pytest.mark.anyio
LOOPBACK = (ip_network("127.0.0.0/8"),)


@pytest.fixture
def record() -> Iterator[FhirRecord]:
    with FhirRecord() as running:
        running.answers["Patient/p1"] = {"resourceType": "Patient"}
        yield running


@pytest.fixture
def server() -> HttpRecordServer:
    return HttpRecordServer(LOOPBACK)


class TestHttpRecordServer(RecordServerContract):
    @pytest.fixture
    def server(self) -> HttpRecordServer:
        return HttpRecordServer(LOOPBACK)

    @pytest.fixture
    def record(self) -> Iterator[FhirRecord]:
        with FhirRecord() as running:
            yield running


async def why_not(server: HttpRecordServer, url: str) -> str:
    with pytest.raises(NotFetched) as error:
        await server.read(url, "a-token", most_bytes=MOST)
    return error.value.reason


async def test_the_token_and_what_is_wanted_are_sent(
    server: HttpRecordServer, record: FhirRecord
) -> None:
    await server.read(f"{record.base}/Patient/p1?a=b%7Cc", "a-token", most_bytes=MOST)

    [asked] = record.asked
    assert asked.target == "/fhir/Patient/p1?a=b%7Cc"
    assert asked.headers["authorization"] == "Bearer a-token"
    assert asked.headers["accept"] == "application/fhir+json"
    assert asked.headers["host"] == record.url.removeprefix("http://")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(
    server: HttpRecordServer, record: FhirRecord, status: int
) -> None:
    moved = {"Location": f"{record.base}/Patient/p1"}
    record.answers["Patient/moved"] = Answer({}, status, moved)

    assert await why_not(server, f"{record.base}/Patient/moved") == "refused"
    assert len(record.asked) == 1


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer(gzip.compress(b"{}"), headers={"Content-Encoding": "gzip"}), "no-json"),
        (Answer(b"5\r\n{}\r\n", headers={"Transfer-Encoding": "chunked"}), "away"),
        (Answer({}, headers={"X-Long": "x" * 300_000}), "away"),
        (Answer(b"", 204), "refused"),
        (Answer(b""), "no-json"),
        (Answer(b"[" * 5000), "no-json"),
        (Answer(b'{"resourceType":"Patient","id":"p1","id":"p2"}'), "no-json"),
    ],
)
async def test_an_answer_that_cannot_be_read_is_said(
    server: HttpRecordServer, record: FhirRecord, answer: Answer, reason: str
) -> None:
    record.answers["Patient/odd"] = answer

    async with asyncio.timeout(5):
        if "Transfer-Encoding" in answer.headers:
            with pytest.raises((NotFetched, TimeoutError)):
                async with asyncio.timeout(0.2):
                    await server.read(f"{record.base}/Patient/odd", "a-token", most_bytes=MOST)
        else:
            assert await why_not(server, f"{record.base}/Patient/odd") == reason


async def test_a_server_that_trickles_is_left_when_the_time_is_over(
    server: HttpRecordServer, record: FhirRecord
) -> None:
    # All of it would take 40 seconds.
    record.answers["Patient/slow"] = Answer({"a": "b" * 800}, trickle=0.05)
    began = time.monotonic()

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await server.read(f"{record.base}/Patient/slow", "a-token", most_bytes=MOST)

    assert time.monotonic() - began < 20


async def test_an_address_that_is_not_public_is_not_asked_unless_it_is_listed(
    record: FhirRecord,
) -> None:
    for listed in ((), (ip_network("10.0.0.0/8"),)):
        assert await why_not(HttpRecordServer(listed), f"{record.base}/Patient/p1") == "address"
    assert record.asked == []


async def test_a_name_is_resolved_once_and_the_connection_goes_where_that_led(
    record: FhirRecord,
) -> None:
    asked: list[str] = []

    async def rebinding(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["169.254.169.254"]

    port = record.url.rpartition(":")[2]
    server = HttpRecordServer(LOOPBACK, resolve=rebinding)
    found = await server.read(f"http://ehr.example:{port}/fhir/Patient/p1", "t", most_bytes=MOST)

    assert found.content == {"resourceType": "Patient"}
    assert asked == ["ehr.example"]
    assert record.asked[0].headers["host"] == f"ehr.example:{port}"
    assert await why_not(server, f"http://ehr.example:{port}/fhir/Patient/p1") == "address"


async def test_a_name_with_one_address_that_may_not_be_asked_is_not_asked(
    record: FhirRecord,
) -> None:
    async def both(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.1", "10.0.0.7"]

    server = HttpRecordServer(LOOPBACK, resolve=both)

    assert await why_not(server, f"{record.base}/Patient/p1") == "address"
    assert record.asked == []


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",  # noqa: S104 -- nothing listens there
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "192.0.2.1",
        "::1",
        "::",
        "fe80::1",
        "fe80::1%eth0",
        "fd00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "2001:0:7f00:1::",
        "no address",
        "",
    ],
)
def test_an_address_inside_is_none_of_the_public_ones(address: str) -> None:
    assert not may_ask(address, ())


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1::", "::ffff:93.184.216.34"])
def test_a_public_address_may_be_asked(address: str) -> None:
    assert may_ask(address, ())


@given(st.ip_addresses(v=4))
def test_an_address_within_one_of_ipv6_is_judged_as_itself(address: IPv4Address) -> None:
    alone = may_ask(str(address), ())

    assert may_ask(f"::ffff:{address}", ()) == alone
    assert may_ask(f"64:ff9b::{address}", ()) == alone
    assert may_ask(str(address), [ip_network(f"{address}/32")])


def certificate(name: str, folder: Path) -> Path:
    """Write a certificate that signs itself, with its key; return the file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{name}.pem"
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return path


@pytest.mark.parametrize(
    ("shown", "trusted", "right"),
    [("ehr.example", True, True), ("other.example", True, False), ("ehr.example", False, False)],
)
async def test_https_is_verified_by_the_name_and_not_by_the_address(
    tmp_path: Path, shown: str, trusted: bool, right: bool
) -> None:
    pem = certificate(shown, tmp_path)
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_cert_chain(pem)
    ours = ssl.create_default_context(cafile=str(pem) if trusted else None)

    async def here(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.1"]

    async def answer(reader: Any, writer: Any) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        await writer.drain()
        writer.close()

    listening = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=theirs)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        server = HttpRecordServer(LOOPBACK, context=ours, resolve=here)
        url = f"https://ehr.example:{port}/fhir/Patient/p1"
        if right:
            assert (await server.read(url, "t", most_bytes=MOST)).content == {}
        else:
            assert await why_not(server, url) == "away"
