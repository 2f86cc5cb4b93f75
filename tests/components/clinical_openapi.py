"""What the routes of record systems take and answer, as OpenAPI, for requests that are made up.

The service's own document leaves them out: CDS Hooks and FHIR describe themselves. What is
answered is written down here from these standards, not from the service.
"""

from __future__ import annotations

from typing import Any, Final

from builders.charts import ICD10, LOINC, SNOMED, UCUM

HOOK: Final = "/cds-services/stroke-risk"
_FHIR: Final = "application/fhir+json"
_ERRORS: Final = (400, 401, 403, 404, 405, 406, 410, 412, 413, 415, 422, 429, 503)

_Schema = dict[str, Any]


def _object(required: dict[str, _Schema], **more: _Schema) -> _Schema:
    return {"type": "object", "required": [*required], "properties": {**required, **more}}


def _list(items: _Schema, least: int = 0, most: int = 4) -> _Schema:
    return {"type": "array", "items": items, "minItems": least, "maxItems": most}


def _one_of(*values: Any) -> _Schema:
    return {"enum": [*values]}


def _concept(*codes: tuple[str, str]) -> _Schema:
    coding = [_object({"system": _one_of(system), "code": _one_of(code)}) for system, code in codes]
    return _object({"coding": _list({"oneOf": coding}, 1, 2)})


_ID: Final[_Schema] = {"type": "string", "pattern": "^[a-z0-9]{1,8}$"}
_DAY: Final[_Schema] = {"type": "string", "pattern": "^20[012][0-9]-0[1-9]-(0[1-9]|1[0-9]|2[0-8])$"}
_FROM_OR_TO: Final[_Schema] = {"type": "string", "pattern": "^[gl][et]20[0-9]{2}$"}
_TIME: Final[_Schema] = {"type": "string", "format": "date-time"}
_SUBJECT: Final = _object({"reference": _one_of("Patient/p1", "Patient/p2", "#p1")})
_QUANTITY: Final = _object(
    {"value": {"type": "number", "minimum": 1, "maximum": 400}},
    unit=_one_of("kg/m2", "mg/dL", "mmol/L", "kg", "cm"),
    system=_one_of(UCUM),
    code=_one_of("kg/m2", "mg/dL", "mmol/L", "kg", "cm"),
    comparator=_one_of("<", ">="),
)
_PATIENT: Final = _object(
    {"resourceType": _one_of("Patient"), "id": _one_of("p1", "p2")},
    gender=_one_of("male", "female", "other", "unknown"),
    birthDate={"oneOf": [_DAY, _one_of("1959-03-14", "1950", "1944-05")]},
    deceasedBoolean={"type": "boolean"},
)
_OBSERVATION: Final = _object(
    {
        "resourceType": _one_of("Observation"),
        "status": _one_of("final", "amended", "preliminary", "entered-in-error"),
        "code": _concept(
            *((LOINC, code) for code in ("39156-5", "29463-7", "8302-2", "2345-7", "15074-8")),
            *((LOINC, code) for code in ("72166-2", "5792-7", "1-8")),
        ),
        "subject": _SUBJECT,
    },
    id=_ID,
    effectiveDateTime={"oneOf": [_DAY, _TIME]},
    valueQuantity=_QUANTITY,
    valueCodeableConcept=_concept((SNOMED, "266919005"), (SNOMED, "8517006"), (SNOMED, "1")),
)
_CONDITION: Final = _object(
    {
        "resourceType": _one_of("Condition"),
        "code": _concept((SNOMED, "53741008"), (SNOMED, "230690007"), (ICD10, "I10"), ("x", "y")),
        "subject": _SUBJECT,
    },
    id=_ID,
    clinicalStatus=_concept(("c", "active"), ("c", "resolved")),
    verificationStatus=_concept(("v", "confirmed"), ("v", "refuted")),
)


_LINK: Final = _object({"relation": _one_of("self", "next"), "url": _one_of("https://e/x")})


