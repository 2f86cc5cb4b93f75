"""The page for clinicians over the real routes, with fakes behind the ports."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import httpx
import pytest

from stroke.domain.errors import StoreUnavailable

pytestmark = pytest.mark.anyio

TYPED = {
    "age": "67",
    "gender": "Male",
    "hypertension": "0",
    "heart_disease": "1",
    "avg_glucose_level": "228.69",
    "bmi": "36.6",
    "smoking_status": "formerly smoked",
}
SCRIPT = {"X-Part": "yes"}
CANARY = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>{{7*7}}"
PAGES = ("/ui",)


def stored(parts: Any) -> int:
    return len(parts.repository.rows)


async def test_browsers_get_a_page_at_the_root_and_everybody_else_the_greeting(
    client: httpx.AsyncClient,
) -> None:
    page = await client.get("/", headers={"Accept": "text/html,*/*;q=0.8"})
    assert page.headers["content-type"].startswith("text/html")
    assert 'href="/ui"' in page.text
    for accept in ("*/*", "application/json"):
        answer = await client.get("/", headers={"Accept": accept})
        assert answer.json() == {"message": "Stroke Prediction API"}


@pytest.mark.parametrize("path", PAGES)
async def test_no_page_needs_what_its_policy_forbids(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=", answer.text)
    addresses = re.findall(r'(?:src|href|action|formaction)="([^"]*)"', answer.text)
    assert addresses
    assert all(each.startswith(("/ui", "/docs", "#")) for each in addresses), addresses


async def test_the_files_of_a_page_are_kept_by_browsers_and_come_compressed(
    client: httpx.AsyncClient,
) -> None:
    page = await client.get("/ui")
    for address in re.findall(r'(?:src|href)="(/ui/assets/[^"]+)"', page.text):
        answer = await client.get(address)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
        assert answer.headers["content-encoding"] == "gzip"
    assert (await client.get("/ui/assets/x/../../secret")).status_code == 404


async def test_a_form_without_a_script_gets_a_whole_page_and_stores_nothing(
    tolerant: httpx.AsyncClient, tolerant_parts: Any
) -> None:
    answer = await tolerant.post("/ui/estimate", data=TYPED)
    assert answer.status_code == 200
    assert "people like this one" in answer.text
    assert 'value="228.69"' in answer.text
    assert stored(tolerant_parts) == 0


async def test_the_script_gets_the_result_alone_and_stores_nothing(
    tolerant: httpx.AsyncClient, tolerant_parts: Any
) -> None:
    answer = (await tolerant.post("/ui/estimate", data=TYPED, headers=SCRIPT)).json()
    assert "people like this one" in answer["result"]
    assert "<html" not in answer["result"]
    assert answer["errors"] == {}
    moved = await tolerant.post("/ui/what-if", data={**TYPED, "what_if_bmi": "25"}, headers=SCRIPT)
    assert "in 100" in unescape(moved.json()["result"])
    assert stored(tolerant_parts) == 0


async def test_saving_twice_stores_one_row_and_saving_other_values_stores_another(
    tolerant: httpx.AsyncClient, tolerant_parts: Any
) -> None:
    form = {**TYPED, "form_key": "a" * 32, "name": "Ada"}
    first = (await tolerant.post("/ui/save", data=form, headers=SCRIPT)).json()
    again = (await tolerant.post("/ui/save", data=form, headers=SCRIPT)).json()
    assert first["stored"]
    assert first["saved"] == again["saved"]
    assert stored(tolerant_parts) == 1
    await tolerant.post("/ui/save", data={**form, "age": "68"}, headers=SCRIPT)
    assert stored(tolerant_parts) == 2


async def test_what_is_wrong_is_not_stored_and_comes_back_with_its_reason(
    tolerant: httpx.AsyncClient, tolerant_parts: Any
) -> None:
    answer = await tolerant.post("/ui/save", data={**TYPED, "age": "670"})
    assert "Age is 0 to 120 years." in answer.text
    assert 'value="670"' in answer.text
    assert stored(tolerant_parts) == 0


async def test_a_store_that_is_away_costs_nothing_that_was_typed(
    tolerant: httpx.AsyncClient, tolerant_parts: Any
) -> None:
    tolerant_parts.repository.failing = StoreUnavailable("away")
    page = await tolerant.post("/ui/save", data={**TYPED, "name": "Ada"})
    assert page.status_code == 503
    assert 'value="Ada"' in page.text
    assert "The database does not answer." in page.text
    part = await tolerant.post("/ui/save", data=TYPED, headers=SCRIPT)
    assert part.status_code == 503
    assert part.json()["said"] == "The database does not answer."


@pytest.mark.parametrize("field", [*TYPED, "name", "country", "province", "form_key"])
async def test_no_text_of_a_form_becomes_part_of_a_page(
    tolerant: httpx.AsyncClient, field: str
) -> None:
    for path in ("/ui/estimate", "/ui/save", "/ui/what-if"):
        answer = await tolerant.post(path, data={**TYPED, field: CANARY})
        assert "<script>alert" not in answer.text
        assert "<img" not in answer.text
        assert ">49<" not in answer.text


async def test_the_page_speaks_the_browsers_language_and_the_one_that_was_chosen(
    client: httpx.AsyncClient,
) -> None:
    german = await client.get("/ui", headers={"Accept-Language": "de-CH, en;q=0.5"})
    assert '<html lang="de">' in german.text
    assert "Messwerte" in german.text
    chosen = await client.get("/ui?language=de", headers={"Accept-Language": "en"})
    assert "Messwerte" in chosen.text
    kept = await client.get("/ui", headers={"Accept-Language": "en"})
    assert "Messwerte" in kept.text


async def test_addresses_have_the_prefix_under_which_the_service_is_reached(
    parts_with: Any,
) -> None:
    from builders.asgi import connected  # noqa: PLC0415

    async with connected(parts_with(root_path="/stroke").app) as client:
        page = await client.get("/stroke/ui")
    addresses = re.findall(r'(?:src|href|action|formaction)="([^"#][^"]*)"', page.text)
    assert addresses
    assert all(each.startswith("/stroke/ui") for each in addresses), addresses


async def test_a_form_that_is_none_is_refused(client: httpx.AsyncClient) -> None:
    wrong = await client.post("/ui/estimate", content=b"{}", headers={"Content-Type": "text/x"})
    assert wrong.status_code == 415
    long = await client.post("/ui/estimate", data={"name": "x" * 50_000})
    assert long.status_code == 413
