"""Values that several requests take: their limits and what they are made of."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from stroke.domain.patient import (
    AVG_GLUCOSE_LEVEL,
    BMI,
    COUNTRY_LENGTH,
    NAME_LENGTH,
    PROVINCE_LENGTH,
    flag_of,
)

BATCH_SIZE: Final = 10_000

# C0, DEL and C1 controls; JSON itself keeps lone surrogates out.
PRINTABLE: Final = r"^[^\x00-\x1f\x7f-\x9f]*$"


def _exact_flag(number: float) -> int:
    # Pydantic's own multiple_of=1 takes what is nearly a multiple: 0.999999999999999.
    flag = flag_of(number)
    if flag is None:
        raise PydanticCustomError("multiple_of", "Input should be 0 or 1")
    return flag


# 0 and 1 arrive as integers from most clients, as 0.0 and 1.0 from data frames with a gap in
# the column: one number to JSON, which is why the schema may call both an integer.
Flag = Annotated[
    float,
    Field(ge=0, le=1),
    AfterValidator(_exact_flag),
    WithJsonSchema({"type": "integer", "enum": [0, 1]}),
]

Glucose = Annotated[
    float,
    Field(ge=AVG_GLUCOSE_LEVEL.low, le=AVG_GLUCOSE_LEVEL.high, description=AVG_GLUCOSE_LEVEL.unit),
]

Bmi = Annotated[float, Field(ge=BMI.low, le=BMI.high, description=BMI.unit)]

Name = Annotated[str, Field(max_length=NAME_LENGTH, pattern=PRINTABLE)]

Country = Annotated[str, Field(max_length=COUNTRY_LENGTH, pattern=PRINTABLE)]

Province = Annotated[str, Field(max_length=PROVINCE_LENGTH, pattern=PRINTABLE)]


EXACT_AS_FLOAT: Final = 2**53


def _whole(number: object) -> object:
    # 7.0 is the integer 7 in JSON Schema. Beyond 2^53 a float may stand for another integer than
    # the one that was sent.
    if isinstance(number, float) and number.is_integer() and abs(number) < EXACT_AS_FLOAT:
        return int(number)
    return number


WHOLE: Final = BeforeValidator(_whole)
"""For an integer of a strict class, behind its bounds: takes what JSON Schema calls one."""
