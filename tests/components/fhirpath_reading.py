"""A reading of charts by FHIRPath, to hold the mapping to.

It knows nothing of the mapping: it has codes of its own, and no units to convert.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from functools import cache
from typing import Any, Final

import fhirpathpy
import pytest

from stroke.adapters.clinical_codes.files import read_code_book
from stroke.domain.clinical.chart import chart_of_bundle
from stroke.domain.clinical.mapping import MappingRules, map_chart

NOW: Final = datetime(2026, 11, 29, 12, tzinfo=UTC)
BOOK: Final = read_code_book()
_OF: Final = "Bundle.entry.resource.where(resourceType = '{}')"
_OBSERVED: Final = (
    _OF.format("Observation")
    + ".where(status = 'final' or status = 'amended' or status = 'corrected')"
    + ".where(code.coding.where(system = 'http://loinc.org' and ({})).exists())"
)
_CONDITION: Final = (
    _OF.format("Condition")
    + ".where(verificationStatus.coding.where(code = 'refuted' or code = 'entered-in-error'"
    + " or code = 'unconfirmed').empty())"
    + ".where(code.coding.where({}).exists())"
)
GLUCOSE: Final = ("2345-7", "2339-0")
SMOKING: Final = {
    "266919005": "never smoked",
    "8517006": "formerly smoked",
    "449868002": "smokes",
    "428041000124106": "smokes",
    "77176002": "smokes",
}
STROKE: Final = "230690007"
HYPERTENSION: Final = ("59621000", "38341003")
HEART: Final = (
    "53741008",
    "414545008",
    "22298006",
    "401314000",
    "88805009",
    "84114007",
    "49436004",
)


@cache
def _compiled(path: str) -> Callable[[Any], list[Any]]:
    compiled = fhirpathpy.compile(path)
    return lambda bundle: compiled(bundle, None)


def found(path: str, bundle: Any) -> list[Any]:
    return list(_compiled(path)(bundle))


def _any_of(codes: Sequence[str]) -> str:
    return " or ".join(f"code = '{code}'" for code in codes)


def newest(bundle: Any, *codes: str) -> Mapping[str, Any] | None:
    listed = found(_OBSERVED.format(_any_of(codes)), bundle)
    return max(
        listed,
        key=lambda each: datetime.fromisoformat(each["effectiveDateTime"]).astimezone(UTC),
        default=None,
    )


def by_fhirpath(bundle: Any) -> dict[str, Any]:
    """Return what FHIRPath finds, by feature; smoking only where it is recorded."""
    [gender] = found(_OF.format("Patient") + ".gender", bundle)
    [born] = found(_OF.format("Patient") + ".birthDate", bundle)
    day, today = date.fromisoformat(born), NOW.date()
    age = today.year - day.year - ((today.month, today.day) < (day.month, day.day))
    values: dict[str, Any] = {"gender": gender.capitalize(), "age": float(age)}
    measured: tuple[tuple[str, Sequence[str], str], ...] = (
        ("bmi", ("39156-5",), "kg/m2"),
        ("avg_glucose_level", GLUCOSE, "mg/dL"),
    )
    for feature, codes, unit in measured:
        if (observed := newest(bundle, *codes)) is not None:
            quantity = observed["valueQuantity"]
            assert quantity["code"] == unit
            values[feature] = float(quantity["value"])
    if (observed := newest(bundle, "72166-2")) is not None:
        [coding] = observed["valueCodeableConcept"]["coding"]
        values["smoking_status"] = SMOKING[coding["code"]]
    icd = "system = 'http://hl7.org/fhir/sid/icd-10-cm' and ({})"
    snomed = "system = 'http://snomed.info/sct' and ({})"
    meant: tuple[tuple[str, Sequence[str], Sequence[str]], ...] = (
        ("hypertension", ("I10", "I11", "I12", "I13", "I15"), HYPERTENSION),
        ("heart_disease", ("I2", "I3", "I4", "I50", "I51"), HEART),
    )
    for feature, starts, codes in meant:
        begins = " or ".join(f"code.startsWith('{each}')" for each in starts)
        paths = (icd.format(begins), snomed.format(_any_of(codes)))
        values[feature] = int(any(found(_CONDITION.format(path), bundle) for path in paths))
    return values


def excluded_by_fhirpath(bundle: Any) -> str | None:
    """Return why FHIRPath finds that a grown patient is not assessed."""
    died = ".where(deceasedDateTime.exists() or deceasedBoolean = true)"
    if found(_OF.format("Patient") + died, bundle):
        return "deceased"
    if found(_CONDITION.format(f"system = 'http://snomed.info/sct' and code = '{STROKE}'"), bundle):
        return "stroke"
    return None


def same(bundle: Any) -> dict[str, Any]:
    """Hold both readings of a chart to one another; return the values."""
    chart = chart_of_bundle(bundle, conditions_known=True)
    mapped = map_chart(chart, BOOK, MappingRules(), NOW)
    values = {name: each.value for name, each in mapped.values.items()}
    expected = by_fhirpath(bundle)
    smokes = values.pop("smoking_status")
    assert smokes == expected.pop("smoking_status", "Unknown")
    assert values == pytest.approx(expected)
    assert mapped.excluded == excluded_by_fhirpath(bundle)
    return values
