"""API keys on services that are really served, with several processes."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
import urllib3
from sqlalchemy import URL

from builders.predictions import patient_json
from components.processes import Service, new_key, run_stroke, upgrade_schema

# What a user is promised: STROKE_ACCESS_CACHE_SECONDS can be 4 at most.
HOLDS_WITHIN = 5.0


class Site:
    """A service with two processes, and its database."""

    def __init__(self, folder: Path, url: URL) -> None:
        self.database = url.render_as_string(hide_password=False)
        self._folder = folder
        upgrade_schema(self.database, folder)
        self.service = Service(folder, STROKE_DATABASE_URL=self.database, STROKE_HTTP_WORKERS="2")

    def key(self, scopes: str) -> str:
        return new_key(self._folder, self.database, scopes)

    def keys(self, *arguments: str) -> str:
        done = run_stroke(
            "keys",
            *arguments,
            folder=self._folder,
            settings={"STROKE_DATABASE_URL": self.database},
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def statuses(self, key: str | None, *, times: int = 60) -> set[int]:
        """Call on new connections, which the processes share; return the statuses."""
        headers = {"Authorization": f"Bearer {key}"} if key else {}

        def call(_: int) -> int:
            answer = urllib3.request(
                "POST", f"{self.service.url}/predict", json=patient_json(), headers=headers
            )
            return answer.status

        with ThreadPoolExecutor(8) as callers:
            return set(callers.map(call, range(times)))


@pytest.fixture
def site(tmp_path: Path, url: URL) -> Iterator[Site]:
    """Return a site that is served, and has no key."""
    site = Site(tmp_path, url)
    with site.service:
        yield site


class LockedSite(Site):
    """A site that had keys before it was served, so that nobody waits for them to hold."""

    def __init__(self, folder: Path, url: URL) -> None:
        super().__init__(folder, url)
        self.ward, self.admin = self.key("predict,read"), self.key("predict,read,admin")


@pytest.fixture(scope="module", params=["sqlite", "mysql"])
def locked_site(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    empty_database: Callable[[str, Path], URL],
) -> Iterator[LockedSite]:
    """Share one site for each database; a test ends no key that another one needs."""
    folder = tmp_path_factory.mktemp("site")
    site = LockedSite(folder, empty_database(request.param, folder))
    with site.service:
        yield site


def test_the_first_key_closes_all_processes_and_a_revoked_one_ends_in_all_within_5_s(
    site: Site,
) -> None:
    assert "there is no API key: everybody" in site.service.log
    assert site.statuses(None) == {200}
    key, other = site.key("predict"), site.key("predict,admin")
    time.sleep(HOLDS_WITHIN)
    assert site.statuses(None) == {401}
    assert site.statuses(key) == site.statuses(other) == {200}

    site.keys("revoke", key.split("_")[1])
    time.sleep(HOLDS_WITHIN)
    assert site.statuses(key) == {401}
    assert site.statuses(other) == {200}

    assert site.service.stop() == 0
    site.service.start()
    assert site.service.log.count("there is no API key") == 1
    for secret in (key, other):
        assert secret[-43:] not in site.service.log


def test_a_key_that_was_just_made_is_known_to_all_processes_at_once(
    locked_site: LockedSite,
) -> None:
    assert locked_site.statuses(None) == {401}

    made = locked_site.key("predict")
    assert locked_site.statuses(made) == {200}
    assert locked_site.statuses(locked_site.key("read")) == {403}


def signed_in(site: Site, key: str) -> httpx.Client:
    """Return a browser that signed in with a key."""
    browser = httpx.Client(base_url=site.service.url, timeout=30)
    found = re.search(r'name="csrf_token" value="([^"]+)"', browser.get("/ui/sign-in").text)
    assert found is not None
    answer = browser.post("/ui/sign-in", data={"csrf_token": found[1], "key": key})
    assert answer.status_code == 303, answer.text
    return browser


def sessions_seen(site: Site, browser: httpx.Client, *, times: int = 40) -> set[bool]:
    """Show the cookie on new connections, which the processes share; return who is signed in."""
    cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())

    def call(_: int) -> bool:
        answer = urllib3.request(
            "GET", f"{site.service.url}/ui/session", headers={"Cookie": cookie}
        )
        return bool(answer.json()["signed_in"])

    with ThreadPoolExecutor(8) as callers:
        return set(callers.map(call, range(times)))


def test_a_session_ends_in_all_processes_at_once_and_with_its_key_within_5_s(
    locked_site: LockedSite,
) -> None:
    site, key, other = locked_site, locked_site.ward, locked_site.admin
    one, two = signed_in(site, key), signed_in(site, key)
    another = signed_in(site, other)
    assert sessions_seen(site, one) == sessions_seen(site, two) == {True}

    token = one.get("/ui/session").json()["csrf_token"]
    kept = httpx.Cookies(one.cookies)
    assert one.post("/ui/sign-out", data={"csrf_token": token}).status_code == 303
    one.cookies = kept  # a thief has it still
    assert sessions_seen(site, one) == {False}
    assert sessions_seen(site, two) == {True}

    site.keys("revoke", key.split("_")[1])
    time.sleep(HOLDS_WITHIN)
    assert sessions_seen(site, two) == {False}
    assert sessions_seen(site, another) == {True}
    for browser in (one, two, another):
        browser.close()
