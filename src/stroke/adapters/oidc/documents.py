"""The provider's documents over HTTP: small, quick, from the very address that was asked."""

from __future__ import annotations

import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from stroke.application.access.tokens import discovery_url, is_safe
from stroke.domain.errors import ProviderUnavailable

_CHUNK: Final = 16_384
_FORM: Final = "application/x-www-form-urlencoded"
# What a form may be answered with. A redirect is an error: a secret would go elsewhere with it.
_REFUSALS: Final = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED})


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

    def allows(self, url: str) -> bool:
        """Return whether ``url`` may be asked: by HTTPS, or on this machine."""
        return is_safe(url, insecure_http=self._insecure_http)

    def read(self, url: str) -> dict[str, Any]:
        """Return the JSON object at ``url``; takes up to ``seconds``, so call it in a thread.

        Raises ``ProviderUnavailable``.
        """
        return self._object(url, None, {})

    def send(self, url: str, form: str, headers: Mapping[str, str]) -> dict[str, Any]:
        """Return the JSON object that answers ``form``, also one that refuses it (400 and 401).

        As ``read``, it takes up to ``seconds``, and raises ``ProviderUnavailable``.
        """
        return self._object(url, form, {**headers, "Content-Type": _FORM})

    def _object(self, url: str, form: str | None, headers: Mapping[str, str]) -> dict[str, Any]:
        if not self.allows(url):
            raise ProviderUnavailable(
                "an address of the OpenID provider is not HTTPS: see STROKE_OIDC_INSECURE_HTTP"
            )
        try:
            found = json.loads(self._content(url, form, headers))
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise ProviderUnavailable(f"{_shown(url)} does not answer with a JSON object")
        return found

    def _opened(
        self, request: urllib.request.Request, *, refusals: bool
    ) -> http.client.HTTPResponse | urllib.error.HTTPError:
        allowed = {HTTPStatus.OK, *(_REFUSALS if refusals else ())}
        answer: http.client.HTTPResponse | urllib.error.HTTPError
        try:
            answer = self._opener.open(request, timeout=self._seconds)
        except urllib.error.HTTPError as error:
            answer = error
        if answer.status not in allowed:
            with answer:
                raise ProviderUnavailable(f"{_shown(request.full_url)} answers {answer.status}")
        return answer

    def _content(self, url: str, form: str | None, headers: Mapping[str, str]) -> bytes:
        shown, ends_at = _shown(url), time.monotonic() + self._seconds
        body = None if form is None else form.encode("ascii")
        request = urllib.request.Request(  # noqa: S310 -- the scheme was looked at
            url, body, headers={**headers, "Accept": "application/json"}
        )
        try:
            with self._opened(request, refusals=form is not None) as answer:
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


def described_at(documents: Documents, issuer: str) -> dict[str, Any]:
    """Return what the provider says of itself, if it calls itself ``issuer``.

    It takes as long as ``Documents.read``. Raises ``ProviderUnavailable``.
    """
    described = documents.read(discovery_url(issuer))
    if described.get("issuer") != issuer:
        raise ProviderUnavailable(
            "the OpenID provider names itself otherwise than STROKE_OIDC_ISSUER does"
        )
    return described
