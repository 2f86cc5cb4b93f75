"""One request, one answer."""

from __future__ import annotations

import asyncio
import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from stroke.domain.errors import EndpointUnavailable, InvalidSetting


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, whatever its status."""

    url: str
    status: int
    content: bytes

    def json(self) -> Any:
        """Return the document. Raises ``EndpointUnavailable`` for what is none."""
        try:
            return json.loads(self.content)
        except ValueError as error:
            raise EndpointUnavailable(f"{self.url} does not answer in JSON") from error

    def expect(self, *statuses: HTTPStatus) -> Answer:
        """Return itself if its status is one of these; raise ``EndpointUnavailable`` else."""
        if self.status not in statuses:
            raise EndpointUnavailable(f"{self.url} answers {self.status}{self._detail()}")
        return self

    def _detail(self) -> str:
        """Return what our own problem documents say in ``detail``, which quotes no value."""
        try:
            detail = json.loads(self.content)["detail"]
        except (ValueError, LookupError, TypeError):
            return ""
        return f": {detail}" if isinstance(detail, str) else ""


def with_key(api_key: str | None) -> dict[str, str]:
    """Return the headers that show an API key, if there is one."""
    return {} if api_key is None else {"Authorization": f"Bearer {api_key}"}


async def exchange(
    url: str,
    *,
    seconds: float,
    method: str = "GET",
    body: object = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Return the answer to one request. Raises ``EndpointUnavailable`` where there is none."""
    if not url.startswith(("http://", "https://")):
        raise InvalidSetting(f"not an address of HTTP: {url}")
    content = None if body is None else json.dumps(body).encode()
    sent = {"Content-Type": "application/json"} if content else {}
    request = urllib.request.Request(  # noqa: S310 -- the scheme was looked at
        url, data=content, headers={**sent, **(headers or {})}, method=method
    )
    return await asyncio.to_thread(_send, request, seconds)


def _send(request: urllib.request.Request, seconds: float) -> Answer:
    shown = request.full_url.partition("?")[0]
    try:
        with urllib.request.urlopen(request, timeout=seconds) as answer:  # noqa: S310 -- as above
            return Answer(shown, answer.status, answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(shown, error.code, error.read())
    except TimeoutError as error:
        raise EndpointUnavailable(f"{shown} does not answer within {seconds:g} s") from error
    except (OSError, http.client.HTTPException) as error:
        raise EndpointUnavailable(f"nothing answers at {shown}") from error
