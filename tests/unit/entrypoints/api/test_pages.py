"""The page for clinicians over the real routes, with fakes behind the ports."""

from __future__ import annotations

import gzip
import json
import re
from html import unescape
from typing import Any

import httpx
import pytest

from builders.asgi import connected
from builders.charts import request
from builders.pages import make_key, with_token
from builders.patients import TYPED
from builders.predictions import NOON, outcome, prediction
from builders.service import service_parts
from stroke.domain.errors import StoreUnavailable
from stroke.domain.prediction import Origin
from stroke.entrypoints.api.schemas.fields import BATCH_SIZE

pytestmark = pytest.mark.anyio

SCRIPT = {"X-Part": "yes"}
CANARY = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>{{7*7}}"
PAGES = ("/ui", "/ui/batch", "/ui/history", "/ui/insights", "/ui/model")


@pytest.fixture
async def client(client: httpx.AsyncClient) -> httpx.AsyncClient:
    return await with_token(client)


@pytest.fixture
async def tolerant(tolerant: httpx.AsyncClient) -> httpx.AsyncClient:
    return await with_token(tolerant)


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


async def test_each_person_is_spoken_to_in_the_language_of_the_browser_or_the_chosen_one(
    client: httpx.AsyncClient,
) -> None:
    german = await client.get("/ui", headers={"Accept-Language": "de-CH, en;q=0.5"})
    assert '<html lang="de">' in german.text
    assert "Messwerte" in german.text
    chosen = await client.get("/ui?language=de", headers={"Accept-Language": "en"})
    assert "Messwerte" in chosen.text
    kept = await client.get("/ui", headers={"Accept-Language": "en"})
    assert "Messwerte" in kept.text
    client.cookies.clear()
    for code, word in (("en", "Measurements"), ("de", "Messwerte"), ("en", "Measurements")):
        page = await client.get("/ui", headers={"Accept-Language": code})
        assert word in page.text


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


async def saved(client: httpx.AsyncClient, **changes: str) -> int:
    form = {**TYPED, "form_key": str(sorted(changes.items())), **changes}
    answer = (await client.post("/ui/save", data=form, headers=SCRIPT)).json()
    assert answer["stored"], answer
    found = re.search(r"/ui/history/(\d+)", answer["saved"])
    assert found
    return int(found[1])


async def test_what_was_saved_is_in_the_history_page_by_page_and_in_the_file(
    tolerant: httpx.AsyncClient,
) -> None:
    assert "Nothing is saved yet" in (await tolerant.get("/ui/history")).text
    for number in range(27):
        await saved(tolerant, name=f"Person {number:02}", province="Bern" if number % 2 else "Uri")
    first = await tolerant.get("/ui/history")
    assert "Person 26" in first.text
    assert "Person 01" not in first.text
    older = re.search(r'href="([^"]*cursor=[^"]*)"', first.text)
    assert older
    assert "Person 01" in (await tolerant.get(unescape(older[1]))).text
    narrowed = await tolerant.get("/ui/history", params={"province": "Uri"})
    assert "Person 24" in narrowed.text
    assert "Person 25" not in narrowed.text
    nothing = await tolerant.get("/ui/history", params={"province": "Vaud"})
    assert "No estimate matches the filters" in nothing.text
    file = await tolerant.get("/ui/history.csv", params={"province": "Bern"})
    assert len(file.text.splitlines()) == 1 + 13
    assert "attachment" in file.headers["content-disposition"]


async def test_the_history_shows_outcomes_counts_estimates_and_is_narrowed_by_them(
    tolerant: httpx.AsyncClient, tolerant_parts: Any
) -> None:
    numbers = [await saved(tolerant, name=f"Person {number}") for number in range(4)]
    tolerant_parts.repository.outcomes |= {
        numbers[0]: outcome(numbers[0], stroke=True),
        numbers[1]: outcome(numbers[1], stroke=False),
    }

    text = (await tolerant.get("/ui/history")).text
    assert "4 estimates, newest first" in text
    assert text.count("<strong>Stroke</strong>") == 1
    for known, names in (("stroke", [0]), ("no-stroke", [1]), ("unknown", [2, 3])):
        for path in ("/ui/history", "/ui/history.csv"):
            found = (await tolerant.get(f"{path}?outcome={known}")).text
            assert [n for n in range(4) if f"Person {n}" in found] == names
    assert "1 estimate</span>" in (await tolerant.get("/ui/history?outcome=stroke")).text


