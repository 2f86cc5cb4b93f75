"""Reads the JSON body of a request.

FastAPI would parse it to Python objects and validate those; pydantic-core does both at once from
the bytes, in a third of the time, and separates malformed JSON (400) from a broken rule (422). So
the routes that take a body read it here, and openapi.py documents it.
"""

from __future__ import annotations

import asyncio
import codecs
import zlib
from collections.abc import Callable, Collection, Iterator
from typing import Final, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError
from starlette import status
from starlette.exceptions import HTTPException

from stroke.domain.documents import ambiguity_of
from stroke.entrypoints.api.admission import Slot
from stroke.entrypoints.api.violations import InvalidRequest, of_body

Wire = TypeVar("Wire", bound=BaseModel)

_JSON: Final = b"application/json"
_GZIP: Final = frozenset({b"gzip", b"x-gzip"})
_UTF_8: Final = frozenset({"utf-8", "ascii"})
# Shorter bodies are decoded at once; a thread would cost more than the work.
_THREAD_FROM: Final = 16 * 1024
_DECODED_AT_ONCE: Final = 256 * 1024


async def read_body(
    request: Request, slot: Slot, *, most_bytes: int, kinds: Collection[bytes] = (_JSON,)
) -> bytes:
    """Return the body, decoded and without a byte-order mark, and hold its bytes in ``slot``.

    ``kinds`` are the media types that it may have. Raises ``HTTPException``: 415 if it has another
    one, is not in UTF-8 or has an encoding other than gzip, 413 if it is too long, 400 if it is no
    gzip. Raises ``ServiceOverloaded`` if too many bytes are held already.
    """
    headers = dict(request.scope["headers"])
    media_type = headers.get(b"content-type", b"")
    if media_type != _JSON:
        _check_media_type(media_type, kinds)
    encoding = headers.get(b"content-encoding")
    if encoding is not None:
        _check_encoding(encoding)
    announced = int(headers.get(b"content-length", 0))  # the server made sure of digits
    if announced > most_bytes:
        raise _too_long(most_bytes)
    slot.hold(announced)
    chunks, size = [], 0
    async for chunk in request.stream():  # a chunked body announces no length
        size += len(chunk)
        if size > most_bytes:
            raise _too_long(most_bytes)
        if size > announced:
            slot.hold(len(chunk))
        chunks.append(chunk)
    body = b"".join(chunks)
    if encoding is not None and encoding.lower() in _GZIP:
        if len(body) < _THREAD_FROM:
            body = _gunzip(body, slot, most_bytes)
        else:
            body = await asyncio.to_thread(_gunzip, body, slot, most_bytes)
    return body.removeprefix(codecs.BOM_UTF8)


def names_at_top(found: BaseModel) -> int:
    """Return how many names a body had that became the fields of ``found``."""
    return len(found.model_fields_set)


def parse(wire: type[Wire], body: bytes, names_in: Callable[[Wire], int] = names_at_top) -> Wire:
    """Return what ``body`` says.

    ``names_in`` counts names of the body in what it says: never more than there are different
    ones. Raises ``HTTPException`` 400 when the body is not JSON, or has a name twice in one object,
    and ``InvalidRequest`` when it is not ``wire``.
    """
    try:
        found = wire.model_validate_json(body)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False)
    else:
        refuse_ambiguous(body, names_in(found))
        return found
    if problems[0]["type"] == "json_invalid":
        raise HTTPException(
            status.HTTP_400_BAD_REQUEST, _foreign_charset(body) or problems[0]["msg"]
        )
    raise InvalidRequest(of_body(problems))


def refuse_ambiguous(body: bytes, names: int = 0) -> None:
    """Raise ``HTTPException`` 400 for JSON that has a name twice in one object.

    ``names`` different ones were found in it. Each name in the body has a colon, so a body with no
    more colons than that has none twice: counting them takes half a microsecond for a patient, and
    looking at each object 5 us.
    """
    if body.count(b":") != names and (ambiguity := ambiguity_of(body)):
        raise HTTPException(status.HTTP_400_BAD_REQUEST, f"The body {ambiguity}.")


def _check_media_type(media_type: bytes, kinds: Collection[bytes]) -> None:
    kind, *parameters = media_type.split(b";")
    if kind.strip().lower() not in kinds:
        raise HTTPException(
            status.HTTP_415_UNSUPPORTED_MEDIA_TYPE, "Send Content-Type: application/json."
        )
    for parameter in parameters:
        name, _, value = parameter.partition(b"=")
        if name.strip().lower() == b"charset":
            _check_charset(value.strip().strip(b"\"'").decode("latin-1"))


def _check_charset(declared: str) -> None:
    try:
        known = codecs.lookup(declared).name
    except (LookupError, ValueError):  # the name is a client's: it is not repeated
        known = "a charset that is not known here"
    if known not in _UTF_8:
        raise HTTPException(
            status.HTTP_415_UNSUPPORTED_MEDIA_TYPE,
            f"The body is declared as {known}. JSON is sent in UTF-8.",
        )


def _check_encoding(encoding: bytes) -> None:
    if encoding.lower() not in _GZIP and encoding.lower() not in (b"identity", b""):
        raise HTTPException(
            status.HTTP_415_UNSUPPORTED_MEDIA_TYPE,
            "The Content-Encoding of a body may be gzip. No other one is understood.",
            {"Accept-Encoding": "gzip"},
        )


def _foreign_charset(body: bytes) -> str | None:
    """Return what is wrong with a body that is not UTF-8, and None if it is."""
    wide = body[:4]
    if wide.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in wide:
        return "The body looks like UTF-16 or UTF-32. JSON is sent in UTF-8."
    try:
        body.decode()
    except UnicodeDecodeError as error:
        return f"The body is not UTF-8, from byte {error.start} on. JSON is sent in UTF-8."
    return None


def _gunzip(body: bytes, slot: Slot, most_bytes: int) -> bytes:
    parts, size = [], 0
    for part in _decoded(body):
        size += len(part)
        if size > most_bytes:
            raise _too_long(most_bytes)
        slot.hold(len(part))
        parts.append(part)
    return b"".join(parts)


def _decoded(body: bytes) -> Iterator[bytes]:
    """Yield the content of a gzip file, which may have several members, in bounded parts."""
    while body:
        member = zlib.decompressobj(zlib.MAX_WBITS | 16)
        while body and not member.eof:
            try:
                part = member.decompress(body, _DECODED_AT_ONCE)
            except zlib.error:
                raise _no_gzip() from None
            if part:
                yield part
            body = member.unconsumed_tail
            if not part and not body:
                break
        if not member.eof:
            raise _no_gzip()
        body = member.unused_data


def _no_gzip() -> HTTPException:
    return HTTPException(
        status.HTTP_400_BAD_REQUEST, "The body is declared as gzip and is no whole gzip file."
    )


def _too_long(most_bytes: int) -> HTTPException:
    return HTTPException(
        status.HTTP_413_CONTENT_TOO_LARGE, f"A body may have at most {most_bytes} bytes."
    )
