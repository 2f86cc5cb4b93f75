"""The page of a model that declares features of its own: form, estimate, history, batch."""

from __future__ import annotations

import csv
import re
from collections.abc import AsyncIterator
from html import unescape
from typing import Any

import httpx
import pytest

from builders.asgi import connected
from builders.further import OF_ALL_KINDS, WORK
from builders.pages import with_token
from builders.patients import TYPED
from builders.service import Parts, service_parts
from stroke.domain.features import RAW_FEATURES

pytestmark = pytest.mark.anyio

SCRIPT = {"X-Part": "yes"}
OWN = {"own_waist": "96,5", "own_diabetes": "1", "own_alcohol": "none"}
STORED: dict[str, Any] = {"waist": 96.5, "diabetes": 1, "alcohol": "none"}
HEADER = ",".join(RAW_FEATURES)
ROW = "Male,50,0,0,100,25,smokes"


@pytest.fixture
def own_parts() -> Parts:
    return service_parts(further=(*OF_ALL_KINDS, WORK))


@pytest.fixture
async def own(own_parts: Parts) -> AsyncIterator[httpx.AsyncClient]:
    async with connected(own_parts.app) as client:
        yield await with_token(client)


def form(**changes: str) -> dict[str, str]:
    return {**TYPED, **OWN, "own_work_type": "Private", **changes}


def text_of(page: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page)).split())


async def batch(client: httpx.AsyncClient, text: str, wanted: str = "show") -> httpx.Response:
    return await client.post(
        "/ui/batch", files={"file": ("people.csv", text.encode())}, data={"do": wanted}
    )


async def test_the_form_asks_for_each_with_its_range_unit_and_words(own: httpx.AsyncClient) -> None:
    page = (await own.get("/ui")).text

    assert re.search(r'<input id="own_waist"[^>]*inputmode="decimal"[^>]*maxlength="24"', page)
    assert "waist 40 to 200, optional cm" in text_of(page)
    for value in ("0", "1"):
        assert f'<input type="radio" name="own_diabetes" value="{value}">' in page
    assert '<input type="radio" name="own_alcohol" value="" checked>Not known' in page
    assert '<input type="radio" name="own_alcohol" value="some">some' in page
    work = page[page.index('<select class="input" id="own_work_type"') :]
    assert work.count("<option", 0, work.index("</select>")) == 1 + len(WORK.categories)
    assert '<option value="" selected>Choose …</option>' in work


async def test_an_estimate_says_them_without_a_script_and_keeps_what_was_typed(
    own: httpx.AsyncClient,
) -> None:
    page = (await own.post("/ui/estimate", data=form())).text

    said = text_of(page)
    assert 'value="96,5"' in page
    assert '<option value="Private" selected>' in page
    assert '<input type="radio" name="own_diabetes" value="1" checked>' in page
    assert {"waist: 96.5 cm", "diabetes: yes", "alcohol: none", "work type: Private"} <= set(
        re.findall(r"^(\w[\w ]+: .+)$", unescape(page), re.MULTILINE)
    )
    assert "waist 96.5 cm" in said


async def test_it_is_saved_with_them_and_its_detail_shows_them(
    own: httpx.AsyncClient, own_parts: Parts
) -> None:
    first = await own.post("/ui/save", data=form(form_key="a" * 32), headers=SCRIPT)
    again = await own.post("/ui/save", data=form(form_key="a" * 32), headers=SCRIPT)
    other = await own.post("/ui/save", data=form(form_key="a" * 32, own_waist="97"), headers=SCRIPT)
    assert [each.json()["stored"] for each in (first, again, other)] == [True] * 3
    assert len(own_parts.repository.rows) == 2
    data = own_parts.repository.rows[1].prediction_data
    assert {name: data[name] for name in STORED} == STORED

    said = text_of((await own.get("/ui/history/1")).text)
    for each in ("waist 96.5 cm", "diabetes yes", "alcohol none", "work type Private"):
        assert each in said


async def test_a_row_of_another_model_is_shown_without_a_unit_that_nobody_knows(
    own: httpx.AsyncClient, own_parts: Parts
) -> None:
    await own.post("/ui/save", data=form(), headers=SCRIPT)
    own_parts.model.version = "fake-9"
    said = text_of((await own.get("/ui/history/1")).text)
    assert "waist 96.5 raises" in said
    assert "96.5 cm" not in said