async def test_a_name_that_runs_from_right_to_left_turns_nothing_around_it(
    tolerant: httpx.AsyncClient,
) -> None:
    name, place = "\N{RIGHT-TO-LEFT OVERRIDE}evil", "\N{HEBREW LETTER ALEF}"
    number = await saved(tolerant, name=name, province=place)
    assert f"<bdi>{name}</bdi>" in (await tolerant.get("/ui/history")).text
    detail = (await tolerant.get(f"/ui/history/{number}")).text
    assert f"<h1><bdi>{name}</bdi>" in detail
    assert f"<bdi>{place}</bdi>" in detail
    rows = f"{','.join(TYPED)},name\n{','.join(TYPED.values())},{name}\n"
    for action in ("show", "save"):
        page = (await sent(tolerant, action, rows)).text
        assert f"<bdi>{name}</bdi>" in page


async def test_a_list_whose_count_takes_too_long_is_shown_without(
    tolerant: httpx.AsyncClient, tolerant_parts: Any
) -> None:
    await saved(tolerant, name="Ada")
    tolerant_parts.repository.counting = StoreUnavailable("it takes too long")

    text = (await tolerant.get("/ui/history")).text

    assert "Ada" in text
    assert "newest first" in text
    assert "1 estimate" not in text


@pytest.mark.parametrize("scopes", [("read",), ("read", "outcomes")])
async def test_outcomes_in_the_history_are_for_those_who_may_see_them(
    tolerant_parts: Any, scopes: tuple[str, ...]
) -> None:
    made = await make_key(tolerant_parts, *scopes)
    repository = tolerant_parts.repository
    [number, _] = await repository.add([prediction(origin=Origin("north"))] * 2)
    repository.outcomes[number] = outcome(number, stroke=True)
    async with connected(tolerant_parts.app) as client:
        client.headers["X-API-Key"] = made.text
        narrowed = (await client.get("/ui/history?outcome=stroke")).text

    sees = "outcomes" in scopes
    assert ("<strong>Stroke</strong>" in narrowed) is sees
    assert ('name="outcome"' in narrowed) is sees
    assert narrowed.count("/ui/history/") == (1 if sees else 2)
    actions = [str(each.event.action) for each in tolerant_parts.audit.kept]
    assert actions == (["outcome.read"] if sees else []) + ["prediction.list"]
    assert tolerant_parts.audit.kept[-1].event.target == "outcome"


@pytest.mark.parametrize(
    "query",
    [
        "outcome=maybe",
        "since=x&until=0000-00-00",
        "since=0001-01-01&until=9999-12-31",
        "cursor=zz",
        "cursor=-1",
        "cursor=-" + "f" * 60,
        "cursor=" + "f" * 90,
        "band=Huge",
    ],
)
async def test_a_filter_that_cannot_be_read_narrows_nothing(
    tolerant: httpx.AsyncClient, query: str
) -> None:
    await saved(tolerant, name="Ada")
    answer = await tolerant.get(f"/ui/history?{query}")
    assert answer.status_code == 200
    assert "Ada" in answer.text
    assert "Ada" in (await tolerant.get(f"/ui/history.csv?{query}")).text


@pytest.mark.parametrize(
    ("method", "path", "kind", "status"),
    [
        ("GET", f"/ui/history?country={'x' * 101}", "", 422),
        ("POST", "/ui/batch", "multipart/form-data; boundary=b", 400),
        ("POST", "/ui/batch", "application/json", 415),
    ],
)
async def test_a_browser_gets_a_page_also_for_a_request_that_is_none(
    tolerant: httpx.AsyncClient, method: str, path: str, kind: str, status: int
) -> None:
    headers = {"Accept": "text/html", "Content-Type": kind}

    answer = await tolerant.request(method, path, headers=headers, content=b"x")
    other = await tolerant.request(method, path, headers={"Content-Type": kind}, content=b"x")

    assert (answer.status_code, other.status_code) == (status, status)
    assert answer.headers["content-type"].startswith("text/html")
    assert "This did not work." in answer.text
    assert other.headers["content-type"] == "application/problem+json"


