"""Bodies with charts: read within limits, and looked at without being quoted."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qsl

import orjson
from fastapi import Request, Response
from starlette.exceptions import HTTPException

from stroke.application.clinical.fetching import WHY_NOT
from stroke.application.clinical.hospital import Viewed
from stroke.entrypoints.api.body import read_body, refuse_ambiguous
from stroke.entrypoints.api.problems import problem_response
from stroke.entrypoints.api.state import api_state
from stroke.entrypoints.api.violations import FieldProblem, InvalidRequest

KINDS: Final = frozenset({b"application/json", b"application/fhir+json", b"application/json+fhir"})
_FORM: Final = "application/x-www-form-urlencoded"
_MOST_FIELDS: Final = 100
_THREAD_FROM: Final = 256 * 1024
_ID: Final = re.compile(r"(Patient/)?[A-Za-z0-9._~-]{1,128}")
# A relative or an absolute reference to a patient, or an id: what else there is may be another's.
_PATIENT: Final = re.compile(r"(?:(?:https?://[^?#\s]+/)?Patient/)?([^/?#\s]+)/?", re.IGNORECASE)
LONGEST_SERVER: Final = 255


async def read_document(request: Request) -> dict[str, Any]:
    """Return the JSON object in the body.

    Raises ``HTTPException`` 400 if it is none or has a name twice in one object, and what
    ``read_body`` raises.
    """
    state = api_state(request)
    async with state.admission.batch(request) as slot:
        body = await read_body(request, slot, most_bytes=state.most_bytes, kinds=KINDS)
        try:
            if len(body) < _THREAD_FROM:
                document = _loaded(body)
            else:
                document = await asyncio.to_thread(_loaded, body)
        except orjson.JSONDecodeError:
            raise HTTPException(HTTPStatus.BAD_REQUEST, "The body is not JSON.") from None
    if not isinstance(document, dict):
        raise HTTPException(HTTPStatus.BAD_REQUEST, "The body is no JSON object.")
    return document


async def read_form(request: Request) -> list[tuple[str, str]]:
    """Return the names and values of the form in the body. Raises what ``read_document`` does."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"The body must be {_FORM}.")
    state = api_state(request)
    async with state.admission.batch(request) as slot:
        body = await read_body(request, slot, most_bytes=state.most_bytes, kinds={_FORM.encode()})
    try:
        return parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise HTTPException(HTTPStatus.BAD_REQUEST, "The body is no form.") from None


def _loaded(body: bytes) -> Any:
    document = orjson.loads(body)
    refuse_ambiguous(body)
    return document


def wrong(pointer: str, detail: str) -> InvalidRequest:
    """Return what says that one field of a body is wrong."""
    return InvalidRequest([FieldProblem(pointer=pointer, detail=detail, code="invalid")])


def text_of(document: Mapping[str, Any], name: str, *, longest: int) -> str | None:
    """Return a text of a body, None where it is not there. Raises ``InvalidRequest``."""
    value = document.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not value.isprintable() or len(value) > longest or not value:
        raise wrong(f"/{name}", f"must be 1 to {longest} printable characters")
    return value


def patient_id_of(value: Any, pointer: str) -> str:
    """Return a patient's id. Raises ``InvalidRequest``, which does not quote it."""
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise wrong(pointer, "must be the id of a patient: letters, digits and . _ ~ -")
    return value


def named_patient(reference: str) -> str:
    """Return the patient's id in an id, a relative reference or an absolute one.

    Raises ``InvalidRequest``.
    """
    match = _PATIENT.fullmatch(reference)
    return patient_id_of("" if match is None else match[1], "/patient")


def not_sent(viewed: Viewed) -> Response:
    """Return the answer 412: what the client has to send before anything can be said."""
    mapped = viewed.mapped
    lacking = [(key, f"not sent: {key}") for key in mapped.not_sent]
    lacking += [(key, f"only the first page was sent: {key}") for key in mapped.incomplete]
    errors = []
    for key, detail in lacking:
        reason = viewed.not_fetched.get(key)
        why = "" if reason is None else f"; it was not fetched, for {WHY_NOT[reason]}"
        errors.append(
            {"pointer": f"/prefetch/{key}", "detail": f"{detail}{why}", "code": "required"}
        )
    return problem_response(
        HTTPStatus.PRECONDITION_FAILED,
        "The client did not send what is needed",
        name="not-sent",
        errors=errors,
    )
