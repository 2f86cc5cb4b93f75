"""What a client did not send is fetched from its FHIR server, within limits."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from urllib.parse import urljoin

from stroke.application.clinical.ports import ClinicalObserver, NotFetched, Reason, RecordServer
from stroke.domain.clinical.chart import listed
from stroke.domain.clinical.codes import CodeBook
from stroke.domain.clinical.grants import Grant
from stroke.domain.clinical.queries import Query, queries, templates

WHY_NOT: Final[Mapping[Reason, str]] = {
    "not-listed": "this FHIR server is not listed here",
    "scope": "the scopes of fhirAuthorization do not allow it",
    "address": "the FHIR server's address is not public, and not listed",
    "away": "the FHIR server does not answer",
    "refused": "the FHIR server refuses it",
    "late": "the FHIR server takes too long",
    "too-long": "the FHIR server's answer is too long",
    "no-json": "the FHIR server does not answer with JSON",
}
_NEXT: Final = "next"


class Fetched(NamedTuple):
    """What was fetched by key, and why other keys were not."""

    found: Mapping[str, Any]
    why_not: Mapping[str, Reason]


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """How long all of a chart may take, how many bytes and pages it may have, and how many
    requests are under way at once.
    """

    seconds: float
    most_bytes: int
    most_pages: int
    connections: int


class ChartFetching:
    """Fetches keys of a prefetch from FHIR servers of an allow-list, with the client's own token.

    ``servers`` are base addresses. Links to next pages are followed below the same base only.
    """

    def __init__(
        self,
        server: RecordServer,
        servers: Collection[str],
        book: CodeBook,
        observer: ClinicalObserver,
        limits: FetchLimits,
    ) -> None:
        self._server = server
        self._servers = frozenset(each.rstrip("/") for each in servers)
        self._templates = templates(book)
        self._observer = observer
        self._limits = limits
        self._slots = asyncio.Semaphore(limits.connections)

    async def fetch(
        self, keys: Collection[str], patient_id: str, base: str, grant: Grant
    ) -> Fetched:
        """Fetch ``keys`` for a patient from the server ``base``. What fails is said, not raised."""
        reading = _Reading(self._server, base.rstrip("/"), grant.token, self._limits, self._slots)
        asked = queries(self._templates, patient_id)
        ends_at = asyncio.get_running_loop().time() + self._limits.seconds

        async def one(query: Query) -> tuple[Any, Reason | None]:
            try:
                self._check(reading.base, grant, query, patient_id)
                async with asyncio.timeout_at(ends_at):
                    return await reading.all_pages(query), None
            except TimeoutError:
                return None, "late"
            except NotFetched as error:
                return None, error.reason

        wanted = [key for key in keys if key in asked]
        results = await asyncio.gather(*(one(asked[key]) for key in wanted))
        found: dict[str, Any] = {}
        why_not: dict[str, Reason] = {}
        for key, (content, reason) in zip(wanted, results, strict=True):
            self._observer.fetched(reason or "fetched")
            if reason is None:
                found[key] = content
            else:
                why_not[key] = reason
        return Fetched(found, why_not)

    def _check(self, base: str, grant: Grant, query: Query, patient_id: str) -> None:
        if base not in self._servers:
            raise NotFetched("not-listed")
        if not grant.allows(query.kind, patient_id, searches=query.searches):
            raise NotFetched("scope")


class _Reading:
    """What is read for one chart: all of it has one limit of bytes."""

    def __init__(
        self,
        server: RecordServer,
        base: str,
        token: str,
        limits: FetchLimits,
        slots: asyncio.Semaphore,
    ) -> None:
        self._server = server
        self.base = base
        self._token = token
        self._limits = limits
        self._slots = slots
        self._left = limits.most_bytes

    async def all_pages(self, query: Query) -> Any:
        """Return the answer to a query: a resource, or a list of pages.

        A link to a next page stays where that page was not read: the chart is incomplete then.
        """
        url = f"{self.base}/{query.target}"
        content = await self._read(url)
        if not query.searches:
            return content
        pages = [content]
        while len(pages) < self._limits.most_pages:
            following = _next_of(pages[-1], url)
            if following is None or not self._is_below(following):
                break
            url = following
            pages[-1] = _without_next(pages[-1])
            pages.append(await self._read(url))
        return pages

    async def _read(self, url: str) -> Any:
        async with self._slots:
            document = await self._server.read(url, self._token, most_bytes=max(self._left, 0))
        self._left -= document.size
        return document.content

    def _is_below(self, url: str) -> bool:
        # A server's next link goes to its base itself, with a query, or below it.
        return url.startswith((f"{self.base}/", f"{self.base}?")) and "/.." not in url


def _next_of(page: Any, url: str) -> str | None:
    """Return the address of the next page, None where there is none."""
    for link in listed(page.get("link")) if isinstance(page, Mapping) else []:
        if _is_next(link):
            target = link.get("url")
            try:
                return urljoin(url, target) if isinstance(target, str) else None
            except ValueError:
                return None
    return None


def _without_next(page: Mapping[str, Any]) -> dict[str, Any]:
    return {**page, "link": [link for link in listed(page["link"]) if not _is_next(link)]}


def _is_next(link: Any) -> bool:
    return isinstance(link, Mapping) and str(link.get("relation")).lower() == _NEXT