async def test_nothing_is_logged_of_a_body_that_is_no_form(
    tolerant: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    for body in (b"x", b"--b\r\nAda: \x00\r\n", b"--b\r\nContent-Disposition: \xff\r\n\r\n"):
        await tolerant.post("/ui/batch", content=body, headers=headers)

    assert [each.name for each in caplog.records if "multipart" in each.name] == []


async def test_no_cell_of_a_file_is_a_formula(tolerant: httpx.AsyncClient) -> None:
    await saved(tolerant, name="=1+1", country="@x", province="+7")
    lines = (await tolerant.get("/ui/history.csv")).text.splitlines()
    assert "'=1+1" in lines[1]
    assert "'@x" in lines[1]
    assert not re.search(r'(^|,)"?[=@]', lines[1])


async def test_an_outcome_is_kept_changed_and_taken_back(
    tolerant: httpx.AsyncClient, tolerant_parts: Any
) -> None:
    number = await saved(tolerant)
    path = f"/ui/history/{number}"
    day = tolerant_parts.repository.rows[number].timestamp.date().isoformat()
    sent = {"stroke": "yes", "date": day, "source": "register"}
    kept = await tolerant.post(f"{path}/outcome", data=sent)
    assert kept.status_code == 303
    assert "The outcome is saved." in (await tolerant.get(kept.headers["location"])).text
    assert tolerant_parts.repository.outcomes[number].stroke is True
    await tolerant.post(f"{path}/outcome", data={**sent, "stroke": "no"})
    assert tolerant_parts.repository.outcomes[number].stroke is False
    for _ in range(2):
        await tolerant.post(f"{path}/outcome", data={"stroke": "unknown"})
        assert number not in tolerant_parts.repository.outcomes


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"date": "2999-01-01"}, "lies in the future"),
        ({"date": "1999-01-01"}, "before the day of the estimate"),
        ({"date": "tomorrow"}, "Type a day"),
        ({"stroke": ""}, "Choose one of these."),
        ({"source": " "}, "Say where this is known from"),
        ({"source": "x" * 101}, "Say where this is known from"),
    ],
)
async def test_an_outcome_that_is_not_right_is_said_and_shown_again(
    tolerant: httpx.AsyncClient, tolerant_parts: Any, changes: dict[str, str], reason: str
) -> None:
    number = await saved(tolerant)
    sent = {"stroke": "yes", "date": "2026-01-01", "source": "register", **changes}
    answer = await tolerant.post(f"/ui/history/{number}/outcome", data=sent)
    assert answer.status_code == 422
    assert reason in answer.text
    assert tolerant_parts.repository.outcomes == {}


async def test_an_estimate_is_erased_only_when_its_number_was_typed(
    tolerant: httpx.AsyncClient, tolerant_parts: Any
) -> None:
    number = await saved(tolerant)
    path = f"/ui/history/{number}/erase"
    wrong = await tolerant.post(path, data={"confirmed": "0"})
    assert wrong.status_code == 422
    assert stored(tolerant_parts) == 1
    right = await tolerant.post(path, data={"confirmed": str(number)})
    assert right.status_code == 303
    assert stored(tolerant_parts) == 0
    assert (await tolerant.get(f"/ui/history/{number}")).status_code == 404


@pytest.mark.parametrize(("worker", "jobs"), [("service", 0), ("pipeline", 1)])
async def test_an_erased_estimate_leaves_the_copies_too_where_there_are_any(
    worker: str, jobs: int
) -> None:
    parts = service_parts(erasure={"worker": worker})
    async with connected(parts.app) as anybody:
        client = await with_token(anybody)
        number = await saved(client)
        await client.post(f"/ui/history/{number}/erase", data={"confirmed": str(number)})
        assert stored(parts) == 0
        assert [job.ids for job in parts.erasures.jobs.values()] == [(number,)] * jobs
        again = await client.post(f"/ui/history/{number}/erase", data={"confirmed": str(number)})
        assert again.status_code == 404
        assert len(parts.erasures.jobs) == jobs


