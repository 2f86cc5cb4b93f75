"""The id of the request that is being served: taken from the client, or made."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from contextvars import ContextVar
from typing import Final

HEADER: Final = b"x-request-id"
# UUIDs, ULIDs and what proxies make fit. No space, quote or line end does: an id stands in logs.
_WELL_FORMED: Final = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")

CURRENT: Final[ContextVar[str | None]] = ContextVar("request_id", default=None)
"""Log lines and problem documents take the id from here; it is None outside of a request."""


def request_id_of(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """Return the id that ``headers`` (names in lower case) carry, or else a new one.

    An id that is not well formed, or that is sent twice, is replaced by a new one.
    """
    sent = [value for name, value in headers if name == HEADER]
    if len(sent) == 1 and _WELL_FORMED.fullmatch(sent[0]):
        return sent[0].decode("ascii")
    return secrets.token_hex(16)
