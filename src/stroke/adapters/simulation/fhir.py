"""Simulated patients as a hospital's record has them: FHIR R4, one JSON object a line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import Any, Final
from uuid import UUID

from stroke.adapters.simulation.patients import simulate

_LOINC: Final = "http://loinc.org"
_SNOMED: Final = "http://snomed.info/sct"
_TERMS: Final = "http://terminology.hl7.org/CodeSystem/"
_SMOKING: Final = {
    "never smoked": "266919005",
    "formerly smoked": "8517006",
    "smokes": "449868002",
    "Unknown": "266927001",
}
_CONDITIONS: Final = {"hypertension": "38341003", "heart_disease": "53741008"}
_GROUPS: Final = 200  # patients in memory
_INFANT: Final = 2
_DAYS: Final = 365.25


def fhir_lines(
    count: int, seed: int, *, missing: float, as_of: date, requests: bool
) -> Iterator[bytes]:
    """Yield a line of UTF-8 for each of ``count`` patients, who are of their age on ``as_of``.

    Each is a Bundle of the type ``collection``, or with ``requests`` a request of CDS Hooks with
    its prefetch. The patients and shares of ``missing`` values are those of ``simulate``.
    """
    number = 0
    for columns in simulate(count, seed, missing=missing, at_a_time=_GROUPS):
        for at in range(len(columns["age"].index)):
            row = {name: column.values[column.index[at]] for name, column in columns.items()}
            parts = _record(row, f"sim-{seed}-{number}", number, as_of)
            document = _request(parts, seed, number) if requests else _bundle(parts)
            number += 1
            yield json.dumps(document, ensure_ascii=False).encode() + b"\n"


_Parts = dict[str, list[dict[str, Any]]]


def _record(row: Mapping[str, Any], own: str, number: int, as_of: date) -> _Parts:
    given, _, family = str(row["name"]).rpartition(" ")
    patient = {
        "resourceType": "Patient",
        "id": own,
        "name": [{"family": family, "given": [given or family]}],
        "gender": str(row["gender"]).lower(),
        "birthDate": _born(float(row["age"]), number, as_of).isoformat(),
    }
    measured = as_of - timedelta(days=1 + number % 90)
    numbers = {"bmi": ("39156-5", "kg/m2"), "avg_glucose_level": ("2345-7", "mg/dL")}
    found = {
        field: [_quantity(own, field, code, float(row[field]), unit, measured)]
        for field, (code, unit) in numbers.items()
        if row[field] is not None
    }
    return {
        "patient": [patient],
        "bmi": found.get("bmi", []),
        "body": [],
        "glucose": found.get("avg_glucose_level", []),
        "smoking": [_smoking(own, str(row["smoking_status"]), measured)],
        "conditions": [
            _condition(own, field, code) for field, code in _CONDITIONS.items() if row[field]
        ],
    }


def _born(age: float, number: int, as_of: date) -> date:
    if age < _INFANT:
        return as_of - timedelta(days=round(age * _DAYS))
    same_day = date(as_of.year - int(age), as_of.month, min(as_of.day, 28))
    return same_day - timedelta(days=number * 37 % 350)


def _observation(own: str, field: str, code: str, category: str, day: date) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": f"{own}-{field.replace('_', '-')}",
        "status": "final",
        "category": [{"coding": [{"system": f"{_TERMS}observation-category", "code": category}]}],
        "code": {"coding": [{"system": _LOINC, "code": code}]},
        "subject": {"reference": f"Patient/{own}"},
        "effectiveDateTime": f"{day.isoformat()}T09:00:00Z",
    }


def _quantity(  # noqa: PLR0917 -- the parts of one quantity
    own: str, field: str, code: str, value: float, unit: str, day: date
) -> dict[str, Any]:
    category = "vital-signs" if field == "bmi" else "laboratory"
    quantity = {"value": value, "unit": unit, "system": "http://unitsofmeasure.org", "code": unit}
    return _observation(own, field, code, category, day) | {"valueQuantity": quantity}


def _smoking(own: str, status: str, day: date) -> dict[str, Any]:
    answer = {"coding": [{"system": _SNOMED, "code": _SMOKING[status]}]}
    found = _observation(own, "smoking", "72166-2", "social-history", day)
    return found | {"valueCodeableConcept": answer}


def _condition(own: str, field: str, code: str) -> dict[str, Any]:
    return {
        "resourceType": "Condition",
        "id": f"{own}-{field.replace('_', '-')}",
        "clinicalStatus": _coded("condition-clinical", "active"),
        "verificationStatus": _coded("condition-ver-status", "confirmed"),
        "category": [_coded("condition-category", "problem-list-item")],
        "code": {"coding": [{"system": _SNOMED, "code": code}]},
        "subject": {"reference": f"Patient/{own}"},
    }


def _coded(system: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": f"{_TERMS}{system}", "code": code}]}


def _bundle(parts: _Parts) -> dict[str, Any]:
    """Return everything in one bundle; the empty search says that there are no conditions."""
    entries: list[dict[str, Any]] = [
        {"fullUrl": f"http://example.org/fhir/{each['resourceType']}/{each['id']}"}
        | {"resource": each}
        for key, resources in parts.items()
        if key != "conditions"
        for each in resources
    ]
    [patient] = parts["patient"]
    link = {"relation": "self", "url": f"Condition?patient={patient['id']}"}
    searched = _searched(parts["conditions"]) | {"link": [link]}
    return {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [*entries, {"fullUrl": f"urn:uuid:{UUID(int=1)}", "resource": searched}],
    }


def _searched(resources: list[dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "resourceType": "Bundle",
        "type": "searchset",
        "total": len(resources),
    }
    if resources:
        found["entry"] = [
            {
                "fullUrl": f"http://example.org/fhir/{each['resourceType']}/{each['id']}",
                "resource": each,
                "search": {"mode": "match"},
            }
            for each in resources
        ]
    return found


def _request(parts: _Parts, seed: int, number: int) -> dict[str, Any]:
    [patient] = parts["patient"]
    return {
        "hook": "patient-view",
        "hookInstance": str(UUID(int=(seed % 2**60 << 64) + number, version=4)),
        "context": {"userId": "Practitioner/example", "patientId": patient["id"]},
        "prefetch": {
            "patient": patient,
            **{key: _searched(found) for key, found in parts.items() if key != "patient"},
        },
    }
