"""Assessments and models as FHIR R4 resources: plain JSON objects."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from html import escape
from typing import Any, Final

from stroke.application.clinical.assessing import called
from stroke.application.clinical.hospital import AssessedChart
from stroke.domain.risk import ModelDescription, RiskAssessment, RiskCategory

SNOMED: Final = "http://snomed.info/sct"
CVA: Final = {"system": SNOMED, "code": "230690007", "display": "Cerebrovascular accident"}
OPERATION: Final = "stroke-risk"
FHIR_VERSION: Final = "4.0.1"
LIMITS: Final = (
    "The model estimates how likely it is that a patient like this one has had a stroke. It does "
    "not say when one will come. It supports a decision, and is no diagnosis."
)
ONLY_VERSION: Final = "1"
"""An assessment never changes."""
_RISKS: Final = {
    RiskCategory.LOW: "low",
    RiskCategory.MEDIUM: "moderate",
    RiskCategory.HIGH: "high",
}
_TYPE: Final = {
    "coding": [{"system": SNOMED, "code": "706689003", "display": "Application program software"}]
}
_NO_ID: Final = re.compile(r"[^A-Za-z0-9.-]")
_LONGEST_ID: Final = 64
_PERCENT: Final = 100
_DECIMALS: Final = 4


def percent(probability: float) -> float:
    """Return a probability as R4 writes it: 0.1816 is 18.16. The standard counts in per cent."""
    return round(probability * _PERCENT, _DECIMALS)


def device_id(model_version: str) -> str:
    """Return the id of the Device that is a version of a model: FHIR allows few characters."""
    return _NO_ID.sub("-", model_version)[:_LONGEST_ID]


def instant(moment: datetime) -> str:
    """Return a time as FHIR writes an instant, to the millisecond in UTC."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def narrative(text: str) -> dict[str, str]:
    """Return the text that a person reads where nothing else is shown."""
    div = f'<div xmlns="http://www.w3.org/1999/xhtml"><p>{escape(text)}</p></div>'
    return {"status": "generated", "div": div}


def in_words(assessment: RiskAssessment) -> list[str]:
    """Return what each feature adds, strongest first: ``age raises the risk (+1.74)``."""
    return [
        f"{called(each.feature)} {each.direction} the risk ({each.log_odds:+.2f} in log-odds)"
        for each in assessment.contributions
        if round(each.log_odds, 2)
    ]


def further_notes(assessment: RiskAssessment) -> list[str]:
    """Return what is to be said of an assessment beside its number."""
    said = []
    if assessment.missing:
        words = " and ".join(called(name) for name in assessment.missing)
        cost = (
            ""
            if (accuracy := assessment.accuracy) is None
            else (f" (AUC {accuracy.auc:.3f} instead of {accuracy.auc_of_full_model:.3f})")
        )
        said.append(
            f"The record has no usable value of {words}: a companion model that works without "
            f"it made this estimate{cost}."
        )
    if (interval := assessment.interval) is not None:
        said.append(f"95 % interval of the estimate: {interval.low:.1%} to {interval.high:.1%}.")
    if (compared := assessment.comparison) is not None:
        if compared.average_risk is not None:
            said.append(
                f"People of this age and gender in the training data: {compared.average_risk:.1%} "
                "on average."
            )
        if compared.reference_risk is not None:
            said.append(f"The same person with reference values: {compared.reference_risk:.1%}.")
    if (support := assessment.support) is not None:
        said += [reason.text for reason in support.reasons]
    return said


def risk_assessment(assessed: AssessedChart, *, stored_here: bool) -> dict[str, Any]:
    """Return the RiskAssessment of an assessed chart.

    ``stored_here`` is whether its reader finds the Device here: in a record that it is created in
    there is no such resource. ``probabilityDecimal`` is a percentage in R4.
    """
    kept, assessment = assessed.kept, assessed.assessment
    version = kept.model_version
    performer: dict[str, Any] = {"display": f"stroke, model {version}"}
    if stored_here:
        performer["reference"] = f"Device/{device_id(version)}"
    risk = f"{assessment.probability:.1%} ({assessment.category})"
    resource: dict[str, Any] = {
        "resourceType": "RiskAssessment",
        "text": narrative(f"Stroke risk {risk}, model {version}. {LIMITS}"),
        "identifier": [{"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{kept.id}"}],
        "status": "final",
        "method": {
            "coding": [{"system": "urn:stroke:model", "code": version}],
            "text": version,
        },
        "code": {
            "coding": [{"system": SNOMED, "code": "225338004", "display": "Risk assessment"}],
            "text": "Stroke risk",
        },
        "subject": {"reference": f"Patient/{kept.subject}"},
        "occurrenceDateTime": instant(kept.made_at),
        "performer": performer,
        "basis": [{"reference": each} for each in kept.basis],
        "prediction": [
            {
                "outcome": {"coding": [CVA], "text": "Stroke"},
                "probabilityDecimal": percent(assessment.probability),
                "qualitativeRisk": {
                    "coding": [
                        {
                            "system": "http://terminology.hl7.org/CodeSystem/risk-probability",
                            "code": _RISKS[assessment.category],
                        }
                    ],
                    "text": str(assessment.category),
                },
                "rationale": "; ".join(in_words(assessment)) or "no measurement moves the risk",
            }
        ],
        "note": _annotations([*further_notes(assessment), *kept.notes, LIMITS]),
    }
    if not resource["basis"]:
        del resource["basis"]
    if stored_here:
        return {
            "resourceType": "RiskAssessment",
            "id": kept.id,
            "meta": {"versionId": ONLY_VERSION, "lastUpdated": instant(kept.made_at)},
            **resource,
        }
    return resource


