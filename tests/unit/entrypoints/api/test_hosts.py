from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from builders.access import api_key
from builders.asgi import connected
from builders.service import Parts
from stroke.config import Settings
from stroke.domain.errors import InvalidSetting, StoreUnavailable

pytestmark = pytest.mark.anyio
ALLOWED = ("stroke.example.org", "*.clinic.example", "127.0.0.1", "[::1]")


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("stroke.example.org", 200),
        ("STROKE.Example.ORG:8443", 200),
        ("north.clinic.example", 200),
        ("a.b.clinic.example:80", 200),
        ("127.0.0.1:8000", 200),
        ("[::1]:8000", 200),
        ("[::1]", 200),
        ("clinic.example", 400),
        ("evilclinic.example", 400),
        ("stroke.example.org.evil.example", 400),
        ("evil.example/stroke.example.org", 400),
        ("stroke.example.org@evil.example", 400),
        ("[::2]", 400),
        ("", 400),
    ],
)
async def test_only_allowed_names_are_served(
    parts_with: Callable[..., Any], host: str, status: int
) -> None:
    async with connected(parts_with(allowed_hosts=ALLOWED).app) as client:
        answer = await client.get("/", headers={"host": host})
    assert answer.status_code == status
    if status == 400:
        assert answer.json()["type"] == "urn:stroke:problem:host-unknown"
        assert host == "" or host not in answer.text


@pytest.mark.parametrize("path", ["/health/live", "/metrics"])
async def test_an_orchestrator_may_use_any_address(
    parts_with: Callable[..., Any], path: str
) -> None:
    async with connected(parts_with(allowed_hosts=ALLOWED).app) as client:
        assert (await client.get(path, headers={"host": "10.0.0.7"})).status_code == 200


HERE = "127.0.0.1"


async def status_of(parts: Parts, host: str | None, *, reached_at: str = HERE) -> int:
    """Return what a request for predictions with this ``Host`` is answered."""
    path = "/api/v1/predictions"
    headers = [] if host is None else [(b"host", host.encode())]
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async with parts.app.router.lifespan_context(parts.app) as state:
        scope = {
            "type": "http",
            "method": "GET",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": headers,
            "scheme": "http",
            "http_version": "1.1",
            "server": (reached_at, 8000),
            "client": (HERE, 50000),
            "state": dict(state or {}),
        }
        await parts.app(scope, receive, send)
    return int(sent[0]["status"])


OWN = ["localhost", "LOCALHOST:8000", "a.localhost:80", "127.0.0.1:8000", "127.8.9.1", "[::1]:80"]
FOREIGN = [
    *("evil.example", "evil.example:8000", "localhost.evil.example", "evil.example."),
    *("127.0.0.1.evil.example", "evillocalhost", "10.0.0.7", "[::2]", "::1", ":80"),
    *("user@localhost", "localhost@evil.example", "localhost/evil.example", "2130706433", " "),
]


@pytest.mark.parametrize("host", [*OWN, None, ""])
async def test_an_open_service_on_loopback_answers_under_names_of_this_machine(
    parts_with: Callable[..., Parts], host: str | None
) -> None:
    assert await status_of(parts_with(), host) == 200
    assert await status_of(parts_with(), host, reached_at="::1") == 200


@pytest.mark.parametrize("host", FOREIGN)
async def test_a_web_page_whose_name_leads_to_loopback_reads_nothing_of_an_open_service(
    parts_with: Callable[..., Parts], host: str
) -> None:
    for address in (HERE, "::1", "::ffff:127.0.0.1", "127.0.0.53"):
        assert await status_of(parts_with(), host, reached_at=address) == 400


@pytest.mark.parametrize("host", FOREIGN)
async def test_a_service_that_others_reach_answers_under_any_name(
    parts_with: Callable[..., Parts], host: str
) -> None:
    assert await status_of(parts_with(), host, reached_at="10.0.0.7") == 200


async def test_a_service_with_keys_asks_for_one_under_any_name(
    parts_with: Callable[..., Parts],
) -> None:
    parts = parts_with()
    await parts.keys.add(api_key("1" * 16))
    assert await status_of(parts, "stroke.example.org") == 401


async def test_more_names_may_be_allowed_on_loopback(parts_with: Callable[..., Parts]) -> None:
    parts = parts_with(allowed_hosts=("stroke.example.org", "localhost"))
    assert await status_of(parts, "stroke.example.org") == 200
    assert await status_of(parts, "localhost:8000") == 200
    assert await status_of(parts, "evil.example") == 400


async def test_a_database_that_is_away_is_what_a_foreign_name_is_answered(
    parts_with: Callable[..., Parts],
) -> None:
    parts = parts_with()
    parts.keys.failing = StoreUnavailable("away")
    assert await status_of(parts, "evil.example") == 503


async def test_any_name_is_served_by_default(parts_with: Callable[..., Any]) -> None:
    async with connected(parts_with().app) as client:
        assert (await client.get("/", headers={"host": "anything"})).status_code == 200


@pytest.mark.parametrize("wrong", ["http://a.example", "a.example:80", "*", "a b", "*a.example"])
def test_what_is_no_name_of_a_host_is_refused(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STROKE_HTTP_ALLOWED_HOSTS", wrong)
    with pytest.raises(InvalidSetting, match="STROKE_HTTP_ALLOWED_HOSTS"):
        Settings.load()


def test_names_are_parted_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STROKE_HTTP_ALLOWED_HOSTS", ", ".join(ALLOWED))
    assert Settings.load().http.allowed_hosts == ALLOWED
