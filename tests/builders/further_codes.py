"""A site's codes for features of a model's own, and records that have them."""

from __future__ import annotations

from typing import Any, Final

from builders.charts import SNOMED, UCUM, observation
from builders.further import ALCOHOL, DIABETES, MARRIED, WAIST
from stroke.domain.further import Further

WARD: Final = "urn:ward:codes"
MARITAL: Final = "http://terminology.hl7.org/CodeSystem/v3-MaritalStatus"
MAPPED: Final[Further] = (WAIST, DIABETES, ALCOHOL, MARRIED)
CODES: Final[dict[str, Any]] = {
    "version": "ward-1",
    "systems": {"ward": [WARD], "marital": [MARITAL]},
    "further": {
        "waist": {
            "observations": {"loinc": ["8280-0"], "ward": {"WST": "known"}},
            "units": {"[in_i]": 2.54, "inch": 2.54},
        },
        "diabetes": {"conditions": {"snomed": ["44054006"], "icd-10": ["E10-E14"]}},
        "alcohol": {
            "observations": {"loinc": ["74013-4"]},
            "values": {"none": {"ward": ["0"]}, "some": {"ward": ["1", "2"]}},
        },
        "ever_married": {
            "patient": "maritalStatus",
            "values": {"Yes": {"marital": ["M", "D", "W"]}, "No": {"marital": ["S"]}},
        },
    },
}
"""Codes for a number, a flag, an answer, and a field of the Patient."""


def waist(value: Any = 96.5, unit: str = "cm", own: str = "wst1", **more: Any) -> dict[str, Any]:
    quantity = {"value": value, "unit": unit, "system": UCUM, "code": unit}
    return observation(own, "8280-0", **{"valueQuantity": quantity, **more})


def answer(code: str, *others: str, own: str = "alc1", **more: Any) -> dict[str, Any]:
    """Return an observation of alcohol with coded answers of the ward."""
    coding = [{"system": WARD, "code": each} for each in (code, *others)]
    return observation(own, "74013-4", **{"valueCodeableConcept": {"coding": coding}, **more})


def married(code: str = "M") -> dict[str, Any]:
    """Return the field of a Patient."""
    return {"maritalStatus": {"coding": [{"system": MARITAL, "code": code}]}}


DIABETIC: Final = (SNOMED, "44054006")