@pytest.mark.parametrize("number", ["0", "x", "9" * 30, "-1", "٣"])
async def test_an_estimate_that_is_not_there_is_a_page_that_says_so(
    client: httpx.AsyncClient, number: str
) -> None:
    answer = await client.get(f"/ui/history/{number}")
    assert answer.status_code == 404
    assert "There is no such estimate." in answer.text


HEADER = "gender,age,hypertension,heart_disease,avg_glucose_level,bmi,smoking_status,name"
RIGHT = "Male,67,0,1,228.69,36.6,formerly smoked,=Ada"
WRONG = "Male,670,2,1,228.69,36.6,formerly smoked,Ben"


async def sent(
    client: httpx.AsyncClient, do: str, text: str, script: bool = False
) -> httpx.Response:
    return await client.post(
        "/ui/batch",
        data={"do": do, "form_key": "k"},
        files={"file": ("a.csv", text.encode(), "text/csv")},
        headers=SCRIPT if script else {},
    )


async def test_a_file_is_looked_at_with_its_mistakes_by_line_and_column(
    tolerant: httpx.AsyncClient, tolerant_parts: Any
) -> None:
    answer = await sent(tolerant, "check", f"{HEADER}\n{RIGHT}\n{WRONG}\n")
    assert "<strong>2 rows</strong>, 1 of them with a mistake" in answer.text
    assert '<td class="r">3</td><td>Age</td>' in answer.text
    assert '<td class="r">3</td><td>High blood pressure</td>' in answer.text
    assert "people like" not in answer.text
    assert stored(tolerant_parts) == 0


async def test_a_file_is_estimated_shown_and_given_without_storing_anything(
    tolerant: httpx.AsyncClient, tolerant_parts: Any
) -> None:
    text = f"{HEADER}\n{RIGHT}\n{WRONG}\n"
    assert "=Ada" in (await sent(tolerant, "show", text)).text
    part = (await sent(tolerant, "show", text, script=True)).json()["result"]
    assert "=Ada" in part
    assert "<html" not in part
    file = await sent(tolerant, "csv", text)
    assert file.headers["content-type"].startswith("text/csv")
    lines = file.text.splitlines()
    assert len(lines) == 4
    assert "'=Ada" in lines[1]
    assert lines[2].startswith("3,")
    assert "age must be 0 to 120 years" in lines[2]
    assert stored(tolerant_parts) == 0


async def test_a_file_is_saved_once_and_without_the_rows_that_are_wrong(
    tolerant: httpx.AsyncClient, tolerant_parts: Any
) -> None:
    for _ in range(2):
        answer = await sent(tolerant, "save", f"{HEADER}\n{RIGHT}\n{WRONG}\n{RIGHT}\n")
        assert "2 estimates are saved." in answer.text
        assert stored(tolerant_parts) == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "There is no file yet."),
        ("a,b\n1,2\n", "columns missing from the header"),
        (HEADER + "\n" + (RIGHT + "\n") * 400, "<strong>400 rows</strong>"),
        (f'{HEADER}\n"{RIGHT}\n', "quote"),
        ("\x00\x01\x02PK", "The file cannot be read."),
    ],
)
async def test_any_file_gets_an_answer(tolerant: httpx.AsyncClient, text: str, said: str) -> None:
    answer = await sent(tolerant, "check", text)
    assert answer.status_code == 200
    assert said in answer.text


async def test_a_file_with_more_rows_than_a_batch_may_have_is_refused(parts_with: Any) -> None:
    too_many = f"{HEADER}\n" + (RIGHT + "\n") * (BATCH_SIZE + 1)
    async with connected(parts_with(max_body_bytes=8 * 1024 * 1024).app) as client:
        answer = await sent(await with_token(client), "save", too_many)
    assert "rows.</strong> Split it" in answer.text


