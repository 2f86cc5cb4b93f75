"""Bodies as people's tools really send them: marks, charsets, compressed, and bombs."""

from __future__ import annotations

import gzip
import json
import tracemalloc
import zlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from builders.asgi import connected
from builders.predictions import patient_json

pytestmark = pytest.mark.anyio
BATCH = "/api/v1/predictions:batch"
PATIENT = patient_json(name="Zoë Example", country="France", province="Bretagne")
TEXT = json.dumps(PATIENT, ensure_ascii=False)


async def post(
    client: httpx.AsyncClient,
    body: Any,
    *,
    path: str = "/predict",
    media_type: str = "application/json",
    **headers: str,
) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await client.post(path, content=body, headers={"content-type": media_type, **named})


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize(
    "charset",
    ["", "; charset=utf-8", "; charset=UTF8", '; Charset="utf-8"', ";charset=utf-8; x=y"],
)
async def test_utf_8_is_taken_with_and_without_its_mark(
    client: httpx.AsyncClient, parts: Any, mark: str, charset: str
) -> None:
    answer = await post(client, (mark + TEXT).encode(), media_type=f"application/json{charset}")
    assert answer.status_code == 200
    [row] = parts.repository.rows.values()
    assert row.name == "Zoë Example"


async def test_ascii_is_utf_8(client: httpx.AsyncClient) -> None:
    answer = await post(
        client, json.dumps(PATIENT).encode(), media_type="application/json; charset=us-ascii"
    )
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("charset", "named"),
    [
        ("iso-8859-1", "iso8859-1"),
        ("latin1", "iso8859-1"),
        ("windows-1252", "cp1252"),
        ("utf-16", "utf-16"),
        ("utf-8-sig", "utf-8-sig"),
        ("Zyxwvut", "a charset that is not known here"),
        ("a\x00b", "a charset that is not known here"),
    ],
)
async def test_another_declared_charset_is_415_by_name(
    client: httpx.AsyncClient, charset: str, named: str
) -> None:
    answer = await post(client, TEXT.encode(), media_type=f"application/json; charset={charset}")
    assert answer.status_code == 415
    assert answer.json()["detail"] == f"The body is declared as {named}. JSON is sent in UTF-8."


@pytest.mark.parametrize("path", ["/predict", BATCH])
@pytest.mark.parametrize("charset", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
async def test_utf_16_that_is_not_declared_is_named(
    client: httpx.AsyncClient, path: str, charset: str
) -> None:
    answer = await post(client, TEXT.encode(charset), path=path)
    assert answer.status_code == 400
    assert answer.json()["detail"] == "The body looks like UTF-16 or UTF-32. JSON is sent in UTF-8."


@pytest.mark.parametrize("charset", ["latin-1", "cp1252", "cp437"])
async def test_a_charset_of_one_byte_that_is_not_declared_is_named(
    client: httpx.AsyncClient, parts: Any, charset: str
) -> None:
    answer = await post(client, TEXT.encode(charset))
    assert answer.status_code == 400
    assert "is not UTF-8, from byte " in answer.json()["detail"]
    assert parts.repository.rows == {}


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "GZIP", "identity"])
async def test_gzip_is_decoded(client: httpx.AsyncClient, parts: Any, encoding: str) -> None:
    plain = ("\ufeff" + TEXT).encode()
    body = plain if encoding == "identity" else gzip.compress(plain)
    answer = await post(client, body, content_encoding=encoding)
    assert answer.status_code == 200
    [row] = parts.repository.rows.values()
    assert row.name == "Zoë Example"


async def test_a_batch_may_be_gzip_of_several_members(client: httpx.AsyncClient) -> None:
    rows = json.dumps({"patients": [PATIENT] * 100}).encode()
    body = gzip.compress(rows[:5000]) + gzip.compress(rows[5000:])
    answer = await post(client, body, path=BATCH, content_encoding="gzip")
    assert answer.status_code == 200
    assert len(answer.json()["predictions"]) == 100


@pytest.mark.parametrize("encoding", ["br", "deflate", "zstd", "gzip, gzip", "compress", "*"])
async def test_another_encoding_is_415_that_says_which_is_understood(
    client: httpx.AsyncClient, encoding: str
) -> None:
    answer = await post(client, zlib.compress(TEXT.encode()), content_encoding=encoding)
    assert answer.status_code == 415
    assert "gzip" in answer.json()["detail"]
    assert answer.headers["accept-encoding"] == "gzip"


@pytest.mark.parametrize(
    "body",
    [
        TEXT.encode(),
        gzip.compress(TEXT.encode(), mtime=0)[:-1],
        gzip.compress(TEXT.encode(), mtime=0)[:10],
        gzip.compress(TEXT.encode(), mtime=0) + b"x",
        zlib.compress(TEXT.encode()),
        b"\x1f\x8b",
    ],
)
async def test_what_is_declared_as_gzip_and_is_none_is_400(
    client: httpx.AsyncClient, body: bytes
) -> None:
    answer = await post(client, body, content_encoding="gzip")
    assert answer.status_code == 400
    assert "gzip" in answer.json()["detail"]


@pytest.mark.parametrize("path", ["/predict", BATCH])
async def test_a_gzip_bomb_is_413_and_takes_no_memory(client: httpx.AsyncClient, path: str) -> None:
    bomb = gzip.compress(b" " * 30_000_000)
    assert len(bomb) < 40_000
    tracemalloc.start()
    answer = await post(client, bomb, path=path, content_encoding="gzip")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert answer.status_code == 413
    assert peak < 3_000_000


async def test_one_patient_may_not_be_as_long_as_a_batch(parts_with: Any) -> None:
    parts = parts_with(max_body_bytes=10_000_000, max_patient_bytes=5_000)
    async with connected(parts.app) as client:
        long = json.dumps({**PATIENT, "note": "x" * 6_000}).encode()
        assert (await post(client, long)).status_code == 413
        whole = b'{"patients": [' + long + b"]}"
        assert (await post(client, whole, path=BATCH)).status_code == 200


@pytest.mark.parametrize("value", ["[]", "{}", "[0]", '{"a":0}', "0", '""', "null"])
async def test_a_body_of_millions_of_values_is_refused_before_they_are_made(
    parts_with: Any, value: str
) -> None:
    parts = parts_with(max_body_bytes=8 * 1024 * 1024)
    many = f"{value}," * (4_000_000 // (len(value) + 1))
    async with connected(parts.app) as client:
        for text in (f'{{"patients":[{many}0]}}', f'{{"x":[{many}0],"patients":[{TEXT}]}}'):
            answer = await post(client, text.encode(), path=BATCH)
            assert answer.status_code == 422
            [problem] = answer.json()["errors"]
            assert (problem["pointer"], problem["code"]) == ("/patients", "too_long")


async def test_the_largest_batch_with_every_field_is_no_bomb(parts_with: Any) -> None:
    row = PATIENT | {
        "id": 1, "ever_married": "Yes", "work_type": "Private", "Residence_type": "Urban",
        "name": "Last, First [née Other], {Dr.}", "stroke": 0, "age_hypertension": 67 * 0,
    }  # fmt: skip
    parts = parts_with(max_body_bytes=8 * 1024 * 1024)

    async def body() -> AsyncIterator[bytes]:
        yield json.dumps({"patients": [row] * 6_000}).encode()

    async with connected(parts.app) as client:
        assert (await post(client, body(), path=BATCH)).status_code == 200
