"""The card of a model over HTTP: which versions have one, and in which form it comes."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from builders.asgi import connected
from builders.service import Parts
from fakes.predictions import FakeRiskModel
from stroke.adapters.onnx.manifest import read_manifest
from stroke.adapters.onnx.store import DEFAULT, SHIPPED
from stroke.application.models.applied_card import as_applied_card
from stroke.application.models.card import NOTICE, as_markdown, card_of

pytestmark = pytest.mark.anyio

SERVED = FakeRiskModel().description
STORED = read_manifest(SHIPPED / DEFAULT).description


def path(version: str) -> str:
    return f"/api/v1/models/{version}/card"


@pytest.fixture
async def client(parts: Parts) -> AsyncIterator[httpx.AsyncClient]:
    async with connected(parts.app) as client:
        yield client


async def test_the_served_version_has_a_card_in_json_by_default(client: httpx.AsyncClient) -> None:
    answer = await client.get(path(SERVED.version))

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["vary"] == "Accept"
    card = answer.json()
    assert (card["version"], card["notice"]) == (SERVED.version, NOTICE)
    assert (len(card["attributes"]), len(card["tripod"])) == (31, 52)


async def test_a_version_of_the_store_has_one_although_it_is_not_served(
    client: httpx.AsyncClient,
) -> None:
    assert STORED.version != SERVED.version

    card = (await client.get(path(STORED.version))).json()

    assert card["version"] == STORED.version
    assert card["training"]["rows"] == 5_110
    assert "of the refits" in card["interval"]


async def test_accept_chooses_markdown(client: httpx.AsyncClient) -> None:
    answer = await client.get(path(STORED.version), headers={"Accept": "text/markdown"})

    assert answer.headers["content-type"] == "text/markdown; charset=utf-8"
    assert answer.text == as_markdown(card_of(STORED))


async def test_accept_chooses_the_form_of_chai(client: httpx.AsyncClient) -> None:
    answer = await client.get(path(STORED.version), headers={"Accept": "application/xml"})

    assert answer.headers["content-type"] == "application/xml"
    assert answer.text == as_applied_card(card_of(STORED))


async def test_a_browser_gets_a_page_that_may_run_nothing(client: httpx.AsyncClient) -> None:
    accept = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
    answer = await client.get(path(STORED.version), headers={"Accept": accept})

    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "script-src" not in answer.headers["content-security-policy"]
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert f"<h1>{STORED.name}</h1>" in answer.text
    assert "TRIPOD+AI checklist" in answer.text


@pytest.mark.parametrize(
    "version",
    ["nobody", DEFAULT, "..", "%2e%2e%2f", "manifest.json", "a" * 300, "\N{SNOWMAN}", "%00"],
)
async def test_another_version_is_not_found_and_its_text_is_not_repeated(
    client: httpx.AsyncClient, version: str
) -> None:
    answer = await client.get(path(version))

    assert answer.status_code == 404
    problem = answer.json()
    assert problem["title"] in {"No such model", "Not Found"}
    assert "manifest" not in str(problem)
    assert str(SHIPPED) not in answer.text


async def test_an_unknown_version_is_a_problem_of_its_own_kind(client: httpx.AsyncClient) -> None:
    problem = (await client.get(path("nobody"))).json()

    assert problem["type"].endswith("model-not-found")
    assert problem["title"] == "No such model"