def _bundle(*resources: _Schema, **more: _Schema) -> _Schema:
    entry = _object(
        {"resource": {"oneOf": [*resources]}}, fullUrl=_one_of("urn:uuid:1", "https://e/x")
    )
    return _object(
        {"resourceType": _one_of("Bundle"), "type": _one_of("searchset", "collection")},
        entry=_list(entry),
        link=_list(_LINK, 0, 1),
        **more,
    )


_SEARCHED: Final = {"oneOf": [_bundle(_OBSERVATION), {"type": "null"}]}
REQUEST: Final = _object(
    {
        "hook": _one_of("patient-view"),
        "hookInstance": {"type": "string", "pattern": "^[0-9a-f]{8}$"},
        "context": _object({"patientId": _one_of("p1"), "userId": _one_of("Practitioner/x")}),
        "prefetch": _object(
            {
                "patient": _PATIENT,
                "bmi": _SEARCHED,
                "body": _SEARCHED,
                "glucose": _SEARCHED,
                "smoking": _SEARCHED,
                "conditions": {"oneOf": [_bundle(_CONDITION), {"type": "null"}]},
            }
        ),
    },
    fhirServer=_one_of("https://ehr.hospital.example/fhir"),
)
_FEEDBACK: Final = _object(
    {
        "feedback": _list(
            _object(
                {
                    "card": {"type": "string", "format": "uuid"},
                    "outcome": _one_of("accepted", "overridden"),
                    "acceptedSuggestions": _list(_object({"id": _ID})),
                    "outcomeTimestamp": _TIME,
                },
                overrideReason=_object({"reason": _object({"code": _ID})}, userComment=_ID),
            ),
            1,
        )
    }
)

_OUTCOME: Final = _object(
    {
        "resourceType": _one_of("OperationOutcome"),
        "issue": _list(
            _object(
                {
                    "severity": _one_of("error"),
                    "code": _one_of(
                        *("invalid", "login", "forbidden", "not-found", "not-supported", "deleted"),
                        *("required", "too-long", "throttled", "transient"),
                    ),
                    "details": _object({"text": {"type": "string", "minLength": 1}}),
                }
            ),
            1,
            1000,
        ),
    }
)
_CARD: Final = _object(
    {
        "summary": {"type": "string", "minLength": 1, "maxLength": 139},
        "indicator": _one_of("info", "warning", "critical"),
        "source": _object({"label": {"type": "string"}}),
    },
    suggestions=_list(
        _object({"label": {"type": "string"}, "uuid": {"type": "string", "format": "uuid"}})
    ),
    selectionBehavior=_one_of("any", "at-most-one"),
    overrideReasons=_list(_object({"display": {"type": "string"}}), 1, 9),
)
_ASSESSMENT: Final = _object(
    {
        "resourceType": _one_of("RiskAssessment"),
        "id": {"type": "string", "format": "uuid"},
        "status": _one_of("final"),
        "subject": {"type": "object"},
        "prediction": _list(
            _object({"probabilityDecimal": {"type": "number", "minimum": 0, "maximum": 100}}), 1, 1
        ),
    }
)


def _kind(name: str) -> _Schema:
    return _object({"resourceType": _one_of(name)})


def _answers(content: str, schema: _Schema, links: _Schema | None = None) -> _Schema:
    good: _Schema = {"description": "x", "content": {content: {"schema": schema}}}
    bad = {"description": "x", "content": {_FHIR: {"schema": _OUTCOME}}}
    if links:
        good["links"] = links
    return {"200": good} | {str(each): bad for each in _ERRORS}


def _query(name: str, schema: _Schema) -> _Schema:
    return {"name": name, "in": "query", "required": False, "schema": schema}


def _path(name: str, schema: _Schema) -> _Schema:
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _body(schema: _Schema, *kinds: str) -> _Schema:
    return {"required": True, "content": {kind: {"schema": schema} for kind in kinds}}


