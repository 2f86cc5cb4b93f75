"""CDS Hooks 2.0.1, with 3.0's additions: a record system opens a chart, and shows a card."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from fastapi import APIRouter, Request, Response

from stroke.application.clinical.hospital import Call
from stroke.domain import access
from stroke.domain.clinical.grants import grant_of
from stroke.domain.clinical.kept import Feedback
from stroke.domain.clinical.times import instant
from stroke.entrypoints.api.access import DirectRoute, needs, origin_of, site_of
from stroke.entrypoints.api.cards import HOOK, REASON_CODES, SERVICE, cards, discovery
from stroke.entrypoints.api.charts import (
    LONGEST_SERVER,
    not_sent,
    patient_id_of,
    read_document,
    text_of,
    wrong,
)
from stroke.entrypoints.api.paths import HOOKS
from stroke.entrypoints.api.rendering import json_response
from stroke.entrypoints.api.state import api_state

router = APIRouter(route_class=DirectRoute, include_in_schema=False)

_LONGEST_INSTANCE: Final = 64
_LONGEST_COMMENT: Final = 4000
_MOST_FEEDBACK: Final = 1000
OTHER: Final = "other"


@router.get(HOOKS)
@needs(access.Scope.PREDICT)
async def services(request: Request) -> Response:
    """What the service can do, and what it wants to be sent."""
    return json_response(discovery(api_state(request).code_book))


@router.post(f"{HOOKS}/{SERVICE}")
@needs(access.Scope.PREDICT)
async def assess(request: Request) -> Response:
    """Cards for the patient whose chart is open; the prediction is durable before they are."""
    state = api_state(request)
    document = await read_document(request)
    if document.get("hook") != HOOK:
        raise wrong("/hook", f"must be {HOOK}")
    instance = text_of(document, "hookInstance", longest=_LONGEST_INSTANCE)
    if instance is None:
        raise wrong("/hookInstance", "is required")
    context = document.get("context")
    if not isinstance(context, Mapping):
        raise wrong("/context", "must be an object")
    patient_id = patient_id_of(context.get("patientId"), "/context/patientId")
    server = text_of(document, "fhirServer", longest=LONGEST_SERVER)
    sent = document.get("prefetch")
    # With and without a slash it is the same server, and so the same chart.
    server = server and (server.rstrip("/") or None)
    call = Call(server, instance, grant=grant_of(document.get("fhirAuthorization")))
    viewed = await state.hospital.view_sent(
        sent if isinstance(sent, Mapping) else {}, patient_id, call, origin_of(request)
    )
    if viewed.mapped.not_sent or viewed.mapped.incomplete:
        return not_sent(viewed)
    settings = state.clinical
    shown = cards(viewed, says_lacking=settings.card_when_lacking, public=settings.public_url)
    answer: dict[str, Any] = {"cards": shown}
    if viewed.assessed is not None:
        answer["extension"] = {"stroke.riskAssessment": viewed.assessed.kept.id}
    return json_response(answer)


@router.post(f"{HOOKS}/{SERVICE}/feedback")
@needs(access.Scope.PREDICT)
async def feedback(request: Request) -> Response:
    """What clinicians did with cards. What is said of a card that is not known is passed over."""
    document = await read_document(request)
    listed = document.get("feedback")
    if not isinstance(listed, list) or not 1 <= len(listed) <= _MOST_FEEDBACK:
        raise wrong("/feedback", f"must be a list of 1 to {_MOST_FEEDBACK} items")
    found = [_feedback(each, f"/feedback/{at}") for at, each in enumerate(listed)]
    await api_state(request).hospital.judge(found, site=site_of(request))
    return json_response({})


def _feedback(given: Any, pointer: str) -> Feedback:
    if not isinstance(given, Mapping):
        raise wrong(pointer, "must be an object")
    try:
        card = str(UUID(str(given.get("card"))))
    except ValueError:
        raise wrong(f"{pointer}/card", "must be the uuid of a card") from None
    verdict = given.get("outcome")
    if verdict not in ("accepted", "overridden"):
        raise wrong(f"{pointer}/outcome", "must be accepted or overridden")
    if verdict == "accepted" and not isinstance(given.get("acceptedSuggestions"), list):
        raise wrong(f"{pointer}/acceptedSuggestions", "is required where a card was accepted")
    moment = instant(given.get("outcomeTimestamp"))
    if moment is None:
        raise wrong(f"{pointer}/outcomeTimestamp", "must be a time in ISO 8601")
    reason, comment = _why(given.get("overrideReason")) if verdict == "overridden" else (None, None)
    return Feedback(card, verdict, reason, comment, min(moment, datetime.now(UTC)))


def _why(given: Any) -> tuple[str | None, str | None]:
    """Return the code of a reason and the comment; a code that is not ours is ``other``."""
    if not isinstance(given, Mapping):
        return None, None
    reason, comment = given.get("reason"), given.get("userComment")
    code = reason.get("code") if isinstance(reason, Mapping) else None
    known = code if isinstance(code, str) and code in REASON_CODES else OTHER
    text = comment[:_LONGEST_COMMENT] if isinstance(comment, str) and comment else None
    return known if reason is not None else None, text
