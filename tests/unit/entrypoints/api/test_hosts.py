from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from builders.asgi import connected
from stroke.config import Settings
from stroke.domain.errors import InvalidSetting

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
