"""Reads the JSON body of a request.

FastAPI would parse it to Python objects and validate those; pydantic-core does both at once from
the bytes, in a third of the time, and tells malformed JSON (400) from a broken rule (422). So
the two routes that take a body read it here, and openapi.py documents it.
"""

from __future__ import annotations

from typing import Final, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError
from starlette import status
from starlette.exceptions import HTTPException

from stroke.entrypoints.api.violations import InvalidRequest, of_body

Wire = TypeVar("Wire", bound=BaseModel)

_JSON: Final = b"application/json"


async def read_body(request: Request, *, most_bytes: int) -> bytes:
    """Return the body. Raises ``HTTPException``: 415 if it is not JSON, 413 if it is too long."""
    headers = dict(request.scope["headers"])
    media_type = headers.get(b"content-type", b"")
    if media_type != _JSON and media_type.split(b";")[0].strip().lower() != _JSON:
        raise HTTPException(
            status.HTTP_415_UNSUPPORTED_MEDIA_TYPE, "Send Content-Type: application/json."
        )
    if int(headers.get(b"content-length", 0)) > most_bytes:  # the server made sure of digits
        raise _too_long(most_bytes)
    chunks, size = [], 0
    async for chunk in request.stream():  # a chunked body announces no length
        size += len(chunk)
        if size > most_bytes:
            raise _too_long(most_bytes)
        chunks.append(chunk)
    return b"".join(chunks)


def parse(wire: type[Wire], body: bytes) -> Wire:
    """Return what ``body`` says.

    Raises ``HTTPException`` 400 when it is not JSON and ``InvalidRequest`` when it is not
    ``wire``.
    """
    try:
        return wire.model_validate_json(body)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False)
    if problems[0]["type"] == "json_invalid":
        raise HTTPException(status.HTTP_400_BAD_REQUEST, problems[0]["msg"])
    raise InvalidRequest(of_body(problems))


def _too_long(most_bytes: int) -> HTTPException:
    return HTTPException(
        status.HTTP_413_CONTENT_TOO_LARGE, f"A body may have at most {most_bytes} bytes."
    )