def _read(pointer: str) -> _Schema:
    return {"operationId": "read", "parameters": {"own": f"$response.body#{pointer}"}}


def document() -> dict[str, Any]:
    """Return the document of the hooks and of /fhir."""
    judged = {
        "operationId": "feedback",
        "requestBody": {
            "feedback": [
                {
                    "card": "$response.body#/cards/0/uuid",
                    "outcome": "accepted",
                    "acceptedSuggestions": [],
                    "outcomeTimestamp": "2026-11-29T12:00:00Z",
                }
            ]
        },
    }
    paths = {
        "/cds-services": {
            "get": {
                "operationId": "discover",
                "responses": _answers(
                    "application/json", _object({"services": _list({"type": "object"}, 1)})
                ),
            }
        },
        HOOK: {
            "post": {
                "operationId": "assess",
                "requestBody": _body(REQUEST, "application/json"),
                "responses": _answers(
                    "application/json",
                    _object({"cards": _list(_CARD, 0, 1)}, extension={"type": "object"}),
                    {
                        "read": _read("/extension/stroke.riskAssessment"),
                        "feedback": judged,
                        "search": {"operationId": "search", "parameters": {"patient": "p1"}},
                    },
                ),
            }
        },
        f"{HOOK}/feedback": {
            "post": {
                "operationId": "feedback",
                "requestBody": _body(_FEEDBACK, "application/json"),
                "responses": _answers("application/json", {"type": "object", "maxProperties": 0}),
            }
        },
        "/fhir/metadata": {
            "get": {
                "operationId": "metadata",
                "responses": _answers(_FHIR, _kind("CapabilityStatement")),
            }
        },
        "/fhir/OperationDefinition/stroke-risk": {
            "get": {
                "operationId": "definition",
                "responses": _answers(_FHIR, _kind("OperationDefinition")),
            }
        },
        "/fhir/Device/{own}": {
            "get": {
                "operationId": "device",
                "parameters": [_path("own", {"type": "string", "pattern": "^[a-z0-9.-]{1,20}$"})],
                "responses": _answers(_FHIR, _kind("Device")),
            }
        },
        "/fhir/RiskAssessment": {
            "get": {
                "operationId": "search",
                "parameters": [
                    _query("patient", _one_of("p1", "Patient/p1", "https://e/fhir/Patient/p1")),
                    _query("date", {"oneOf": [_DAY, _FROM_OR_TO]}),
                    _query("_id", {"type": "string", "format": "uuid"}),
                    _query("_count", {"type": "integer", "minimum": 0, "maximum": 2000}),
                    _query("_cursor", {"type": "string", "pattern": "^[0-9a-f]{1,15}$"}),
                    _query("_format", _one_of("json")),
                ],
                "responses": _answers(
                    _FHIR,
                    _object(
                        {"resourceType": _one_of("Bundle"), "type": _one_of("searchset")},
                        entry=_list(_object({"resource": _ASSESSMENT}), 1, 1000),
                    ),
                    {"read": _read("/entry/0/resource/id")},
                ),
            }
        },
        "/fhir/RiskAssessment/{own}": {
            "get": {
                "operationId": "read",
                "parameters": [_path("own", {"type": "string", "format": "uuid"})],
                "responses": _answers(_FHIR, _ASSESSMENT),
            }
        },
        "/fhir/$stroke-risk": {
            "post": {
                "operationId": "operate",
                "parameters": [
                    _query("patient", _one_of("p1")),
                    _query("conditions", _one_of("none")),
                ],
                "requestBody": _body(
                    _bundle(_PATIENT, _OBSERVATION, _CONDITION), _FHIR, "application/json"
                ),
                "responses": _answers(_FHIR, _ASSESSMENT, {"read": _read("/id")}),
            }
        },
    }
    return {"openapi": "3.1.0", "info": {"title": "records", "version": "1"}, "paths": paths}