def _annotations(texts: Iterable[str]) -> list[dict[str, str]]:
    return [{"text": text} for text in texts]


def device(model: ModelDescription) -> dict[str, Any]:
    """Return the served model as a Device."""
    return {
        "resourceType": "Device",
        "id": device_id(model.version),
        "text": narrative(f"The model {model.version}. {LIMITS}"),
        "identifier": [{"system": "urn:stroke:model:sha256", "value": model.sha256}],
        "status": "active",
        "deviceName": [{"name": model.name, "type": "model-name"}],
        "type": _TYPE,
        "version": [{"value": model.version}],
        "note": _annotations([f"Features: {', '.join(model.features)}.", LIMITS]),
    }


def former_device(model_version: str) -> dict[str, Any]:
    """Return a model that is not served any more: nothing but its version is kept."""
    return {
        "resourceType": "Device",
        "id": device_id(model_version),
        "text": narrative(f"The model {model_version}, which is not served any more. {LIMITS}"),
        "status": "inactive",
        "type": _TYPE,
        "version": [{"value": model_version}],
        "note": _annotations([LIMITS]),
    }


def capability(version: str, base: str, now: datetime) -> dict[str, Any]:
    """Return what the FHIR side can do."""
    return {
        "resourceType": "CapabilityStatement",
        "text": narrative("stroke: risk assessments of patients, read-only"),
        "status": "active",
        "date": instant(now),
        "kind": "instance",
        "software": {"name": "stroke", "version": version},
        "implementation": {"description": "stroke", "url": base},
        "fhirVersion": FHIR_VERSION,
        "format": ["json"],
        "rest": [
            {
                "mode": "server",
                "security": {"description": "Authorization: Bearer, with a key or a token"},
                "resource": [
                    {
                        "type": "RiskAssessment",
                        "interaction": [
                            {"code": "read"},
                            {"code": "vread"},
                            {"code": "search-type"},
                        ],
                        "searchParam": [
                            {"name": "_id", "type": "token"},
                            {"name": "patient", "type": "reference"},
                            {"name": "subject", "type": "reference"},
                            {"name": "date", "type": "date"},
                        ],
                    },
                    {"type": "Device", "interaction": [{"code": "read"}]},
                    {"type": "OperationDefinition", "interaction": [{"code": "read"}]},
                ],
                "operation": [{"name": OPERATION, "definition": operation_url(base)}],
            }
        ],
    }


def operation_url(base: str) -> str:
    """Return the address of the operation's definition."""
    return f"{base}/OperationDefinition/{OPERATION}"


def operation_definition(base: str) -> dict[str, Any]:
    """Return what goes into the operation, and what comes out of it."""

    def taken(name: str, kind: str, least: int, use: str, said: str) -> dict[str, Any]:
        return {
            "name": name,
            "use": use,
            "min": least,
            "max": "1",
            "documentation": said,
            "type": kind,
        }

    return {
        "resourceType": "OperationDefinition",
        "id": OPERATION,
        "text": narrative("The stroke risk of the patient whose record a Bundle holds."),
        "url": operation_url(base),
        "name": "StrokeRisk",
        "title": "Stroke risk of a chart",
        "status": "active",
        "kind": "operation",
        "affectsState": True,
        "code": OPERATION,
        "system": True,
        "type": False,
        "instance": False,
        "parameter": [
            taken("bundle", "Bundle", 1, "in", "the patient's record; it may come as it is, too"),
            taken("patient", "string", 0, "in", "which of several patients, by id or reference"),
            taken(
                "conditions",
                "code",
                0,
                "in",
                "none, where a Bundle without any Condition is of a patient who has none",
            ),
            taken("return", "RiskAssessment", 1, "out", "the patient's assessment"),
        ],
    }


def searchset(
    base: str,
    here: str,
    following: str | None,
    found: Iterable[Mapping[str, Any]],
    total: int | None = None,
) -> dict[str, Any]:
    """Return a page of a search. ``here`` and ``following`` are the URLs of its links.

    ``total`` is how many all pages have, None where it was not counted.
    """
    links = [{"relation": "self", "url": here}]
    if following is not None:
        links.append({"relation": "next", "url": following})
    entries = [
        {
            "fullUrl": f"{base}/{each['resourceType']}/{each['id']}",
            "resource": each,
            "search": {"mode": "match"},
        }
        for each in found
    ]
    page: dict[str, Any] = {"resourceType": "Bundle", "type": "searchset", "link": links}
    if total is not None:
        page["total"] = total
    if entries:
        page["entry"] = entries
    return page
