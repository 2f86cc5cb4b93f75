"""Answers to what never becomes a request: problem documents, written straight to the wire."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

from stroke.entrypoints.api.envelope import SECURITY
from stroke.entrypoints.api.problems import MEDIA_TYPE, problem_document
from stroke.entrypoints.http.limits import Limits
from stroke.entrypoints.request_id import CURRENT, HEADER

_LOG_SECONDS: Final = 60.0
_log = logging.getLogger("stroke.http")


class Refusal(Exception):
    """Why the server does not serve what it has read. Becomes the answer, then the end."""

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        *,
        name: str | None = None,
        retry: int | None = None,
        logged: str | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.name = name
        self.retry = retry
        self.logged = logged or detail

    def answer(self, default_headers: Sequence[tuple[bytes, bytes]]) -> bytes:
        """Return the whole answer, head and body. It announces the end of the connection.

        It carries what ``Envelope`` gives every other answer.
        """
        body = problem_document(self.status, name=self.name, detail=self.detail)
        lines = [b"HTTP/1.1 %d %s\r\n" % (self.status, self.status.phrase.encode())]
        lines += [b"%s: %s\r\n" % header for header in default_headers]
        lines += [b"%s: %s\r\n" % header for header in SECURITY]
        if (request_id := CURRENT.get()) is not None:
            lines.append(b"%s: %s\r\n" % (HEADER, request_id.encode()))
        if self.retry is not None:
            lines.append(b"retry-after: %d\r\n" % self.retry)
        lines.append(
            b"content-type: %s\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
            % (MEDIA_TYPE.encode(), len(body))
        )
        return b"".join([*lines, body])


def malformed() -> Refusal:
    return Refusal(HTTPStatus.BAD_REQUEST, "This is not a valid HTTP/1.1 request.")


def host_missing() -> Refusal:
    return Refusal(HTTPStatus.BAD_REQUEST, "An HTTP/1.1 request has exactly one Host header.")


def version_unknown() -> Refusal:
    return Refusal(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "Send HTTP/1.1 or HTTP/1.0.")


def coding_unknown() -> Refusal:
    return Refusal(
        HTTPStatus.NOT_IMPLEMENTED, "The only Transfer-Encoding that is understood is chunked."
    )


def method_unknown() -> Refusal:
    return Refusal(HTTPStatus.NOT_IMPLEMENTED, "This server is no proxy: it does not CONNECT.")


def url_too_long(limits: Limits) -> Refusal:
    return Refusal(
        HTTPStatus.REQUEST_URI_TOO_LONG, f"A URL may have at most {limits.url_bytes} bytes."
    )


def headers_too_large(limits: Limits) -> Refusal:
    return Refusal(
        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
        f"A request may have at most {limits.headers} headers, trailers included, with at most "
        f"{limits.header_bytes} bytes in all and {limits.value_bytes} bytes in one value.",
    )


def head_too_slow(limits: Limits) -> Refusal:
    return Refusal(
        HTTPStatus.REQUEST_TIMEOUT,
        f"The head of a request must arrive within {limits.head_seconds:g} seconds.",
    )


def body_too_slow(limits: Limits) -> Refusal:
    return Refusal(
        HTTPStatus.REQUEST_TIMEOUT,
        f"A body must arrive with at least {limits.bytes_per_second} bytes per second, "
        f"taken over {limits.body_seconds:g} seconds.",
    )


def too_many_connections(limits: Limits) -> Refusal:
    return Refusal(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "Too many connections are open.",
        name="too-many-connections",
        retry=1,
        logged=f"{limits.connections} connections are open: STROKE_HTTP_MAX_CONNECTIONS, or the "
        "limit of open files (ulimit -n), allows no more",
    )


def too_many_unfinished() -> Refusal:
    return Refusal(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "Too many heads of requests are not complete.",
        name="overloaded",
        retry=1,
    )


class RefusalTally:
    """What one process refuses, in its log once a minute at most: a flood must not fill a disk.

    It also counts the bytes of heads that are not complete, over all connections.
    """

    def __init__(self) -> None:
        self.unfinished_bytes = 0
        self._since: Counter[str] = Counter()
        self._next_line = 0.0

    def refused(self, reason: str) -> None:
        """Count one refusal for ``reason``, which is a sentence without anything of a client."""
        self._since[reason] += 1
        now = time.monotonic()
        if now < self._next_line:
            return
        self._next_line = now + _LOG_SECONDS
        for said, count in self._since.items():
            _log.warning("refused %d: %s", count, said)
        self._since.clear()
