"""Quantities of a record in the model's units. A unit that is not known is never guessed."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from stroke.domain.patient import AVG_GLUCOSE_LEVEL, BMI, Range

UCUM: Final = "http://unitsofmeasure.org"
_UCUM_AS_OID: Final = "urn:oid:2.16.840.1.113883.6.8"

MG_PER_DL_OF_MMOL_PER_L: Final = 18.016
"""For glucose: its molar mass is 180.16 g/mol, and a decilitre is a tenth of a litre."""

WEIGHT: Final = Range(10, 500, "kg")
HEIGHT: Final = Range(50, 250, "cm")
# A record writes a height or a weight that nobody has when a unit is wrong.

_LONGEST_UNIT: Final = 20
_POUND: Final = 0.45359237
_STONE: Final = 14 * _POUND
_INCH: Final = 2.54
_ANNOTATION: Final = re.compile(r"\{[^{}]*\}")
# UCUM's remarks, as in mg/dL{fasting}, have no meaning.


@dataclass(frozen=True, slots=True)
class Kind:
    """How one kind of quantity is written: factors to its unit by UCUM code, and by text."""

    unit: str
    plausible: Range
    ucum: Mapping[str, float]
    texts: Mapping[str, float]
    """By the text in small letters without blanks."""


KINDS: Final[Mapping[str, Kind]] = {
    "bmi": Kind(
        "kg/m²",
        BMI,
        {"kg/m2": 1, "kg/m^2": 1, "g/cm2": 10, "kg.m-2": 1},
        {"kg/m2": 1, "kg/m²": 1, "kg/m^2": 1, "kg/m**2": 1},
    ),
    "weight": Kind(
        "kg",
        WEIGHT,
        {"kg": 1, "g": 1e-3, "[lb_av]": _POUND, "[oz_av]": _POUND / 16, "[stone_av]": _STONE},
        {"kg": 1, "kgs": 1, "kilograms": 1, "g": 1e-3, "lb": _POUND, "lbs": _POUND}
        | {"pounds": _POUND, "[lb_av]": _POUND, "st": _STONE, "stone": _STONE, "stones": _STONE},
    ),
    "height": Kind(
        "cm",
        HEIGHT,
        {"cm": 1, "m": 100, "mm": 0.1, "[in_i]": _INCH, "[in_us]": 100 / 39.37, "[ft_i]": 30.48},
        {"cm": 1, "m": 100, "mm": 0.1, "in": _INCH, "inch": _INCH, "inches": _INCH}
        | {"ft": 30.48, "feet": 30.48, "[in_i]": _INCH},
    ),
    "glucose": Kind(
        "mg/dL",
        AVG_GLUCOSE_LEVEL,
        {"mg/dL": 1, "mg/dl": 1, "mg/100mL": 1, "mg%": 1, "mg/L": 0.1, "mg/l": 0.1}
        | {"g/L": 100, "g/l": 100, "g/dL": 1000, "g/dl": 1000, "ug/mL": 0.1}
        | {"mmol/L": MG_PER_DL_OF_MMOL_PER_L, "mmol/l": MG_PER_DL_OF_MMOL_PER_L}
        | {"umol/L": MG_PER_DL_OF_MMOL_PER_L / 1000, "umol/l": MG_PER_DL_OF_MMOL_PER_L / 1000}
        | {"mg.dL-1": 1, "mmol.L-1": MG_PER_DL_OF_MMOL_PER_L},
        {"mg/dl": 1, "mg/100ml": 1, "mg%": 1, "mg/l": 0.1, "g/l": 100, "g/dl": 1000}
        | {"mmol/l": MG_PER_DL_OF_MMOL_PER_L},
    ),
}


class UnusableQuantity(Exception):
    """A quantity that says no number in a known unit; its text says why, without the number."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A quantity in the model's unit; ``written`` is as the record has it."""

    value: float
    written: str
    converted: bool


def measured(kind: Kind, quantity: Any) -> Measured:
    """Return a FHIR ``Quantity`` in the kind's unit. Raises ``UnusableQuantity``."""
    if not isinstance(quantity, Mapping):
        raise UnusableQuantity("is no quantity")
    value = quantity.get("value")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UnusableQuantity("has no number")
    if quantity.get("comparator"):
        raise UnusableQuantity("is only a limit (it has a comparator)")
    factor = _factor(kind, quantity)
    try:
        found = float(value) * factor
    except OverflowError:
        found = math.inf
    if not math.isfinite(found) or found not in kind.plausible:
        raise UnusableQuantity(f"is not plausible (it must be {kind.plausible})")
    shown = (_text(quantity.get("unit")) or _text(quantity.get("code")) or "")[:_LONGEST_UNIT]
    return Measured(found, f"{value} {shown}".strip(), factor != 1)


def _factor(kind: Kind, quantity: Mapping[str, Any]) -> float:
    code, text = _text(quantity.get("code")), _text(quantity.get("unit"))
    system = _text(quantity.get("system"))
    if not code and not text and "" in kind.texts:
        return kind.texts[""]  # a number without a unit, as the kind has it
    by_text = kind.texts.get(plain_unit(text)) if text else None
    if by_text is None and text:
        by_text = kind.ucum.get(text)
    if code and system in (UCUM, _UCUM_AS_OID):
        by_code = kind.ucum.get(_ANNOTATION.sub("", code))
        if by_code is None:
            raise UnusableQuantity("has a unit that is not known")
        if by_text is not None and by_text != by_code:
            raise UnusableQuantity("has a unit whose code and text say different things")
        return by_code
    if code and not text:
        # A code without its system, or of another one, is but a text.
        by_text = kind.ucum.get(code) or kind.texts.get(code.lower())
    if by_text is None:
        raise UnusableQuantity("has a unit that is not known" if code or text else "has no unit")
    return by_text


def plain_unit(text: str) -> str:
    """Return a unit as texts of units are compared: in small letters without blanks."""
    return "".join(text.split()).lower()


def _text(value: Any) -> str | None:
    return value.strip() or None if isinstance(value, str) else None
