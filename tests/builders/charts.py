"""Charts of invented patients, as a hospital's record sends them (FHIR R4, CDS Hooks)."""

from __future__ import annotations

from typing import Any, Final

LOINC: Final = "http://loinc.org"
SNOMED: Final = "http://snomed.info/sct"
UCUM: Final = "http://unitsofmeasure.org"
ICD10: Final = "http://hl7.org/fhir/sid/icd-10"
ICD10_CM: Final = "http://hl7.org/fhir/sid/icd-10-cm"
ICD10_GM: Final = "http://fhir.de/CodeSystem/bfarm/icd-10-gm"
TERMS: Final = "http://terminology.hl7.org/CodeSystem/"
ABSENT: Final = object()

CORONARY: Final = "53741008"
FORMER: Final = "8517006"
NEVER: Final = "266919005"
CURRENT: Final = "449868002"
UNKNOWN_SMOKER: Final = "266927001"
PATIENT: Final[dict[str, Any]] = {
    "resourceType": "Patient",
    "id": "p1",
    "gender": "male",
    "birthDate": "1959-03-14",
    "name": [{"family": "Muster", "given": ["Erwin"]}],
}


def quantity(value: Any, unit: str, **more: Any) -> dict[str, Any]:
    """Return a quantity whose unit is written by UCUM code and as text."""
    return {"value": value, "unit": unit, "system": UCUM, "code": unit, **more}


def observation(own: str, code: str, **more: Any) -> dict[str, Any]:
    """Return a final observation of the patient; a value of None takes a field away."""
    whole = {
        "resourceType": "Observation",
        "id": own,
        "status": "final",
        "code": {"coding": [{"system": LOINC, "code": code}]},
        "subject": {"reference": "Patient/p1"},
        "effectiveDateTime": "2026-10-01T09:00:00Z",
        **more,
    }
    return {name: value for name, value in whole.items() if value is not None}


def bmi(value: Any = 36.6, own: str = "bmi1", **more: Any) -> dict[str, Any]:
    return observation(own, "39156-5", **{"valueQuantity": quantity(value, "kg/m2"), **more})


def glucose(
    value: Any = 228.69, unit: str = "mg/dL", own: str = "glu1", code: str = "2345-7", **more: Any
) -> dict[str, Any]:
    return observation(own, code, **{"valueQuantity": quantity(value, unit), **more})


def smoking(answer: str = FORMER, own: str = "smo1", **more: Any) -> dict[str, Any]:
    value = {"coding": [{"system": SNOMED, "code": answer}]}
    return observation(own, "72166-2", **{"valueCodeableConcept": value, **more})


def condition(own: str, system: str, number: str, **more: Any) -> dict[str, Any]:
    """Return an active, confirmed condition of the patient."""
    whole = {
        "resourceType": "Condition",
        "id": own,
        "clinicalStatus": {"coding": [{"system": f"{TERMS}condition-clinical", "code": "active"}]},
        "verificationStatus": {
            "coding": [{"system": f"{TERMS}condition-ver-status", "code": "confirmed"}]
        },
        "code": {"coding": [{"system": system, "code": number}]},
        "subject": {"reference": "Patient/p1"},
        **more,
    }
    return {name: value for name, value in whole.items() if value is not None}


def status(code: str) -> dict[str, Any]:
    return {"coding": [{"code": code}]}


def bundle(*resources: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return the answer of a search."""
    entries = [
        {"fullUrl": f"http://127.0.0.1/fhir/{each['resourceType']}/{each.get('id')}"}
        | {"resource": each, "search": {"mode": "match"}}
        for each in resources
    ]
    whole = {
        "resourceType": "Bundle",
        "type": "searchset",
        "total": len(entries),
        "entry": entries,
        **more,
    }
    return {name: value for name, value in whole.items() if value != []}


def more_pages(*resources: dict[str, Any]) -> dict[str, Any]:
    """Return the first page of a search that has another one."""
    return bundle(*resources, link=[{"relation": "next", "url": "http://127.0.0.1/fhir?page=2"}])


def prefetch(**changed: Any) -> dict[str, Any]:
    """Return what a client sends of a patient with everything; ABSENT takes a key away."""
    whole = {
        "patient": PATIENT,
        "bmi": bundle(bmi()),
        "body": bundle(),
        "glucose": bundle(glucose()),
        "smoking": bundle(smoking()),
        "conditions": bundle(condition("c1", SNOMED, CORONARY)),
        **changed,
    }
    return {key: value for key, value in whole.items() if value is not ABSENT}


def request(**changed: Any) -> dict[str, Any]:
    """Return a request of CDS Hooks with ``prefetch``."""
    return {
        "hook": "patient-view",
        "hookInstance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
        "fhirServer": "http://127.0.0.1:8090/fhir",
        "context": {"userId": "Practitioner/x", "patientId": "p1"},
        "prefetch": prefetch(**changed),
    }