async def test_a_file_may_have_columns_that_no_estimate_needs_the_outcome_among_them(
    tolerant: httpx.AsyncClient,
) -> None:
    without = f"{HEADER}\n{RIGHT}\n"
    with_outcome = f"id,{HEADER},work_type,stroke\n9,{RIGHT},Private,1\n"

    one, other = [await sent(tolerant, "csv", text) for text in (without, with_outcome)]

    assert one.headers["content-type"].startswith("text/csv")
    assert one.text == other.text
    assert "stroke" not in one.text.splitlines()[0]


async def test_a_file_with_as_many_rows_as_a_batch_may_have_is_looked_at(parts_with: Any) -> None:
    # The last one is wrong, so that all are read; the body is within the default limit.
    full = f"{HEADER}\n" + (RIGHT + "\n") * (BATCH_SIZE - 1) + WRONG
    async with connected(parts_with(max_body_bytes=8 * 1024 * 1024).app) as client:
        answer = await sent(await with_token(client), "check", full)
    assert f"<strong>{BATCH_SIZE:,} rows</strong>, 1 of them with a mistake" in answer.text


async def test_a_file_that_is_longer_than_a_body_may_be_is_refused_on_a_page(
    parts_with: Any,
) -> None:
    async with connected(parts_with(max_body_bytes=2048).app) as client:
        client.headers["Accept"] = "text/html"
        text = f"{HEADER}\n" + (RIGHT + "\n") * 100
        answer = await sent(await with_token(client), "save", text)
    assert answer.status_code == 413
    assert "<h1>" in answer.text


async def test_all_mistakes_of_a_file_are_in_the_download_and_the_first_100_on_the_page(
    tolerant: httpx.AsyncClient,
) -> None:
    text = f"{HEADER}\n{RIGHT}\n" + "Male,670,0,1,228.69,36.6,smokes,Ben\n" * 101
    page = (await sent(tolerant, "check", text)).text
    file = (await sent(tolerant, "csv", text)).text
    assert page.count("<td>Age</td>") == 100
    assert "The first 100; the CSV has all of them." in page
    assert file.count("age must be 0 to 120 years") == 101


async def test_insights_show_counts_and_no_patient_and_say_what_is_missing(
    tolerant: httpx.AsyncClient,
) -> None:
    assert "No estimates in this time" in (await tolerant.get("/ui/insights")).text
    await saved(tolerant, name="CANARYNAME", province="Bern")
    page = (await tolerant.get("/ui/insights?span=all")).text
    assert "too few to show (fewer than 10)" in page
    assert "Too few outcomes are known" in page
    assert "CANARYNAME" not in page


async def test_insights_show_what_became_of_cards_and_of_few_only_how_many(
    client: httpx.AsyncClient, parts: Any
) -> None:
    async def opened(count: int, first: int) -> list[str]:
        shown = []
        for number in range(first, first + count):
            chart = json.loads(json.dumps(request()).replace("p1", f"CANARY{number}"))
            answer = await client.post("/cds-services/stroke-risk", json=chart)
            shown.append(answer.json()["cards"][0]["uuid"])
        return shown

    cards = await opened(9, 0)
    page = (await client.get("/ui/insights")).text
    assert "Cards in record systems" in page
    assert "Accepted, overridden, ignored" in page
    few = page[page.index('id="cards"') :]
    assert "too few to show (fewer than 10)" in few[: few.index("</section>")]

    cards += await opened(1, 9)
    judged = [{"card": card, "outcomeTimestamp": "2026-11-29T12:00:00Z"} for card in cards]
    accepted = [each | {"outcome": "accepted", "acceptedSuggestions": []} for each in judged[:3]]
    why = {"overrideReason": {"reason": {"code": "known"}}}
    overridden = [each | {"outcome": "overridden"} | why for each in judged[3:8]]
    await client.post(
        "/cds-services/stroke-risk/feedback", json={"feedback": [*accepted, *overridden]}
    )
    page = (await client.get("/ui/insights")).text
    many = page[page.index('id="cards"') :]
    many = many[: many.index("</section>")]
    assert re.findall(r'<td class="r" data-label="[^"]+">(\d+)</td>', many) == [
        "10",
        "30",
        "50",
        "20",
    ]
    assert "Risk known and treated: 5" in many
    assert "CANARY" not in page


