"""What is wrong with a request, field by field: code, place and words, never the value."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, Final

from pydantic import BaseModel, Field
from pydantic_core import ErrorDetails

from stroke.domain.errors import StrokeError, Violation
from stroke.domain.support import Support
from stroke.entrypoints.api.schemas.fields import PRINTABLE

# A client that gets everything wrong learns no more from the hundred-and-first problem.
MOST_PROBLEMS: Final = 100

# How pydantic's sentences begin; the field is named next to them.
_SUBJECT: Final = re.compile(r"^(Input|String|List|Value) should\b")


class FieldProblem(BaseModel):
    """One thing that is wrong, in the body (``pointer``) or in a parameter (``parameter``)."""

    pointer: Annotated[str | None, Field(description="JSON pointer (RFC 6901), in the body")] = None
    parameter: Annotated[str | None, Field(description="of the path, query or headers")] = None
    detail: str
    code: str = Field(description="stable name of the rule that is broken")


class InvalidRequest(StrokeError):
    """A request that breaks rules of the wire. Carries at most ``MOST_PROBLEMS`` of them."""

    def __init__(self, problems: Iterable[FieldProblem]) -> None:
        self.problems = tuple(problems)[:MOST_PROBLEMS]
        super().__init__("the request is not valid")


class OutsideRequest(InvalidRequest):
    """A request about a patient for whom the training data do not speak, which is refused here."""


def of_support(support: Support, within: Callable[[str], str]) -> list[FieldProblem]:
    """Return the reasons of ``support``; ``within(field)`` is the pointer to the field's object."""
    return [
        FieldProblem(
            pointer=f"{within(reason.features[0])}/{reason.features[0]}"
            if reason.features
            else within(""),
            detail=reason.text,
            code=reason.code,
        )
        for reason in support.reasons
    ]


def of_domain(violations: Iterable[Violation], within: str = "") -> list[FieldProblem]:
    """Return the domain's violations; ``within`` is the pointer to the patient they belong to."""
    return [
        FieldProblem(
            pointer=f"{within}/{violation.field}", detail=violation.reason, code="implausible"
        )
        for violation in violations
    ]


def of_body(errors: Iterable[ErrorDetails], within: str = "") -> list[FieldProblem]:
    """Return what pydantic found wrong with a body."""
    return [
        FieldProblem(
            pointer=within + pointer(error["loc"]), detail=_detail(error), code=error["type"]
        )
        for error in errors
    ]


def of_parameters(errors: Iterable[Mapping[str, Any]]) -> list[FieldProblem]:
    """Return what FastAPI found wrong with parameters, whose first location is their kind."""
    return [
        FieldProblem(
            parameter=str(error["loc"][1]) if len(error["loc"]) > 1 else None,
            detail=_detail(error),
            code=error["type"],
        )
        for error in errors
    ]


def of_parameter(name: str, detail: str, code: str) -> InvalidRequest:
    """Return the error of one parameter that a handler checked itself."""
    return InvalidRequest([FieldProblem(parameter=name, detail=detail, code=code)])


def pointer(location: Sequence[int | str]) -> str:
    """Return the JSON pointer (RFC 6901) of a location in a body."""
    return "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in location)


def _detail(error: Mapping[str, Any]) -> str:
    # These two of pydantic's own sentences say nothing to a client; the others name the rule
    # and its bounds, and none of them the value.
    if error["type"] == "missing":
        return "is required"
    if error["type"] == "string_pattern_mismatch" and error["ctx"]["pattern"] == PRINTABLE:
        return "must not contain control characters"
    return _SUBJECT.sub("must", str(error["msg"]))
