"""A webhook over real sockets and TLS: what is sent, and what counts as taken."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

import h11
import orjson
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from contracts.models import Told, WebhookContract
from stroke.adapters.webhooks.https import HttpsWebhook
from stroke.domain.errors import EndpointUnavailable

pytestmark = pytest.mark.anyio
PATH = "/models?key=secret"


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a certificate of localhost that signs itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    called = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(called)
        .issuer_name(called)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("webhook") / "localhost.pem"
    file.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return file


class Address(Told):
    """A server of HTTPS on this machine that answers with a status, or never."""

    def __init__(self, pem: Path) -> None:
        self.pem = pem
        self.status: int | None = 204
        self.headers: list[tuple[str, str]] = []
        self.asked: list[h11.Request] = []
        self.bodies: list[bytes] = []
        self._unanswered: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> Self:
        theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        theirs.load_cert_chain(self.pem)
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", 0, ssl=theirs)
        self.port = self._server.sockets[0].getsockname()[1]
        self.webhook = self.asks()
        return self

    async def __aexit__(self, *_: object) -> None:
        for each in self._unanswered:
            each.transport.abort()
        await asyncio.sleep(0)
        self._server.close()

    def asks(self, *, host: str = "localhost", trusted: bool = True) -> HttpsWebhook:
        ours = ssl.create_default_context(cafile=str(self.pem) if trusted else None)
        url = f"https://{host}:{self.port}{PATH}"
        return HttpsWebhook(url, seconds=2, context=ours)

    def documents(self) -> list[object]:
        return [orjson.loads(each) for each in self.bodies]

    def refuse(self) -> None:
        self._server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        theirs = h11.Connection(h11.SERVER)
        body = b""
        while not isinstance(event := theirs.next_event(), h11.EndOfMessage):
            if event is h11.NEED_DATA:
                theirs.receive_data(await reader.read(65_536))
            elif isinstance(event, h11.Request):
                self.asked.append(event)
            elif isinstance(event, h11.Data):
                body += event.data
            else:
                return
        if self.status is None:
            self._unanswered.append(writer)  # which would be closed if nobody held it
            return
        self.bodies.append(body)
        answer = h11.Response(status_code=self.status, headers=self.headers)
        writer.write(theirs.send(answer) or b"")
        writer.write(theirs.send(h11.EndOfMessage()) or b"")
        await writer.drain()
        writer.close()


@pytest.fixture
async def address(pem: Path) -> AsyncIterator[Address]:
    async with Address(pem) as running:
        yield running


class TestHttpsWebhook(WebhookContract):
    @pytest.fixture
    async def told(self, pem: Path) -> AsyncIterator[Told]:
        async with Address(pem) as running:
            running.webhook = HttpsWebhook(
                f"https://localhost:{running.port}{PATH}",
                seconds=2,
                context=ssl.create_default_context(cafile=str(pem)),
            )
            yield running


async def why_not(webhook: HttpsWebhook) -> str:
    with pytest.raises(EndpointUnavailable) as error:
        await webhook.send({"event": "canary-breach"})
    assert "secret" not in str(error.value)
    assert "localhost" not in str(error.value)
    return str(error.value)


async def test_json_is_posted_to_the_very_address(address: Address) -> None:
    await address.webhook.send({"event": "canary-breach"})

    [asked] = address.asked
    headers = dict(asked.headers)
    assert (asked.method, asked.target) == (b"POST", PATH.encode())
    assert headers[b"host"] == f"localhost:{address.port}".encode()
    assert headers[b"content-type"] == b"application/json"


@pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 401, 404, 500, 503])
async def test_what_is_not_taken_is_an_error_and_no_redirect_is_followed(
    address: Address, status: int
) -> None:
    address.status = status
    address.headers = [("Location", f"https://localhost:{address.port}/elsewhere")]

    assert await why_not(address.asks()) == f"the webhook answered with the status {status}"
    assert len(address.asked) == 1


async def test_an_address_that_never_answers_is_left_alone_in_time(address: Address) -> None:
    address.status = None
    ours = ssl.create_default_context(cafile=str(address.pem))
    url = f"https://localhost:{address.port}{PATH}"

    said = await asyncio.wait_for(why_not(HttpsWebhook(url, seconds=0.2, context=ours)), 5)
    assert said == "the webhook did not answer in time"


async def test_a_certificate_that_does_not_count_is_an_error(address: Address) -> None:
    said = "the webhook's certificate does not count"
    assert await why_not(address.asks(trusted=False)) == said
    assert await why_not(address.asks(host="127.0.0.1")) == said
    assert address.bodies == []
