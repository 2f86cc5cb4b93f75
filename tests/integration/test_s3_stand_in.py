"""The stand-in for S3 (deploy/images/moto/serve.py), asked as an application of WSGI."""

from __future__ import annotations

import base64
import importlib.util
import secrets
import zlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends
from werkzeug.test import Client

from components.containers import ROOT

UNSIGNED = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
SIGNED = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
CRC64 = "x-amz-checksum-crc64nvme"
CRC32 = "x-amz-checksum-crc32"
CREDENTIAL = "local/20260101/us-east-1/s3/aws4_request"
BODY = b"PAR1" + bytes(range(256)) * 3 + b"PAR1"


def script() -> ModuleType:
    path = ROOT / "deploy/images/moto/serve.py"
    spec = importlib.util.spec_from_file_location("stand_in", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


STAND_IN = script()


class Store:
    """The stand-in with one bucket; its objects are kept in a folder."""

    def __init__(self, folder: Path) -> None:
        self.bucket = f"test-{secrets.token_hex(6)}"
        s3_backends[DEFAULT_ACCOUNT_ID]["aws"].create_bucket(self.bucket, "us-east-1")
        self._client = Client(STAND_IN.S3OnDemand(STAND_IN.Shelf(folder)))

    def ask(
        self, method: str, key: str, *, data: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        signed = {"Authorization": f"AWS4-HMAC-SHA256 Credential={CREDENTIAL}, Signature=0"}
        answer = self._client.open(
            f"/{self.bucket}/{key}",
            method=method,
            base_url="http://s3:5000",
            data=data,
            headers=signed | dict(headers or {}),
        )
        return answer.status_code, answer.get_data()

    def put(self, framed: bytes, length: int, **headers: str) -> tuple[int, bytes]:
        """Put an object whose body is in AWS's chunks and holds, it is said, ``length`` bytes."""
        announced = {
            "Content-Encoding": "aws-chunked",
            "x-amz-decoded-content-length": str(length),
            "x-amz-content-sha256": UNSIGNED,
        }
        return self.ask("PUT", "object", data=framed, headers=announced | headers)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def chunks(body: bytes, size: int, *, extension: str = "", trailer: str = "") -> bytes:
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    framed = b"".join(b"%x%b\r\n%b\r\n" % (len(x), extension.encode(), x) for x in parts)
    return framed + f"0{extension}\r\n{trailer}\r\n".encode()


def crc32(body: bytes) -> str:
    return f"{CRC32}:{base64.b64encode(zlib.crc32(body).to_bytes(4, 'big')).decode()}\r\n"


@pytest.mark.parametrize("size", [1, 100, 10_000])
@pytest.mark.parametrize(
    ("extension", "trailer", "headers"),
    [
        ("", f"{CRC64}:OyX/I+dZDhM=\r\n", {"x-amz-trailer": CRC64}),
        ("", crc32(BODY), {"x-amz-trailer": CRC32}),
        (";chunk-signature=ab12", "", {"x-amz-content-sha256": SIGNED}),
        ("", "", {"x-amz-content-sha256": "UNSIGNED-PAYLOAD", "Content-Encoding": ""}),
    ],
    ids=["trailer", "checked trailer", "signed", "said by its length only"],
)
def test_what_aws_chunks_hold_is_stored_without_them(
    store: Store, size: int, extension: str, trailer: str, headers: dict[str, str]
) -> None:
    framed = chunks(BODY, size, extension=extension, trailer=trailer)

    assert store.put(framed, len(BODY), **headers)[0] == 200

    assert store.ask("GET", "object") == (200, BODY)


WHOLE = chunks(BODY, 100, trailer=crc32(BODY))


@pytest.mark.parametrize(
    ("framed", "length"),
    [
        (chunks(WHOLE, 100, trailer=crc32(WHOLE)), len(BODY)),
        (WHOLE[:-200], len(BODY)),
        (WHOLE, len(BODY) - 1),
        (chunks(BODY, 100), len(BODY)),
        (chunks(BODY, 100, trailer=crc32(BODY[1:])), len(BODY)),
        (BODY, len(BODY)),
        (b"", len(BODY)),
    ],
    ids=[
        "in chunks twice",
        "cut off",
        "another length",
        "without its trailer",
        "the checksum of another body",
        "in no chunks",
        "empty",
    ],
)
def test_a_body_that_is_not_what_its_headers_announce_is_refused_and_not_stored(
    store: Store, capfd: pytest.CaptureFixture[str], framed: bytes, length: int
) -> None:
    status, said = store.put(framed, length, **{"x-amz-trailer": CRC32})

    assert (status, b"<Code>IncompleteBody</Code>" in said) == (400, True)
    assert store.ask("GET", "object")[0] == 404
    assert "refused PUT: " in capfd.readouterr().err


@settings(deadline=None)  # on a busy machine
@given(st.binary(max_size=200), st.integers(1, 50), st.data())
def test_no_beginning_of_a_body_in_chunks_is_taken_for_the_whole(
    body: bytes, size: int, data: st.DataObject
) -> None:
    framed = chunks(body, size)
    assert STAND_IN.decoded(framed, len(body)) == (body, {})

    ends_with_its_last_size = len(framed) - len(b"\r\n\r\n")
    cut = data.draw(st.integers(0, max(ends_with_its_last_size - 1, 0)))
    with pytest.raises(STAND_IN.IncompleteBodyError):
        STAND_IN.decoded(framed[:cut], len(body))


def test_requests_at_the_same_time_each_get_their_own_object(store: Store) -> None:
    def writes_and_reads(number: int) -> list[bool]:
        whole = []
        for turn in range(10):
            body = bytes([number, turn]) * 40_000
            key = f"object-{number}"
            assert store.ask("PUT", key, data=body)[0] == 200
            whole.append(store.ask("GET", key) == (200, body))
        return whole

    with ThreadPoolExecutor(4) as threads:
        assert all(all(whole) for whole in threads.map(writes_and_reads, range(4)))
