"""The page for clinicians in Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Page, Request, expect, sync_playwright

from components.programs import program

# Playwright gives up after 5 seconds, for which a busy machine may pause a browser.
expect.set_options(timeout=30_000)

PICTURES: Final = Path(__file__).parents[2] / "build" / "pages"
TYPED: Final = {"age": "67", "bmi": "36.6", "avg_glucose_level": "228.69"}
CHOSEN: Final = {
    "gender": "Male",
    "hypertension": "0",
    "heart_disease": "1",
    "smoking_status": "formerly smoked",
}
# A page that breaks its own policy says so in an event.
_KEEP_FAULTS: Final = """
window.faults = [];
const keep = event => window.faults.push(`${event.violatedDirective} ${event.blockedURI}`);
addEventListener("securitypolicyviolation", keep);
"""


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run Debian's Chromium; yield it."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program("chromium", "chromium"),
            args=["--no-sandbox", "--disable-dev-shm-usage"],
        )
        yield browser
        browser.close()


class Window:
    """A window of its own: no cookie and no storage of another one. It keeps what went wrong."""

    def __init__(self, browser: Browser, origin: str, **options: Any) -> None:
        self.origin = origin
        self.context: BrowserContext = browser.new_context(base_url=origin, **options)
        self.context.add_init_script(_KEEP_FAULTS)
        self.errors: list[str] = []
        self.elsewhere: list[str] = []
        self.context.on("request", self._asked)
        self.page = self.tab()

    def tab(self) -> Page:
        """Open another tab."""
        page = self.context.new_page()
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        return page

    def close(self) -> None:
        """Close it. Fails if a page asked another origin, broke its policy, or threw an error."""
        faults = [
            fault
            for page in self.context.pages
            if page.url.startswith(self.origin)
            for fault in page.evaluate("window.faults ?? []")
        ]
        self.context.close()
        assert self.elsewhere == []
        assert self.errors == []
        assert faults == []

    def _asked(self, request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme != "blob" and f"{address.scheme}://{address.netloc}" != self.origin:
            self.elsewhere.append(request.url)


@contextmanager
def window(browser: Browser, origin: str, **options: Any) -> Iterator[Window]:
    """Open a window; its closing fails if a page did what it must not."""
    opened = Window(browser, origin, **options)
    try:
        yield opened
    except BaseException:
        opened.context.close()
        raise
    opened.close()


def fill(page: Page, **changes: str) -> None:
    """Fill the calculator's form, and wait for the estimate if there is to be one."""
    for name, text in TYPED.items():
        page.fill(f"#{name}", changes.get(name, text))
    for name, value in CHOSEN.items():
        page.check(f"[name={name}][value='{changes.get(name, value)}']")


def estimated(page: Page) -> str:
    """Return the sentence of the estimate, once it is there."""
    return page.locator("[data-sentence]").inner_text(timeout=10_000)


def violations(page: Page) -> list[str]:
    """Return what axe-core finds wrong with the page as it is now."""
    if not page.evaluate("typeof window.axe === 'object'"):
        page.evaluate(files("axe_playwright_python").joinpath("axe.min.js").read_text())
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{each['id']}: {node['html'][:150]} {json.dumps(node['any'][:1])[:200]}"
        for each in found["violations"]
        for node in each["nodes"]
    ]


def picture(page: Page, name: str) -> Path:
    """Keep a picture of the page under build/pages."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    path = PICTURES / f"{name}.png"
    page.screenshot(path=path, full_page=True)
    return path


def is_too_wide(page: Page) -> bool:
    """Return whether the page has to be scrolled sideways."""
    return bool(
        page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
    )


def cut_off(page: Page) -> list[str]:
    """Return the labels of radio buttons of which a part lies outside their frame."""
    found: list[str] = page.evaluate(
        """Array.from(document.querySelectorAll(".choice label"))
            .filter((label) => label.scrollWidth > label.clientWidth + 1
                || label.getBoundingClientRect().right
                    > label.parentElement.getBoundingClientRect().right + 1)
            .map((label) => label.textContent)"""
    )
    return found


def runs_out(page: Page) -> list[str]:
    """Return what has to be scrolled sideways to be read, after everything folded is opened."""
    found: list[str] = page.evaluate(
        """() => {
            for (const each of document.querySelectorAll("details")) each.open = true;
            const hidden = (each) => each.clientWidth <= 1 || each.tagName === "TEXTAREA";
            return [...document.querySelectorAll("body *")]
                .filter((each) => each.scrollWidth > each.clientWidth + 1 && !hidden(each)
                    && !["visible", "clip"].includes(getComputedStyle(each).overflowX))
                .map((each) => `${each.getAttribute("aria-label") ?? each.className}: `
                    + `${each.scrollWidth} px in ${each.clientWidth}`);
        }"""
    )
    return found


def first_result_ms(page: Page) -> float:
    """Return the ms from the choice in the last empty field to the estimate that is painted."""
    page.evaluate("sessionStorage.clear()")
    page.goto("/ui")
    for name, text in TYPED.items():
        page.fill(f"#{name}", text)
    *others, last = CHOSEN.items()
    for name, value in others:
        page.check(f"[name={name}][value='{value}']")
    page.wait_for_load_state("networkidle")
    assert page.locator("[data-sentence]").count() == 0
    found = page.evaluate(
        """([name, value]) => new Promise((done) => {
            const began = performance.now();
            new MutationObserver((_, seen) => {
                if (!document.querySelector("[data-sentence]")) return;
                seen.disconnect();
                requestAnimationFrame(() => setTimeout(() => done(performance.now() - began)));
            }).observe(document.querySelector("[data-result]"), {childList: true, subtree: true});
            document.querySelector(`[name=${name}][value="${value}"]`).click();
        })""",
        list(last),
    )
    return float(found)


def bare_request_ms(page: Page) -> float:
    """Return the ms that the same browser takes for one request without work and one paint."""
    found = page.evaluate(
        """async () => {
            const began = performance.now();
            await (await fetch("/health/live")).text();
            await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
            return performance.now() - began;
        }"""
    )
    return float(found)
