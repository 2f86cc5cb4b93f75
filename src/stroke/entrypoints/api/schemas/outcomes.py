"""Outcomes of predictions."""

from __future__ import annotations

import datetime as dt
import re
from datetime import datetime
from typing import Annotated, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

from stroke.domain.outcome import SOURCE_LENGTH, Outcome
from stroke.entrypoints.api.schemas.fields import PRINTABLE

OUTCOME_EXAMPLE: Final[JsonDict] = {
    "stroke": True,
    "date": "2026-11-03",
    "source": "stroke register",
}

_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _iso_day(text: object) -> object:
    # Pydantic takes a bare number for seconds since 1970, and midnight for a day.
    if isinstance(text, str) and _DAY.fullmatch(text):
        return text
    raise PydanticCustomError("date", "Input should be a day as YYYY-MM-DD")


class OutcomeIn(BaseModel):
    """What happened to the patient after the prediction."""

    model_config = ConfigDict(
        strict=True,
        extra="ignore",
        hide_input_in_errors=True,
        json_schema_extra={"examples": [OUTCOME_EXAMPLE]},
    )

    stroke: bool
    date: Annotated[
        dt.date,
        Field(
            strict=False,
            description="day of the stroke, or the last day known to be free of one; not in the "
            "future, not before the prediction",
        ),
        BeforeValidator(_iso_day),
    ]
    source: Annotated[
        str,
        Field(
            min_length=1,
            max_length=SOURCE_LENGTH,
            pattern=PRINTABLE,
            description="where this is known from; never a patient's name",
        ),
    ]

    def to_domain(self, prediction_id: int) -> Outcome:
        """Return the outcome of a prediction."""
        return Outcome(prediction_id, self.stroke, self.date, self.source)


class OutcomeOut(BaseModel):
    """A stored outcome."""

    prediction_id: int
    stroke: bool
    date: dt.date
    source: str
    recorded_at: datetime = Field(description="when it was last changed")
