"""What a browser gets when something fails: a page that says what to do, in its language."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from builders.asgi import connected
from builders.pages import Browser, make_key
from builders.service import Parts
from stroke.domain.errors import StoreUnavailable

pytestmark = pytest.mark.anyio

PROBLEM = "application/problem+json"


@pytest.fixture
async def browser(parts: Parts) -> AsyncIterator[Browser]:
    async with connected(parts.app) as client:
        yield Browser(client)


def is_page(answer: httpx.Response) -> bool:
    return answer.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize(
    ("language", "said", "advised"),
    [
        ("en", "There is no such page.", "choose a page above"),
        ("de-AT,en;q=0.5", "Diese Seite gibt es nicht.", "wählen Sie oben"),
    ],
)
async def test_an_unknown_address_is_a_page_in_the_browser_s_language(
    browser: Browser, language: str, said: str, advised: str
) -> None:
    answer = await browser.client.get("/ui/nope", headers={"Accept-Language": language})

    assert (answer.status_code, is_page(answer)) == (404, True)
    assert said in answer.text
    assert advised in answer.text
    assert "default-src 'none'; script-src 'self'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize("path", ["/ui/nope", "/ui/history/none/of/these", "/ui/assets/x/y.js"])
@pytest.mark.parametrize("headers", [{"Accept": "*/*"}, {"Accept": "text/html", "X-Part": "yes"}])
async def test_everybody_else_gets_a_problem_document(
    browser: Browser, path: str, headers: dict[str, str]
) -> None:
    answer = await browser.client.get(path, headers=headers)

    assert (answer.status_code, answer.headers["content-type"]) == (404, PROBLEM)


async def test_other_addresses_stay_as_they_are(browser: Browser) -> None:
    answer = await browser.open("/nope")

    assert (answer.status_code, answer.headers["content-type"]) == (404, PROBLEM)


async def test_a_method_that_a_page_does_not_take_is_a_page_and_names_those_it_takes(
    browser: Browser,
) -> None:
    answer = await browser.client.put("/ui/history")

    assert (answer.status_code, is_page(answer)) == (405, True)
    assert "GET" in answer.headers["allow"]
    assert "Nothing was changed." in answer.text


async def test_a_database_that_is_away_can_be_asked_again(parts: Parts, browser: Browser) -> None:
    parts.repository.failing = StoreUnavailable("away")

    answer = await browser.open("/ui/history?country=CANARY")

    assert (answer.status_code, is_page(answer)) == (503, True)
    assert answer.headers["retry-after"] == "5"
    assert 'href="/ui/history">Try again' in answer.text
    assert "CANARY" not in answer.text
    assert answer.headers["x-request-id"] in answer.text


async def test_it_is_not_said_that_nothing_was_changed_where_nobody_knows(
    parts: Parts, browser: Browser
) -> None:
    parts.repository.failing = StoreUnavailable("away")

    answer = await browser.send("/ui/history/1/erase", confirmed="1")

    assert answer.status_code == 503
    assert "Nothing was changed." not in answer.text
    assert "It is not known whether anything was saved" in answer.text
    assert ">Try again<" not in answer.text


async def test_too_many_requests_say_how_long_to_wait(parts_with: Any) -> None:
    async with connected(parts_with(rate={"per_address": "1/minute"}).app) as client:
        browser = Browser(client)
        await browser.open("/ui")
        answer = await browser.open("/ui")

    assert (answer.status_code, is_page(answer)) == (429, True)
    wait = int(answer.headers["retry-after"])
    assert f"Wait for {wait} second" in answer.text
    assert answer.headers["ratelimit-limit"] == "1"


async def test_a_form_that_is_too_long_says_to_send_less(browser: Browser) -> None:
    answer = await browser.send("/ui/estimate", name="x" * 100_000)

    assert (answer.status_code, is_page(answer)) == (413, True)
    assert "What was sent is too long." in answer.text
    assert "Send less at a time" in answer.text


async def test_a_fault_of_ours_is_a_page_with_the_number_of_the_request(
    parts: Parts, browser: Browser
) -> None:
    parts.repository.failing = ZeroDivisionError("CANARY")  # type: ignore[assignment]

    answer = await browser.open("/ui/history")

    assert (answer.status_code, is_page(answer)) == (500, True)
    assert "The service has made a mistake." in answer.text
    assert answer.headers["x-request-id"] in answer.text
    assert "CANARY" not in answer.text


async def test_a_session_that_has_ended_leads_to_the_sign_in_and_back(parts: Parts) -> None:
    made = await make_key(parts, "read")
    async with connected(parts.app) as client:
        browser = Browser(client)
        await browser.sign_in(made.text)
        parts.sessions.kept.clear()

        answer = await browser.open("/ui/history?band=High")

        assert answer.status_code == 303
        page = await browser.open(answer.headers["location"])
        assert "You are not signed in, or not any more." in page.text
        back = await browser.sign_in(made.text, next="/ui/history?band=High")
        assert back.headers["location"] == "/ui/history?band=High"


@pytest.mark.parametrize("scope", ["predict", "read", "models"])
async def test_whoever_sees_estimates_may_read_about_the_model(parts: Parts, scope: str) -> None:
    made = await make_key(parts, scope)
    async with connected(parts.app) as client:
        browser = Browser(client)
        await browser.sign_in(made.text)
        page = await browser.open("/ui/model")

    assert page.status_code == 200
    assert 'href="/ui/model" aria-current="page"' in page.text
