"""The page of the platform: what commands saw last, for admins of a service with a pipeline."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from builders.asgi import connected
from builders.pages import Browser, make_key
from builders.platform import platform_report
from builders.service import Parts
from stroke.application.platform.reports import LineState, ReportKind, ReportLine
from stroke.domain.errors import StoreUnavailable

pytestmark = pytest.mark.anyio

CANARY = "<script>alert(1)</script>"
LINES = (
    ReportLine("source", LineState.OK, {"tasks": 1, "running": 1}),
    ReportLine(
        "sink", LineState.FAILED, {"tasks": 2, "running": 1, "lag": 12_345}, CANARY, "mend it"
    ),
    ReportLine("lake", LineState.PAUSED, {"tasks": 1, "running": 0}, "", "resume it"),
)


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def parts(parts_with: Any) -> Parts:
    made: Parts = parts_with(erasure={"worker": "pipeline"})
    return made


@pytest.fixture
async def browser(parts: Parts) -> AsyncIterator[Browser]:
    async with connected(parts.app) as client:
        yield Browser(client)


def text_of(page: httpx.Response) -> str:
    assert page.status_code == 200
    return " ".join(re.sub(r"<[^>]+>", " ", page.text).split())


async def test_where_nothing_was_seen_the_page_says_which_command_looks(browser: Browser) -> None:
    text = text_of(await browser.open("/ui/platform"))
    for command in ("stroke connectors watch", "stroke pipeline verify", "stroke doctor"):
        assert command in text


async def test_what_failed_comes_first_with_what_to_do(parts: Parts, browser: Browser) -> None:
    await parts.reports.put(platform_report(made_at=now(), lines=LINES))

    page = await browser.open("/ui/platform")

    text = text_of(page)
    assert re.search(
        r"sink failed 1 of 2 12,345 .* mend it lake paused .* source runs 1 of 1", text
    )
    assert "1 of 3 well" in text
    assert CANARY not in page.text


@pytest.mark.parametrize(
    ("kind", "age", "is_old"),
    [
        (ReportKind.CONNECTORS, timedelta(minutes=4), False),
        (ReportKind.CONNECTORS, timedelta(minutes=6), True),
        (ReportKind.VERIFICATION, timedelta(minutes=119), False),
        (ReportKind.VERIFICATION, timedelta(minutes=121), True),
        (ReportKind.DOCTOR, timedelta(days=99), False),
    ],
)
async def test_a_report_of_a_command_that_should_have_looked_again_is_called_old(
    parts: Parts, browser: Browser, kind: ReportKind, age: timedelta, is_old: bool
) -> None:
    await parts.reports.put(platform_report(kind, made_at=now() - age))

    assert ("still run?" in text_of(await browser.open("/ui/platform"))) is is_old


async def test_the_numbers_of_a_comparison_are_shown(parts: Parts, browser: Browser) -> None:
    numbers = {"rows": 5000, "missing": 3, "extra": 0, "different": 2, "duplicates": 0}
    wrong = ReportLine("s3", LineState.FAILED, numbers, "", "stroke pipeline repair --dry-run")
    await parts.reports.put(platform_report(ReportKind.VERIFICATION, made_at=now(), lines=(wrong,)))

    text = text_of(await browser.open("/ui/platform"))

    assert "s3 failed 5,000 3 0 2 0 stroke pipeline repair --dry-run" in text


async def test_a_copy_that_was_compared_before_the_other_one_says_when(
    parts: Parts, browser: Browser
) -> None:
    long_ago, lines = now() - timedelta(hours=5), [ReportLine(each, LineState.OK) for each in "ab"]
    for made_at, line in zip((long_ago, now()), lines, strict=True):
        await parts.reports.put(
            platform_report(ReportKind.VERIFICATION, made_at=made_at, lines=(line,))
        )

    text = text_of(await browser.open("/ui/platform"))

    assert "2 of 2 well" in text
    assert re.search(rf"a △ \S.*{long_ago:%H:%M}.* UTC well", text)
    assert "b well" in text


@pytest.mark.parametrize(
    ("scopes", "status"),
    [(("predict", "read", "models", "metrics"), 403), (("admin",), 200)],
)
async def test_only_admins_see_the_page(parts: Parts, scopes: tuple[str, ...], status: int) -> None:
    made = await make_key(parts, *scopes)
    async with connected(parts.app) as client:
        browser = Browser(client)
        await browser.sign_in(made.text)
        assert (await browser.open("/ui/platform")).status_code == status
        assert ("/ui/platform" in (await browser.open("/ui")).text) is (status == 200)


async def test_without_a_pipeline_there_is_no_such_page(parts_with: Any) -> None:
    async with connected(parts_with().app) as client:
        browser = Browser(client)
        assert (await browser.open("/ui/platform")).status_code == 404
        assert "/ui/platform" not in (await browser.open("/ui")).text


async def test_a_database_that_is_away_is_a_page_that_says_so(
    parts: Parts, browser: Browser
) -> None:
    parts.reports.failing = StoreUnavailable("away")

    page = await browser.open("/ui/platform")

    assert page.status_code == 503
    assert "The database does not answer." in page.text
    assert 'href="/ui/platform"' in page.text