async def test_insights_show_calibration_as_soon_as_enough_outcomes_are_known(
    tolerant: httpx.AsyncClient, tolerant_parts: Any
) -> None:
    version = tolerant_parts.model.description.version
    made = [prediction(0.01 + place / 250, model_version=version) for place in range(120)]
    ids = await tolerant_parts.repository.add(made)
    tolerant_parts.repository.outcomes |= {
        each: outcome(each, stroke=each % 5 == 0, date=NOON.date()) for each in ids
    }
    page = (await tolerant.get("/ui/insights?span=all")).text
    assert "Happened, in 100" in page
    assert "Net benefit" in page
    assert "Too few outcomes" not in page


async def test_insights_judge_one_version_of_the_model_at_a_time(
    tolerant: httpx.AsyncClient, tolerant_parts: Any
) -> None:
    served = tolerant_parts.model.description.version
    made = [
        prediction(0.01 + place / 250, model_version=version)
        for version in (served, "older-1")
        for place in range(120 if version == served else 150)
    ]
    ids = await tolerant_parts.repository.add(made)
    tolerant_parts.repository.outcomes |= {
        each: outcome(each, stroke=each % 5 == 0, date=NOON.date()) for each in ids
    }

    page = (await tolerant.get("/ui/insights?span=all")).text
    assert '<p class="value">120</p>' in page
    assert f'value="{served}" selected' in page
    older = (await tolerant.get("/ui/insights?span=all&version=older-1")).text
    assert '<p class="value">150</p>' in older
    unknown = (await tolerant.get("/ui/insights?span=all&version=%22%3E%3Cb%3E")).text
    assert "Too few outcomes are known" in unknown
    assert "<b>" not in unknown


@pytest.mark.parametrize(
    ("scopes", "own"), [(("read",), "north"), (("read", "all-sites"), None), (("admin",), "north")]
)
async def test_whoever_may_see_all_sites_may_choose_one(
    tolerant_parts: Any, scopes: tuple[str, ...], own: str | None
) -> None:
    made = await make_key(tolerant_parts, *scopes)
    rows = {"north": 11, "south": 12}
    await tolerant_parts.repository.add(
        [prediction(origin=Origin(site)) for site, count in rows.items() for _ in range(count)]
    )
    async with connected(tolerant_parts.app) as client:
        client.headers["X-API-Key"] = made.text
        everything = (await client.get("/ui/insights?span=all")).text
        south = (await client.get("/ui/insights?span=all&site=south")).text

    assert ('id="by-site"' in everything) is (own is None)
    assert f'<p class="value">{rows[own] if own else 23}</p>' in everything
    assert f'<p class="value">{rows[own] if own else 12}</p>' in south
    assert ('value="south" selected' in south) is (own is None)
    assert ("south" in everything) is (own is None)


async def test_the_models_card_has_its_version_and_bands(
    client: httpx.AsyncClient, parts: Any
) -> None:
    page = (await client.get("/ui/model")).text
    described = parts.model.description
    assert described.version in page
    assert described.sha256 in page


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_with_all_that_it_loads_weighs_less_than_150_kb_compressed(
    client: httpx.AsyncClient, path: str
) -> None:
    page = await client.get(path)
    assert page.status_code == 200
    loaded = set(re.findall(r'(?:src|href)="(/ui/[^"]+\.(?:css|js|svg)[^"]*)"', page.text))
    assert any(".css" in each for each in loaded)
    weight = len(gzip.compress(page.content))
    for address in loaded:
        async with client.stream("GET", address, headers={"Accept-Encoding": "gzip"}) as answer:
            assert answer.headers["content-encoding"] == "gzip"
            weight += len(b"".join([part async for part in answer.aiter_raw()]))
    assert weight < 150_000
