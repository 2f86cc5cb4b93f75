"""Erasures from every place."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from stroke.application.erasure.subjects import MOST_SUBJECTS, REFERENCE
from stroke.domain.prediction import LARGEST_ID
from stroke.entrypoints.api.schemas.fields import BATCH_SIZE, WHOLE


class ErasureIn(BaseModel):
    """Which predictions are to be erased from every place."""

    model_config = ConfigDict(
        strict=True,
        # What is not understood may have been meant to spare something.
        extra="forbid",
        hide_input_in_errors=True,
        json_schema_extra={
            "examples": [{"ids": [17, 23]}, {"subjects": ["https://ehr.example/fhir/Patient/17"]}],
            "anyOf": [{"required": ["ids"]}, {"required": ["subjects"]}],
        },
    )

    ids: Annotated[
        list[Annotated[int, Field(ge=1, le=LARGEST_ID), WHOLE]],
        Field(min_length=1, max_length=BATCH_SIZE, description="ids of predictions"),
    ] = []
    subjects: Annotated[
        list[Annotated[str, Field(pattern=REFERENCE)]],
        Field(
            min_length=1,
            max_length=MOST_SUBJECTS,
            description="patients of record systems, as FHIR refers to them: all of their "
            "predictions. With the server where several servers sent charts",
        ),
    ] = []

    @model_validator(mode="after")
    def _somebody(self) -> Self:
        if not self.ids and not self.subjects:
            raise PydanticCustomError("missing", "must have ids or subjects")
        return self


class KeptOut(BaseModel):
    """What cannot be searched, and may hold erased rows until a time."""

    what: str
    until: datetime | None = Field(description="null where nothing says that it ever forgets")


class ErasureOut(BaseModel):
    """How far an erasure is, and what it did."""

    id: str
    state: Literal["queued", "running", "done"]
    ids: int = Field(description="how many predictions it was asked for")
    erased: list[int] = Field(description="ids of which the database kept something")
    not_found: list[int] = Field(description="ids that nobody has, or that are another site's")
    removed: dict[str, int] = Field(description="how many items left which place")
    kept: list[KeptOut]
    asked_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    attempts: int = Field(description="how often a worker took it up")
    detail: str | None = Field(description="why the last attempt failed; it is tried again")
