"""Signing in with a key, what a session opens, and what ends it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.pages import Browser, browsers, cookies_of, make_key
from builders.predictions import patient_json
from builders.service import KEYS_FOR, Parts, service_parts
from stroke.application.access.keys import KeyService
from stroke.application.access.sessions import new_session_id
from stroke.container.clock import utc_now
from stroke.domain.audit import AuditAction
from stroke.domain.errors import StoreUnavailable
from stroke.entrypoints.api.pages.shell import PageRoute, ours

pytestmark = pytest.mark.anyio

UNKNOWN: Final = f"stroke_{'0' * 16}_{'A' * 43}"
COOKIE: Final = "stroke_session"


@pytest.fixture
async def browser(parts: Parts) -> AsyncIterator[Browser]:
    """A browser of a service that has a key."""
    await make_key(parts)
    async with browsers(parts) as [one, _]:
        yield one


async def signed_in(parts: Parts, browser: Browser, *scopes: str) -> str:
    """Sign in with a new key of these scopes; return the key."""
    key = (await make_key(parts, *scopes)).text
    answer = await browser.sign_in(key)
    assert (answer.status_code, answer.headers["location"]) == (303, "/ui")
    return key


async def test_a_key_signs_in_and_the_api_answers_the_page_s_script(
    parts: Parts, browser: Browser
) -> None:
    await signed_in(parts, browser, "predict", "read")

    stored = await browser.client.post(
        "/api/v1/predict", json=patient_json(), headers={"X-CSRF-Token": await browser.token()}
    )
    listed = await browser.ask("/api/v1/predictions")

    assert stored.status_code == 200
    assert [each["id"] for each in listed.json()["items"]] == [stored.json()["prediction_id"]]
    assert (await browser.ask("/api/v1/audit")).status_code == 403


async def test_the_rows_of_a_session_are_those_of_its_key(parts: Parts, browser: Browser) -> None:
    key = await signed_in(parts, browser, "predict", "read")
    token = {"X-CSRF-Token": await browser.token()}

    await browser.client.post("/api/v1/predict", json=patient_json(), headers=token)
    await browser.client.post("/api/v1/predict", json=patient_json(), headers={"X-API-Key": key})

    one, two = parts.repository.rows.values()
    assert (one.site, one.created_by) == (two.site, two.created_by)
    assert one.site == "north"


async def test_a_cookie_alone_opens_nothing_of_the_api(parts: Parts, browser: Browser) -> None:
    await signed_in(parts, browser)

    assert (await browser.client.get("/api/v1/predictions")).status_code == 401
    for method in ("POST", "PUT", "DELETE"):
        answer = await browser.client.request(method, "/api/v1/predictions/1/outcome", json={})
        assert answer.status_code in (401, 405)
    assert (await browser.client.post("/predict", json=patient_json())).status_code == 401


async def test_the_token_alone_opens_nothing_either(parts: Parts, browser: Browser) -> None:
    await signed_in(parts, browser)
    token = await browser.token()
    browser.client.cookies.clear()

    answer = await browser.client.get("/api/v1/predictions", headers={"X-CSRF-Token": token})

    assert answer.status_code == 401


@pytest.mark.parametrize("token", ["", "x", "0" * 64, "Ünï", "{other}"])
async def test_the_token_of_another_session_is_none(
    parts: Parts, browser: Browser, token: str
) -> None:
    await signed_in(parts, browser)
    async with browsers(parts) as [other, _]:
        await signed_in(parts, other)
        sent = token.format(other=await other.token()).encode("latin-1")

    answer = await browser.client.get("/api/v1/predictions", headers={b"X-CSRF-Token": sent})

    assert answer.status_code == 403
    assert answer.json()["type"] == "urn:stroke:problem:csrf-token-wrong"


async def test_a_key_in_a_header_counts_and_the_session_beside_it_does_not(
    parts: Parts, browser: Browser
) -> None:
    await signed_in(parts, browser, "admin")
    weak = (await make_key(parts, "models")).text

    answer = await browser.ask("/api/v1/predictions", **{"X-API-Key": weak})

    assert answer.status_code == 403
    assert (await browser.ask("/model_info", **{"X-API-Key": weak})).status_code == 200


async def test_what_another_site_has_the_browser_send_is_refused(
    parts: Parts, browser: Browser
) -> None:
    await signed_in(parts, browser)
    sent = {"X-CSRF-Token": await browser.token()}

    for site, status in (("cross-site", 403), ("same-site", 403), ("same-origin", 200)):
        headers = {**sent, "Sec-Fetch-Site": site}
        assert (await browser.client.get("/model_info", headers=headers)).status_code == status


@pytest.mark.parametrize("path", ["/ui/sign-in", "/ui/sign-out"])
@pytest.mark.parametrize("fields", [{}, {"csrf_token": ""}, {"csrf_token": "0" * 64}], ids=str)
async def test_a_form_without_the_token_of_its_page_does_nothing(
    parts: Parts, browser: Browser, path: str, fields: dict[str, str]
) -> None:
    await signed_in(parts, browser)
    kept = dict(parts.sessions.kept)

    answer = await browser.client.post(path, data={"key": (await make_key(parts)).text, **fields})

    assert answer.status_code == 403
    assert "text/html" in answer.headers["content-type"]
    assert parts.sessions.kept == kept
    assert await browser.is_signed_in()


async def test_a_browser_without_a_cookie_cannot_be_signed_in_by_another_s_form(
    parts: Parts,
) -> None:
    key = (await make_key(parts)).text
    async with browsers(parts) as [attacker, victim]:
        fields = {"key": key, "csrf_token": await attacker.token()}
        answer = await victim.client.post("/ui/sign-in", data=fields)

    assert answer.status_code == 403
    assert not parts.sessions.kept


async def test_signing_in_gives_a_new_id_and_the_one_before_opens_nothing(
    parts: Parts, browser: Browser
) -> None:
    planted = new_session_id()
    browser.client.cookies.set(COOKIE, planted, domain="stroke.local")
    await signed_in(parts, browser)
    first = browser.client.cookies[COOKIE]
    assert first != planted

    await browser.sign_in((await make_key(parts)).text)
    assert browser.client.cookies[COOKIE] != first

    for former in (planted, first):
        browser.client.cookies.clear()
        browser.client.cookies.set(COOKIE, former)
        assert not await browser.is_signed_in()


async def test_two_cookies_of_the_name_are_none(parts: Parts, browser: Browser) -> None:
    await signed_in(parts, browser)
    mine = browser.client.cookies[COOKIE]
    browser.client.cookies.clear()

    for cookies, known in (
        (f"{COOKIE}={mine}", True),
        (f"{COOKIE}={mine}; {COOKIE}={new_session_id()}", False),
        (f"{COOKIE}=; {COOKIE}={mine}", False),
    ):
        answer = await browser.client.get("/ui/session", headers={"Cookie": cookies})
        assert answer.json()["signed_in"] is known


@pytest.mark.parametrize("key", ["", "nonsense", UNKNOWN, "a.b.c", "stroke_{id}_" + "A" * 43])
async def test_a_wrong_key_shows_the_form_again_and_says_nothing_of_it(
    parts: Parts, browser: Browser, key: str
) -> None:
    sent = key.format(id=(await make_key(parts)).key.id)

    answer = await browser.sign_in(sent, next="/ui/history")

    assert answer.status_code == 401
    assert 'role="alert"' in answer.text
    assert 'value="/ui/history"' in answer.text
    assert not sent or sent not in answer.text
    assert not parts.sessions.kept


async def test_attempts_are_written_down_without_the_key(parts: Parts, browser: Browser) -> None:
    key = await signed_in(parts, browser)
    await browser.sign_in(UNKNOWN)
    await browser.send("/ui/sign-out")

    written = [
        (each.event.action, each.event.actor.partition(":")[0], each.event.target)
        for each in parts.audit.kept
    ]
    assert written == [
        (AuditAction.SESSION_BEGIN, "key", None),
        (AuditAction.ACCESS_REFUSED, "address", "POST /ui/sign-in"),
        (AuditAction.SESSION_END, "key", None),
    ]
    for secret in (key, key[-43:], UNKNOWN):
        assert secret not in repr(parts.audit.kept)


async def test_a_sign_in_that_cannot_be_written_down_does_not_happen(
    parts: Parts, browser: Browser
) -> None:
    key = (await make_key(parts)).text
    parts.audit.failing = StoreUnavailable("away")

    answer = await browser.sign_in(key)

    assert answer.status_code == 503
    assert not await browser.is_signed_in()


async def test_one_client_may_try_so_often_and_no_more() -> None:
    parts = service_parts(session={"sign_in_rate": "3/minute"})
    key = (await make_key(parts)).text
    async with browsers(parts) as [browser, _]:
        token = await browser.token()
        tried = [
            await browser.client.post("/ui/sign-in", data={"csrf_token": token, "key": UNKNOWN})
            for _ in range(4)
        ]
        assert [each.status_code for each in tried] == [401, 401, 401, 429]
        assert "retry-after" in tried[-1].headers
        assert (await browser.sign_in(key)).status_code == 429


async def test_signing_out_ends_the_session_on_the_server(parts: Parts, browser: Browser) -> None:
    await signed_in(parts, browser)
    taken = browser.client.cookies[COOKIE]

    answer = await browser.send("/ui/sign-out")

    assert (answer.status_code, answer.headers["location"]) == (303, "/ui/sign-in")
    assert COOKIE not in browser.client.cookies
    browser.client.cookies.set(COOKIE, taken)
    assert not await browser.is_signed_in()
    assert not parts.sessions.kept


async def test_a_revoked_key_ends_its_sessions_within_the_time_of_the_setting(
    parts: Parts, browser: Browser
) -> None:
    made = await make_key(parts, "models")
    await browser.sign_in(made.text)
    assert (await browser.ask("/model_info")).status_code == 200

    await KeyService(parts.keys, now=utc_now).revoke(made.key.id)
    await asyncio.sleep(KEYS_FOR)

    assert (await browser.ask("/model_info")).status_code == 401


async def test_a_script_learns_of_the_end_and_signs_in_without_leaving_the_page() -> None:
    parts = service_parts(session={"idle_seconds": 600})
    key = (await make_key(parts, "models")).text
    async with browsers(parts) as [browser, _]:
        await browser.sign_in(key)
        token = await browser.token()
        for name, begun in parts.sessions.kept.items():  # ten minutes pass without a use
            used_at = begun.used_at - timedelta(seconds=600)
            parts.sessions.kept[name] = replace(begun, used_at=used_at)

        ended = await browser.client.get(
            "/model_info", headers={"X-CSRF-Token": token, "Accept": "*/*"}
        )
        assert ended.status_code == 401
        assert ended.json()["type"] == "urn:stroke:problem:not-authenticated"

        again = await browser.client.post(
            "/ui/sign-in",
            data={"key": key},
            headers={"X-CSRF-Token": token, "X-Part": "yes"},
        )
        assert again.status_code == 200
        new = {"X-CSRF-Token": again.json()["csrf_token"], "Accept": "*/*"}
        assert (await browser.client.get("/model_info", headers=new)).status_code == 200


async def test_a_script_whose_key_is_wrong_gets_that_answer(parts: Parts, browser: Browser) -> None:
    headers = {"X-CSRF-Token": await browser.token(), "X-Part": "yes"}

    answer = await browser.client.post("/ui/sign-in", data={"key": UNKNOWN}, headers=headers)

    assert answer.status_code == 401
    assert answer.json() == {"said": "You are not signed in.", "name": "not-authenticated"}


async def test_a_tab_whose_token_is_of_a_former_session_gets_the_new_one(
    parts: Parts, browser: Browser
) -> None:
    key = await signed_in(parts, browser)
    old = {"X-CSRF-Token": await browser.token()}
    await browser.sign_in(key)
    assert (await browser.client.get("/model_info", headers=old)).status_code == 403

    new = (await browser.client.get("/ui/session")).json()

    assert new["signed_in"] is True
    token = {"X-CSRF-Token": new["csrf_token"]}
    assert (await browser.client.get("/model_info", headers=token)).status_code == 200


async def test_the_cookie_is_out_of_reach_for_scripts_and_other_sites(browser: Browser) -> None:
    [cookie] = cookies_of(await browser.open("/ui/sign-in"))

    name, *attributes = [each.strip() for each in cookie.split(";")]
    assert name.startswith(f"{COOKIE}=")
    assert {"HttpOnly", "Path=/", "SameSite=lax"} <= set(attributes)
    assert not any(each.startswith(("Domain", "Max-Age", "Expires")) for each in attributes)


@pytest.mark.parametrize(
    ("scheme", "root", "name", "attributes"),
    [
        ("https", "", f"__Host-{COOKIE}", {"Secure", "Path=/"}),
        ("https", "/stroke", f"__Secure-{COOKIE}", {"Secure", "Path=/stroke"}),
        ("http", "/stroke", COOKIE, {"Path=/stroke"}),
    ],
)
async def test_behind_a_trusted_proxy_the_cookie_is_bound_to_https_and_to_the_prefix(
    scheme: str, root: str, name: str, attributes: set[str]
) -> None:
    parts = service_parts(root_path=root, trusted_proxies=("127.0.0.1",))
    key = (await make_key(parts)).text
    async with browsers(parts) as [browser, _]:
        browser.client.headers["X-Forwarded-Proto"] = scheme
        browser.client.base_url = httpx.URL(f"{scheme}://stroke{root}/")
        answer = await browser.sign_in(key)

        [cookie] = cookies_of(answer)
        assert cookie.startswith(f"{name}=")
        assert attributes <= {each.strip() for each in cookie.split(";")}
        assert ("Secure" in cookie) is (scheme == "https")
        assert answer.headers["location"] == f"{root}/ui"
        assert await browser.is_signed_in()


async def test_what_an_unknown_proxy_says_of_the_scheme_changes_nothing(browser: Browser) -> None:
    answer = await browser.client.get("/ui/sign-in", headers={"X-Forwarded-Proto": "https"})

    [cookie] = cookies_of(answer)
    assert cookie.startswith(f"{COOKIE}=")


async def test_a_page_may_load_and_run_what_is_ours_only(browser: Browser) -> None:
    answer = await browser.open("/ui/sign-in")

    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=", answer.text)
    assert answer.headers["cache-control"] == "no-store"


async def test_an_open_service_asks_nobody_to_sign_in(parts: Parts) -> None:
    async with browsers(parts) as [browser, _]:
        answer = await browser.open("/ui/sign-in?next=/ui/history")
        assert (answer.status_code, answer.headers["location"]) == (303, "/ui/history")
        assert await browser.is_signed_in()
        assert (await browser.ask("/api/v1/predictions")).status_code == 200
        assert (await browser.sign_in("whatever")).status_code == 303
        assert not parts.sessions.kept


async def test_also_an_open_service_does_nothing_that_another_site_asks_of_a_browser(
    parts: Parts,
) -> None:
    async with browsers(parts) as [browser, _]:
        await browser.token()
        answer = await browser.client.post("/ui/sign-out", data={"csrf_token": "0" * 64})
        assert answer.status_code == 403


@pytest.mark.parametrize(
    "body",
    [b"\xff=\xfe", b"a=b&" * 300, b"key=" + b"x" * 70_000, b"csrf_token=%00&key=%ff"],
    ids=["no UTF-8", "many fields", "too long", "odd bytes"],
)
async def test_a_form_that_cannot_be_read_is_refused_without_what_it_says(
    browser: Browser, body: bytes
) -> None:
    answer = await browser.client.post(
        "/ui/sign-in",
        content=body,
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )

    assert answer.status_code in (400, 403, 413)


@pytest.mark.parametrize(
    "path",
    [
        "/ui",
        "/ui/",
        "/ui/history",
        "/ui/history/12",
        "/ui/history?limit=10&risk=High&cursor=0a",
        "/ui/a%20b?name=%C3%9Cn",
    ],
)
def test_a_page_of_ours_is_led_back_to(path: str) -> None:
    assert ours(path) == path


@pytest.mark.parametrize(
    "path",
    [
        None,
        "",
        "/",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "https://evil.example/ui",
        "javascript:alert(1)",
        "/uix",
        "ui",
        " /ui",
        "/ui\n",
        "/ui/\t/evil.example",
        "/ui/../../\\evil",
        "/ui//evil.example",
        "/ui@evil.example",
        "/ui/#x",
        "/api/v1/predictions",
        "/ui?" + "a" * 3000,
    ],
)
def test_anything_else_leads_to_the_first_page(path: str | None) -> None:
    assert ours(path) == "/ui"


@given(st.text())
def test_no_text_leads_away_from_here(text: str) -> None:
    for path in (text, "/ui" + text, "/" + text):
        led = httpx.URL("https://stroke.example/ui/sign-in").join(ours(path))
        assert (led.scheme, led.host) == ("https", "stroke.example")
        assert led.path == "/ui" or led.path.startswith(("/ui/", "/"))


async def test_a_browser_that_has_not_signed_in_is_led_to_sign_in_and_back(
    parts: Parts, browser: Browser
) -> None:
    led = await browser.open("/ui?language=en")
    assert led.status_code == 303
    assert led.headers["location"] == "/ui/sign-in?next=/ui%3Flanguage%3Den"

    form = await browser.open(led.headers["location"])
    assert 'name="next" value="/ui?language=en"' in form.text
    answer = await browser.sign_in((await make_key(parts)).text, next="/ui?language=en")

    assert answer.headers["location"] == "/ui?language=en"
    assert (await browser.open("/ui?language=en")).status_code == 200


async def test_the_page_s_script_hears_of_the_end_and_a_sent_form_is_not_led_away(
    browser: Browser,
) -> None:
    token = await browser.token()
    script = {"X-CSRF-Token": token, "X-Part": "yes"}

    by_script = await browser.client.post("/ui/estimate", data={"age": "67"}, headers=script)
    by_form = await browser.client.post("/ui/estimate", data={"csrf_token": token})

    assert (by_script.status_code, by_script.json()["name"]) == (401, "not-authenticated")
    assert by_form.status_code == 401
    assert "text/html" in by_form.headers["content-type"]


@pytest.mark.parametrize(
    ("scope", "leads_to"), [("read", {"/ui/history"}), ("models", {"/ui/model"}), ("erase", set())]
)
async def test_whoever_has_no_calculator_is_led_to_a_page_that_is_allowed(
    parts: Parts, browser: Browser, scope: str, leads_to: set[str]
) -> None:
    await signed_in(parts, browser, scope)

    answer = await browser.open("/ui")

    assert answer.status_code == 403
    assert set(re.findall(r'class="button" href="([^"]*)"', answer.text)) == leads_to


async def test_a_page_says_which_scope_a_caller_lacks(parts: Parts, browser: Browser) -> None:
    await signed_in(parts, browser, "models")

    answer = await browser.open("/ui")

    assert answer.status_code == 403
    assert "text/html" in answer.headers["content-type"]
    assert "/ui/sign-out" in answer.text


async def test_a_form_with_a_file_shows_its_token_in_a_field(
    parts: Parts, browser: Browser
) -> None:
    await signed_in(parts, browser)
    fields = {"csrf_token": await browser.token(), "do": "check"}

    answer = await browser.client.post(
        "/ui/batch", data=fields, files={"file": ("a.csv", b"age\n67\n")}
    )

    assert answer.status_code == 200


async def test_no_form_of_a_page_is_taken_without_the_token_of_its_session(
    parts: Parts, browser: Browser
) -> None:
    await signed_in(parts, browser)
    forms = [
        route.path
        for route in parts.app.routes
        if isinstance(route, PageRoute) and "POST" in (route.methods or ())
    ]
    assert {"/ui/save", "/ui/sign-in", "/ui/sign-out"} <= set(forms)

    for path in forms:
        address = path.replace("{prediction_id}", "1")
        sent: dict[str, Any]
        for sent in (
            {"data": {"csrf_token": "0" * 64}},
            {"files": {"csrf_token": (None, "0" * 64)}},
            {"files": {"file": ("a.csv", b"age\n67\n")}},
            {"content": b"{}", "headers": {"Content-Type": "text/plain"}},
            {"json": {"csrf_token": "0" * 64}},
            {},
        ):
            answer = await browser.client.post(address, **sent)
            assert answer.status_code == 403, (path, sent)
    assert not parts.repository.rows
    assert await browser.is_signed_in()
