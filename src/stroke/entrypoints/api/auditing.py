"""Which routes leave an entry in the audit trail, and how: each says so, and the guard writes it.

Only callers who are known are written down: where everybody may call, there is nobody to name.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, Final, NamedTuple, TypeVar

from fastapi import Request, Response

from stroke.application.audit.trail import AuditTrail
from stroke.domain.access import Principal
from stroke.domain.audit import AuditAction, AuditOutcome
from stroke.domain.errors import (
    AssessmentErased,
    AssessmentNotFound,
    ErasureJobNotFound,
    NothingToErase,
    OutcomeNotFound,
    PredictionNotFound,
    StoreUnavailable,
    StrokeError,
)
from stroke.entrypoints.request_id import CURRENT

_Endpoint = TypeVar("_Endpoint", bound=Callable[..., Any])
_WRITES: Final = "__stroke_audit__"
_ID: Final = re.compile(r"[0-9]{1,19}", re.ASCII)
_JOB: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_NOT_FOUND: Final = (
    PredictionNotFound,
    OutcomeNotFound,
    NothingToErase,
    ErasureJobNotFound,
    AssessmentNotFound,
    AssessmentErased,
)


class Written(NamedTuple):
    """What a route's entries say. ``changes`` is whether it changes data."""

    action: AuditAction
    changes: bool


def written_down(action: AuditAction, *, changes: bool = False) -> Callable[[_Endpoint], _Endpoint]:
    """Mark an endpoint: each call of a known caller is an entry of the trail.

    One that ``changes`` data has an entry before, and another one after: a process that is killed
    between the two leaves the first, so that no change is without one.
    """

    def marked(endpoint: _Endpoint) -> _Endpoint:
        setattr(endpoint, _WRITES, Written(action, changes))
        return endpoint

    return marked


def written_of(endpoint: Callable[..., Any]) -> Written | None:
    """Return what an endpoint's calls leave in the trail; None for nothing."""
    found: Written | None = getattr(endpoint, _WRITES, None)
    return found


async def keeping_record(
    trail: AuditTrail,
    caller: Principal,
    written: Written,
    request: Request,
    handler: Callable[[Request], Awaitable[Response]],
) -> Response:
    """Return the handler's answer once its entry is durable.

    Raises ``StoreUnavailable`` when it cannot be written: what is not written down is not shown.
    A request that was refused for what it says has no entry, for nothing was looked at.
    """
    target = _target(request)

    async def write(outcome: AuditOutcome) -> None:
        await trail.record(
            written.action,
            actor=f"{caller.kind}:{caller.id}",
            outcome=outcome,
            target=target,
            site=caller.site,
            request_id=CURRENT.get(),
        )

    if written.changes:
        await write(AuditOutcome.ASKED)
    try:
        answer = await handler(request)
    except _NOT_FOUND:
        await write(AuditOutcome.NOT_FOUND)
        raise
    except StrokeError:
        if written.changes:
            with suppress(StoreUnavailable):
                await write(AuditOutcome.FAILED)
        raise
    await write(AuditOutcome.DONE)
    return answer


async def refused(trail: AuditTrail, caller: Principal | None, request: Request) -> None:
    """Write down an attempt that was refused. The answer is the same if that fails."""
    host = request.client.host if request.client else "unknown"
    with suppress(StoreUnavailable):
        await trail.record(
            AuditAction.ACCESS_REFUSED,
            actor=f"address:{host}" if caller is None else f"{caller.kind}:{caller.id}",
            outcome=AuditOutcome.REFUSED,
            target=f"{request.method} {_template(request.scope)}",
            site=None if caller is None else caller.site,
            request_id=CURRENT.get(),
        )


def _target(request: Request) -> str:
    """Return the id in the path, or else the names of the parameters that narrow a list.

    Values may be a patient's, and so may a name that no route knows.
    """
    forms = (("prediction_id", _ID), ("job_id", _JOB), ("assessment_id", _UUID))
    for name, form in forms:
        if (found := request.path_params.get(name)) is not None:
            # It has not been looked at yet: what is no number may be a name.
            return found if form.fullmatch(found) else "an id that is none"
    if request.method == "POST":
        return "what its body names"
    route = request.scope["route"].dependant
    shared = [each for part in route.dependencies for each in part.query_params]
    known = {each.alias for each in (*route.query_params, *shared)}
    return " ".join(sorted(known.intersection(request.query_params))) or "everything"


def _template(scope: Mapping[str, Any]) -> str:
    return str(scope["route"].path)
