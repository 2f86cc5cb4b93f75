"""Routes over erasures from every place: ask for one, and see how far it is."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Request, Response

from stroke.application.erasure.jobs import Asker
from stroke.application.erasure.ports import ErasureJob
from stroke.application.erasure.subjects import subject_of
from stroke.domain.access import Scope
from stroke.domain.audit import AuditAction
from stroke.entrypoints.api.access import GuardedRoute, caller_of, needs, site_of
from stroke.entrypoints.api.auditing import written_down
from stroke.entrypoints.api.body import parse, read_body
from stroke.entrypoints.api.idempotency_key import KEY_PARAMETER, idempotency_key
from stroke.entrypoints.api.openapi import json_body, problems
from stroke.entrypoints.api.rendering import json_response
from stroke.entrypoints.api.schemas.erasures import ErasureIn, ErasureOut
from stroke.entrypoints.api.state import api_state
from stroke.entrypoints.request_id import CURRENT

router = APIRouter(tags=["erasures"], route_class=GuardedRoute)

_PATH: Final = "/api/v1/erasures"
_KEY: Final = {
    **KEY_PARAMETER,
    "description": "Makes a retry safe: a request with the same key gets the same job. 409 "
    "`urn:stroke:problem:idempotency-key-reused` means that the key belongs to an erasure of other "
    "predictions.",
}
JobId = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]


@router.post(
    _PATH,
    status_code=HTTPStatus.ACCEPTED,
    response_model=ErasureOut,
    responses=problems(400, 404, 409, 413, 415, 422, 503),
    openapi_extra={**json_body(ErasureIn), "parameters": [_KEY]},
    summary="Ask for predictions to be erased from every place",
)
@needs(Scope.ERASE)
@written_down(AuditAction.ERASURE_ASK, changes=True)
async def ask(request: Request) -> Response:
    """The answer names a job, which is carried out in the background; `Location` is its address.

    Safe to repeat: what is gone changes nothing. Ids that nobody has, or that are another site's,
    are in `not_found`; if all of them are, the answer is 404. A caller with `all-sites` gets a job
    in any case, which takes what is left of erased rows out of the copies, too. `subjects` are
    patients of record systems whose charts were assessed: all of their predictions are erased. If
    several servers have a patient of this id, and none is named, the answer is 409
    `urn:stroke:problem:ambiguous-subject`. The job lists ids of predictions, and no subject.
    """
    state = api_state(request)
    key = idempotency_key(request)
    async with state.admission.one(request) as slot:
        body = await read_body(request, slot, most_bytes=state.most_bytes)
        wanted = parse(ErasureIn, body)
    subjects = [each for each in map(subject_of, wanted.subjects) if each is not None]
    job = await state.erasures.ask(wanted.ids, of=asker_of(request), key=key, subjects=subjects)
    answer = json_response(_shown(job), HTTPStatus.ACCEPTED)
    answer.headers["Location"] = f"{request.scope.get('root_path', '')}{_PATH}/{job.id}"
    return answer


@router.get(
    _PATH + "/{job_id}",
    response_model=ErasureOut,
    responses=problems(404, 422, 503),
    summary="See how far an erasure is",
)
@needs(Scope.ERASE)
@written_down(AuditAction.ERASURE_READ)
async def find(request: Request, job_id: JobId) -> Response:
    """`state` is `done` once nothing is left, but for what `kept` names with its dates.

    While it is `queued` again after an attempt, `detail` says why that failed; it is tried again.
    """
    job = await api_state(request).erasures.find(job_id, site=site_of(request))
    return json_response(_shown(job))


def asker_of(request: Request) -> Asker:
    """Return who asks for an erasure."""
    caller = caller_of(request)
    return Asker(f"{caller.kind}:{caller.id}", site_of(request), CURRENT.get())


def _shown(job: ErasureJob) -> dict[str, Any]:
    result = job.result
    return {
        "id": job.id,
        "state": job.state,
        "ids": len(job.asked_for),
        "erased": list(result.erased) if result else [],
        "not_found": list(result.unknown if result else job.unknown),
        "removed": dict(result.removed) if result else {},
        "kept": [{"what": k.what, "until": k.until} for k in result.retained] if result else [],
        "asked_at": job.asked_at,
        "started_at": job.started_at,
        "ended_at": job.ended_at,
        "attempts": job.attempts,
        "detail": job.trouble,
    }