@pytest.mark.parametrize(
    ("field", "typed", "said"),
    [
        ("own_waist", "39.9", "waist is 40 to 200 cm."),
        ("own_waist", "wide", "Type a number, such as 90."),
        ("own_diabetes", "2", "Choose yes or no."),
        ("own_alcohol", "much", "Choose one of these."),
        ("own_work_type", "private", "Choose one of these."),
    ],
)
async def test_what_is_wrong_is_said_by_its_field_and_not_stored(
    own: httpx.AsyncClient, own_parts: Parts, field: str, typed: str, said: str
) -> None:
    answer = (await own.post("/ui/save", data=form(**{field: typed}), headers=SCRIPT)).json()
    assert answer["errors"] == {field: said}
    assert not answer["stored"]
    page = (await own.post("/ui/save", data=form(**{field: typed}))).text
    assert f"To be put right: {field.removeprefix('own_').replace('_', ' ')}." in text_of(page)
    assert not own_parts.repository.rows


async def test_what_may_be_missing_may_stay_empty_and_the_rest_is_asked_for(
    own: httpx.AsyncClient, own_parts: Parts
) -> None:
    lacking = form(own_diabetes="", own_work_type=" ")
    answer = (await own.post("/ui/estimate", data=lacking, headers=SCRIPT)).json()
    assert answer["missing"] == ["own_diabetes", "own_work_type"]
    assert "Still missing: diabetes, work type." in text_of(answer["result"])
    without = form(own_waist="", own_alcohol="")
    assert (await own.post("/ui/save", data=without, headers=SCRIPT)).json()["stored"]
    data = own_parts.repository.rows[1].prediction_data
    assert (data["waist"], data["alcohol"], data["diabetes"]) == (None, None, 1)
    assert "waist not measured" in text_of((await own.get("/ui/history/1")).text)


async def test_what_if_keeps_them_as_they_are(own: httpx.AsyncClient) -> None:
    plain = await own.post("/ui/what-if", data=form(), headers=SCRIPT)
    moved = await own.post(
        "/ui/what-if", data=form(what_if_bmi="25", what_if_own_waist="41"), headers=SCRIPT
    )
    # The fake counts no BMI: a waist that went lost would take 0.1 away.
    assert text_of(plain.json()["result"]) == text_of(moved.json()["result"])


async def test_the_page_in_german_says_its_own_words_in_german(own: httpx.AsyncClient) -> None:
    page = text_of((await own.get("/ui", headers={"Accept-Language": "de"})).text)
    assert "waist 40 bis 200, freiwillig cm" in page
    assert {"Nicht bekannt", "Bitte wählen …"} <= set(
        re.findall("Nicht bekannt|Bitte wählen …", page)
    )


async def test_a_file_is_read_with_their_columns_and_the_estimates_have_them(
    own: httpx.AsyncClient, own_parts: Parts
) -> None:
    text = (
        f"{HEADER},Waist,diabetes,alcohol,work type\n"
        f"{ROW},90,yes,none,Private\n"
        f"{ROW},,0,some,Private\n"
        f"{ROW},300,0,,Private\n"
        f"{ROW},90,0,none,astronaut\n"
    )
    shown = await batch(own, text)
    said = text_of(shown.text)
    assert "4 rows , 2 of them with mistakes" in said
    assert "4 waist must be 40 to 200 cm" in said
    assert "5 work type must be one of 'children'" in said
    assert "astronaut" not in said

    rows = list(csv.DictReader((await batch(own, text, "csv")).text.lstrip("\ufeff").splitlines()))
    assert [(each["waist"], each["diabetes"], each["alcohol"]) for each in rows[:2]] == [
        ("90.0", "1", "none"),
        ("", "0", "some"),
    ]
    assert list(rows[0])[11:15] == ["waist", "diabetes", "alcohol", "work_type"]
    await batch(own, text, "save")
    stored = own_parts.repository.rows[1].prediction_data
    assert {name: stored[name] for name in STORED} == {**STORED, "waist": 90.0}


async def test_a_file_without_a_column_that_is_needed_is_not_read(own: httpx.AsyncClient) -> None:
    said = text_of((await batch(own, f"{HEADER},diabetes\n{ROW},1\n", "check")).text)
    assert "columns missing from the header: work_type" in said
    page = text_of((await own.get("/ui/batch")).text)
    assert "smoking_status, waist, diabetes, alcohol, work_type; also name" in page


async def test_the_page_of_another_model_asks_for_none_and_ignores_them(
    client: httpx.AsyncClient, parts: Parts
) -> None:
    client = await with_token(client)
    assert "own_" not in (await client.get("/ui")).text
    answer = (await client.post("/ui/save", data=form(), headers=SCRIPT)).json()
    assert answer["stored"]
    assert not set(STORED) & set(parts.repository.rows[1].prediction_data)
