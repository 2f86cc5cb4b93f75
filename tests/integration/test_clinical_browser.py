"""Pages of record systems in a real Chromium: which may call the hooks, and what a preflight says.

The browser itself decides, and sends its preflights: nothing stands between it and the service.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any, Final

import pytest

from builders.charts import request
from components.browser import Page, browser
from components.loopback import LoopbackServer
from components.processes import Service

pytestmark = pytest.mark.soak("Chromium")

HOOK: Final = "/cds-services/stroke-risk"


class _Empty(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b"<!doctype html><title>record</title>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture(scope="module")
def listed() -> Iterator[str]:
    with LoopbackServer(_Empty) as server:
        yield server.url


@pytest.fixture(scope="module")
def stranger() -> Iterator[str]:
    with LoopbackServer(_Empty) as server:
        yield server.url


@pytest.fixture(scope="module")
def service(listed: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    with Service(folder, STROKE_CLINICAL_CORS_ORIGINS=listed) as running:
        yield running


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser(tmp_path_factory.mktemp("browser")) as page:
        yield page


def fetched(page: Page, url: str, body: Any = None, **headers: str) -> Any:
    """Return status and JSON of a call that the page's script makes, or the error that it sees."""
    options: dict[str, Any] = {"headers": headers}
    if body is not None:
        options |= {"method": "POST", "body": json.dumps(body)}
    return page.run(
        f"fetch({json.dumps(url)}, {json.dumps(options)})"
        ".then(async answer => [answer.status, await answer.json()])"
        ".catch(error => error.message)"
    )


JSON: Final = {"Content-Type": "application/json"}
TOKEN: Final = {"Authorization": "Bearer made-up"}


def test_a_page_that_is_listed_discovers_calls_and_reports(
    page: Page, listed: str, service: Service
) -> None:
    page.open(listed)

    status, services = fetched(page, f"{service.url}/cds-services")
    assert (status, services["services"][0]["id"]) == (200, "stroke-risk")
    # The type of the body, and a header for the token, make the browser ask first.
    status, answer = fetched(page, service.url + HOOK, request(), **JSON)
    assert status == 200
    feedback = {
        "card": answer["cards"][0]["uuid"],
        "outcome": "accepted",
        "acceptedSuggestions": [],
        "outcomeTimestamp": "2026-11-29T12:00:00Z",
    }
    status, _ = fetched(page, f"{service.url}{HOOK}/feedback", {"feedback": [feedback]}, **JSON)
    assert status == 200


def test_a_page_reads_why_it_is_refused(page: Page, listed: str, service: Service) -> None:
    page.open(listed)

    wrong = request() | {"hook": "another"}
    status, outcome = fetched(page, service.url + HOOK, wrong, **JSON, **TOKEN)

    assert (status, outcome["resourceType"]) == (422, "OperationOutcome")


def test_no_other_page_may_read_an_answer(page: Page, stranger: str, service: Service) -> None:
    page.open(stranger)

    for headers in (JSON, JSON | TOKEN):
        assert fetched(page, service.url + HOOK, request(), **headers) == "Failed to fetch"
    assert fetched(page, f"{service.url}/cds-services") == "Failed to fetch"


@pytest.mark.parametrize("path", ["/fhir/metadata", "/api/v1/predictions", "/model_info"])
def test_a_listed_page_may_call_the_hooks_and_nothing_else(
    page: Page, listed: str, service: Service, path: str
) -> None:
    page.open(listed)

    assert fetched(page, service.url + path) == "Failed to fetch"
