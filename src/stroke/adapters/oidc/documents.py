"""The provider's documents over HTTP: small, quick, from the very address that was asked."""

from __future__ import annotations

import http.client
import json
import time
import urllib.error
import urllib.request
from http import HTTPStatus
from typing import Any, Final

from stroke.application.access.tokens import is_safe
from stroke.domain.errors import ProviderUnavailable

_CHUNK: Final = 16_384


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Leaves a redirect as the answer: it might lead to an address without TLS, or inside."""

    def redirect_request(self, *_: Any) -> None:
        return None


class Documents:
    """Reads JSON objects of at most ``most_bytes`` bytes, each within ``seconds``."""

    def __init__(self, *, seconds: float, most_bytes: int, insecure_http: bool) -> None:
        self._seconds = seconds
        self._most_bytes = most_bytes
        self._insecure_http = insecure_http
        self._opener = urllib.request.build_opener(_NoRedirects)

    def read(self, url: str) -> dict[str, Any]:
        """Return the JSON object at ``url``; takes up to ``seconds``, so call it in a thread.

        Raises ``ProviderUnavailable``.
        """
        if not is_safe(url, insecure_http=self._insecure_http):
            raise ProviderUnavailable(
                "an address of the OpenID provider is not HTTPS: see STROKE_OIDC_INSECURE_HTTP"
            )
        try:
            found = json.loads(self._content(url))
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise ProviderUnavailable(f"{_shown(url)} does not answer with a JSON object")
        return found

    def _content(self, url: str) -> bytes:
        shown, ends_at = _shown(url), time.monotonic() + self._seconds
        request = urllib.request.Request(url, headers={"Accept": "application/json"})  # noqa: S310 -- the scheme was looked at
        try:
            with self._opener.open(request, timeout=self._seconds) as answer:
                if answer.status != HTTPStatus.OK:
                    raise ProviderUnavailable(f"{shown} answers {answer.status}")
                content = b""
                # The timeout is that of each read: a slow sender would make many of them.
                while chunk := answer.read1(_CHUNK):
                    content += chunk
                    if len(content) > self._most_bytes:
                        raise ProviderUnavailable(
                            f"{shown} sends more than STROKE_OIDC_MAX_DOCUMENT_BYTES bytes"
                        )
                    _look_at_clock(ends_at)
                return content
        except urllib.error.HTTPError as error:
            with error:
                raise ProviderUnavailable(f"{shown} answers {error.code}") from None
        except TimeoutError as error:
            raise ProviderUnavailable(
                f"{shown} does not answer within {self._seconds:g} s"
            ) from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise ProviderUnavailable(f"nothing answers at {shown}") from error


def _shown(url: str) -> str:
    return url.partition("?")[0]


def _look_at_clock(ends_at: float) -> None:
    if time.monotonic() > ends_at:
        raise TimeoutError
