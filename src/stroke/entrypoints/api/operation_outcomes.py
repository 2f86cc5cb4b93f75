"""Errors under /fhir and /cds-services as OperationOutcomes (turned_problems.py turns them)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

FHIR_JSON: Final = "application/fhir+json"
_CODES: Final = {
    400: "invalid",
    401: "login",
    403: "forbidden",
    404: "not-found",
    405: "not-supported",
    406: "not-supported",
    409: "conflict",
    410: "deleted",
    412: "required",
    413: "too-long",
    415: "not-supported",
    422: "invalid",
    429: "throttled",
    503: "transient",
}


def outcome_of(problem: Mapping[str, Any]) -> dict[str, Any]:
    """Return an OperationOutcome that says what a problem document says."""
    status = problem.get("status", 500)
    texts = [problem.get("title"), problem.get("detail")]
    said = ". ".join(str(text).rstrip(".") for text in texts if text)
    code = _CODES.get(status, "exception")
    issues = []
    for error in problem.get("errors") or ():
        issue = {"severity": "error", "code": code, "details": {"text": error.get("detail", said)}}
        place = error.get("pointer") or error.get("parameter")
        if place:
            issue["expression"] = [str(place).strip("/").replace("/", ".")]
        issues.append(issue)
    if not issues:
        issues = [{"severity": "error", "code": code, "details": {"text": said}}]
    if (request_id := problem.get("request_id")) is not None:
        issues[0]["diagnostics"] = f"X-Request-ID {request_id}"
    return {"resourceType": "OperationOutcome", "issue": issues}
