"""Browsers that sign in at an OpenID provider on loopback, and sign out of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from pydantic import SecretStr

from builders.pages import Browser, browsers, cookies_of, make_key
from builders.service import Parts, service_parts
from components.openid_provider import AUTHORIZE, CLIENT, SECRET, TOKEN, OpenIdProvider
from stroke.domain.audit import AuditAction

pytestmark = pytest.mark.anyio
WAY = "stroke_sign_in"


@pytest.fixture(scope="module")
def shared() -> Iterator[OpenIdProvider]:
    with OpenIdProvider() as provider:
        yield provider


@pytest.fixture
def provider(shared: OpenIdProvider) -> OpenIdProvider:
    shared.answers, shared.described = {}, {}
    return shared


def parts_of(provider: OpenIdProvider, **changes: Any) -> Parts:
    oidc = {
        "issuer": provider.issuer,
        "audience": "stroke",
        "client_id": CLIENT,
        "client_secret": SecretStr(SECRET),
    }
    return service_parts(oidc=oidc, **changes)


@pytest.fixture
def parts(provider: OpenIdProvider) -> Parts:
    return parts_of(provider)


@pytest.fixture
async def browser(parts: Parts) -> AsyncIterator[Browser]:
    async with browsers(parts) as [one, _]:
        yield one


async def leave(browser: Browser, query: str = "") -> str:
    """Go to the provider; return the address there."""
    answer = await browser.open(f"/ui/sign-in/oidc{query}")
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


async def come_back(browser: Browser, answer: dict[str, str]) -> httpx.Response:
    headers = {"Sec-Fetch-Site": "cross-site"}  # as browsers say that come from the provider
    return await browser.client.get("/ui/sign-in/callback", params=answer, headers=headers)


async def signed_in(browser: Browser, provider: OpenIdProvider, **user: Any) -> httpx.Response:
    answer = await come_back(browser, provider.log_in(await leave(browser), **user))
    assert answer.status_code == 303, answer.text
    return answer


async def test_who_signs_in_at_the_provider_opens_the_page_that_was_wanted(
    parts: Parts, browser: Browser, provider: OpenIdProvider
) -> None:
    led = await browser.open("/ui/history?order=oldest")
    form = await browser.open(led.headers["location"])
    assert "/ui/sign-in/oidc?next=/ui/history%3Forder%3Doldest" in form.text
    address = await leave(browser, "?next=/ui/history%3Forder%3Doldest")
    assert address.startswith(provider.issuer + AUTHORIZE)

    back = await come_back(browser, provider.log_in(address, sub="nora"))

    assert (back.status_code, back.headers["location"]) == (303, "/ui/history?order=oldest")
    assert (await browser.open("/ui/history")).status_code == 200
    assert (await browser.ask("/api/v1/predictions")).status_code == 200
    assert (await browser.ask("/api/v1/audit")).status_code == 403
    [entry] = [e for e in parts.audit.kept if e.event.action is AuditAction.SESSION_BEGIN]
    assert (entry.event.actor, entry.event.site) == ("token:nora", "north")


@pytest.mark.parametrize(
    "wanted",
    [
        "https://evil.example",
        "//evil.example/ui",
        "/ui/../x",
        "/ui/%2E%2e/x",
        "/predictions",
        "/ui\\x",
    ],
)
async def test_nobody_is_led_to_another_place(
    browser: Browser, provider: OpenIdProvider, wanted: str
) -> None:
    address = (await browser.client.get("/ui/sign-in/oidc", params={"next": wanted})).headers[
        "location"
    ]
    back = await come_back(browser, provider.log_in(address))
    assert back.headers["location"] == "/ui"


async def test_the_session_has_a_new_id_and_the_way_is_forgotten(
    browser: Browser, provider: OpenIdProvider
) -> None:
    await browser.open("/ui/sign-in")
    before = browser.client.cookies["stroke_session"]
    back = await signed_in(browser, provider)
    assert browser.client.cookies["stroke_session"] != before
    assert WAY not in browser.client.cookies
    [of_session] = [each for each in cookies_of(back) if each.startswith("stroke_session=")]
    assert "HttpOnly" in of_session
    assert "SameSite=lax" in of_session


async def test_the_way_is_kept_for_minutes_where_no_script_sees_it(browser: Browser) -> None:
    [kept] = [
        each
        for each in cookies_of(await browser.open("/ui/sign-in/oidc"))
        if each.startswith(f"{WAY}=")
    ]
    assert "Max-Age=600" in kept
    assert "HttpOnly" in kept
    assert "SameSite=lax" in kept


async def test_an_answer_for_another_browser_signs_nobody_in(
    parts: Parts, provider: OpenIdProvider
) -> None:
    async with browsers(parts) as [attacker, victim]:
        answer = provider.log_in(await leave(attacker))
        await leave(victim)
        back = await come_back(victim, answer)
        assert back.status_code == 401
        assert not await victim.is_signed_in()
        # Nor in a browser that has not been there at all.
        victim.client.cookies.clear()
        assert (await come_back(victim, answer)).status_code == 401
    assert [entry.event.action for entry in parts.audit.kept] == [AuditAction.ACCESS_REFUSED] * 2
    assert not parts.sessions.kept


async def test_an_answer_holds_once_though_the_browser_keeps_its_cookie(
    browser: Browser, provider: OpenIdProvider
) -> None:
    answer = provider.log_in(await leave(browser))
    kept = browser.client.cookies[WAY]
    assert (await come_back(browser, answer)).status_code == 303
    assert (await come_back(browser, answer)).status_code == 401
    asked = provider.asked.count(TOKEN)
    back = await browser.client.get(
        "/ui/sign-in/callback", params=answer, headers={"Cookie": f"{WAY}={kept}"}
    )
    assert back.status_code == 401
    assert provider.asked.count(TOKEN) == asked + 1  # the provider itself knows its codes


@pytest.mark.parametrize(
    "changes",
    [
        {"state": "CANARY"},
        {"code": "CANARY"},
        {"code": ""},
        {"error": "access_denied", "error_description": "<b>CANARY</b>"},
        {"iss": "https://CANARY.example"},
    ],
    ids=str,
)
async def test_what_went_wrong_is_a_page_that_repeats_nothing(
    parts: Parts, browser: Browser, provider: OpenIdProvider, changes: dict[str, str]
) -> None:
    answer = {**provider.log_in(await leave(browser)), **changes}
    back = await come_back(browser, answer)
    assert back.status_code == 401
    assert "Signing in did not work. Try again." in back.text
    assert "CANARY" not in back.text
    assert answer["state"] not in back.text
    assert "CANARY" not in str(parts.audit.kept)
    assert not await browser.is_signed_in()
    german = await browser.client.get("/ui/sign-in/callback?language=de")
    assert "Die Anmeldung hat nicht geklappt." in german.text


async def test_while_the_provider_is_away_keys_still_sign_in(
    parts: Parts, browser: Browser, provider: OpenIdProvider
) -> None:
    provider.go_away()
    answer = await browser.open("/ui/sign-in/oidc")
    assert (answer.status_code, "does not answer" in answer.text) == (503, True)
    assert provider.issuer not in answer.text
    key = (await make_key(parts)).text
    assert (await browser.sign_in(key)).status_code == 303


async def test_a_user_without_a_role_or_a_site_sees_nothing(
    browser: Browser, provider: OpenIdProvider
) -> None:
    for user in ({"roles": ["cook"]}, {"site": None}, {"site": ["north", "south"]}):
        await signed_in(browser, provider, **user)
        assert (await browser.open("/ui/history")).status_code == 403


async def test_signing_out_ends_the_session_here_and_at_the_provider(
    parts: Parts, browser: Browser, provider: OpenIdProvider
) -> None:
    await signed_in(browser, provider)
    session = browser.client.cookies["stroke_session"]

    answer = await browser.send("/ui/sign-out")

    address = answer.headers["refresh"].removeprefix("0; url=")
    said = {name: each[0] for name, each in parse_qs(urlsplit(address).query).items()}
    assert address.startswith(f"{provider.issuer}/logout?")
    assert said["client_id"] == CLIENT
    assert said["post_logout_redirect_uri"] == "http://stroke/ui/sign-in"
    assert said["id_token_hint"].count(".") == 2
    assert address.replace("&", "&amp;") in answer.text
    browser.client.cookies.set("stroke_session", session)
    assert not await browser.is_signed_in()
    assert not parts.sessions.kept
    assert AuditAction.SESSION_END in [entry.event.action for entry in parts.audit.kept]


async def test_a_session_of_a_key_signs_out_here_alone(
    parts: Parts, browser: Browser, provider: OpenIdProvider
) -> None:
    await browser.sign_in((await make_key(parts)).text)
    answer = await browser.send("/ui/sign-out")
    assert (answer.status_code, answer.headers["location"]) == (303, "/ui/sign-in")


async def test_where_the_provider_has_no_way_out_the_session_ends_here(
    provider: OpenIdProvider,
) -> None:
    provider.described = {"end_session_endpoint": None}
    async with browsers(parts_of(provider)) as [browser, _]:
        await signed_in(browser, provider)
        answer = await browser.send("/ui/sign-out")
        assert (answer.status_code, answer.headers["location"]) == (303, "/ui/sign-in")
        assert not await browser.is_signed_in()


@pytest.mark.parametrize("trusted", [True, False])
async def test_the_way_back_is_the_address_that_a_trusted_proxy_says(
    provider: OpenIdProvider, trusted: bool
) -> None:
    forwarded = {
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "stroke.hospital.example",
        "X-Forwarded-Prefix": "/risk",
    }
    proxies = ("127.0.0.1",) if trusted else ("192.0.2.1",)
    async with browsers(parts_of(provider, trusted_proxies=proxies)) as [browser, _]:
        browser.client.headers.update(forwarded)
        answer = await browser.open("/ui/sign-in/oidc")
        [asked] = parse_qs(urlsplit(answer.headers["location"]).query)["redirect_uri"]
        [cookie] = [each for each in cookies_of(answer) if WAY in each]
    if trusted:
        assert asked == "https://stroke.hospital.example/risk/ui/sign-in/callback"
        assert cookie.startswith(f"__Secure-{WAY}=")
        assert "Path=/risk" in cookie
    else:
        assert asked == "http://stroke/ui/sign-in/callback"
        assert cookie.startswith(f"{WAY}=")


@pytest.mark.parametrize("path", ["/ui/sign-in/oidc", "/ui/sign-in/callback?code=x&state=y"])
async def test_one_address_has_so_many_attempts(provider: OpenIdProvider, path: str) -> None:
    parts = parts_of(provider, session={"sign_in_rate": "2/minute"})
    async with browsers(parts) as [browser, _]:
        codes = [(await browser.open(path)).status_code for _ in range(3)]
    assert codes[2] == 429
    assert 429 not in codes[:2]


async def test_without_a_client_there_is_no_way_to_the_provider(provider: OpenIdProvider) -> None:
    oidc = {"issuer": provider.issuer, "audience": "stroke"}
    async with browsers(service_parts(oidc=oidc)) as [browser, _]:
        assert "organization" not in (await browser.open("/ui/sign-in")).text
        for path in ("oidc", "callback?code=x&state=y"):
            answer = await browser.open(f"/ui/sign-in/{path}")
            assert (answer.status_code, 'name="key"' in answer.text) == (200, True)
            assert "organization" not in answer.text


async def test_the_button_is_in_the_language_of_the_browser(browser: Browser) -> None:
    assert "Sign in with your organization" in (await browser.open("/ui/sign-in")).text
    german = (await browser.open("/ui/sign-in?language=de")).text
    assert "Über Ihre Einrichtung anmelden" in german
    assert "Oder mit einem API-Schlüssel" in german


async def test_a_session_of_the_provider_ends_after_the_time_of_the_setting(
    provider: OpenIdProvider,
) -> None:
    parts = parts_of(provider, session={"provider_max_seconds": 90.0})
    async with browsers(parts) as [browser, _]:
        await signed_in(browser, provider)
    [kept] = parts.sessions.kept.values()
    assert (kept.ends_at - kept.begun_at).total_seconds() == 90
