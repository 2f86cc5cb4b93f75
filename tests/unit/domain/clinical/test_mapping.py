"""A chart in the model's words: what counts, what does not, and what is said about it."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.charts import (
    ABSENT,
    CORONARY,
    CURRENT,
    FORMER,
    ICD10,
    ICD10_CM,
    ICD10_GM,
    LOINC,
    NEVER,
    PATIENT,
    SNOMED,
    UNKNOWN_SMOKER,
    bmi,
    bundle,
    condition,
    glucose,
    more_pages,
    observation,
    prefetch,
    quantity,
    smoking,
    status,
)
from stroke.adapters.clinical_codes.files import read_code_book
from stroke.domain.clinical.chart import chart_of_bundle, chart_of_prefetch
from stroke.domain.clinical.mapping import MappedChart, MappingRules, map_chart
from stroke.domain.errors import InvalidChart
from stroke.domain.features import RAW_FEATURES

NOW: Final = datetime(2026, 11, 29, 12, tzinfo=UTC)
BOOK: Final = read_code_book()
RULES: Final = MappingRules()
COMPLETE: Final = {
    "gender": "Male",
    "age": 67.0,
    "hypertension": 0,
    "heart_disease": 1,
    "avg_glucose_level": 228.69,
    "bmi": 36.6,
    "smoking_status": "formerly smoked",
}
LACKS: Final = None


def said(found: MappedChart) -> str:
    return " | ".join(note.text for note in found.notes)


def mapped(rules: MappingRules = RULES, server: str | None = None, **changed: Any) -> MappedChart:
    chart = chart_of_prefetch(prefetch(**changed), "p1", server)
    return map_chart(chart, BOOK, rules, NOW)


def values(found: MappedChart) -> dict[str, Any]:
    return {name: value.value for name, value in found.values.items()}


class Case(NamedTuple):
    """What a client sent instead of the complete chart, and what differs in what is found."""

    sent: Mapping[str, Any]
    differs: Mapping[str, Any] = {}
    not_sent: tuple[str, ...] = ()
    incomplete: tuple[str, ...] = ()
    excluded: str | None = None
    said: str | None = None
    server: str | None = None
    rules: MappingRules = RULES


def at(moment: str | None, **more: Any) -> dict[str, Any]:
    return {"effectiveDateTime": moment, **more}


WEIGHT: Final = observation("w", "29463-7", valueQuantity=quantity(242.5, "[lb_av]"))
HEIGHT: Final = observation("h", "8302-2", valueQuantity=quantity(173, "cm"))
OUTCOME: Final = {"resourceType": "OperationOutcome", "issue": [{"severity": "error"}]}
NO_BMI: Final = {"bmi": bundle()}
OLD: Final = "2020-01-01"
MORE_PAGES: Final[dict[str, dict[str, Any]]] = {
    "a link that is in no list": {"link": {"relation": "next", "url": "urn:x"}},
    "a relation in capitals": {"link": [{"relation": "Next", "url": "urn:x"}]},
    "a total as a text": {"total": "2"},
}
UNREADABLE_TIMES: Final[dict[str, Any]] = {
    "effectiveInstant": "01.11.2026",
    "effectivePeriod": {"start": "2026-13-01"},
}
STROKE: Final = condition("s", SNOMED, "230690007")


def nested(inner: dict[str, Any], times: int) -> dict[str, Any]:
    """Return a bundle in so many others."""
    for _ in range(times):
        inner = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": inner}]}
    return inner


CASES: Final[dict[str, Case]] = {
    # The requests that hospitals' clients were seen to send.
    "complete": Case({}),
    "glucose-missing-empty-bundle": Case({"glucose": bundle()}, {"avg_glucose_level": LACKS}),
    "glucose-missing-null": Case({"glucose": None}, {"avg_glucose_level": LACKS}),
    "glucose-key-absent": Case(
        {"glucose": ABSENT}, {"avg_glucose_level": LACKS}, not_sent=("glucose",)
    ),
    "glucose-mmol": Case(
        {"glucose": bundle(glucose(12.69, "mmol/L", code="14749-6"))},
        {"avg_glucose_level": 12.69 * 18.016},
    ),
    "glucose-mmol-declared-as-mgdl": Case(
        {"glucose": bundle(glucose(5.4))}, {"avg_glucose_level": LACKS}, said="not plausible"
    ),
    "bmi-from-height-and-weight": Case(
        {"bmi": bundle(), "body": bundle(WEIGHT, HEIGHT)},
        {"bmi": 242.5 * 0.45359237 / 1.73**2},
        said="computed from weight and height",
    ),
    "bmi-several": Case(
        {
            "bmi": bundle(
                bmi(24.0, "old", **at("2019-05-01")),
                bmi(36.6, "new", **at("2026-10-01T23:30:00-05:00")),
                bmi(30.0, "mid", **at("2026-10-02T03:00:00+02:00")),
            )
        }
    ),
    "smoking-never": Case({"smoking": bundle(smoking(NEVER))}, {"smoking_status": "never smoked"}),
    "smoking-current": Case({"smoking": bundle(smoking(CURRENT))}, {"smoking_status": "smokes"}),
    "smoking-missing": Case({"smoking": bundle()}, {"smoking_status": "Unknown"}, said="Unknown"),
    "conditions-icd10": Case(
        {"conditions": bundle(condition("c1", ICD10_CM, "I10"), condition("c2", ICD10, "I25.1"))},
        {"hypertension": 1},
    ),
    "all-null": Case(
        dict.fromkeys(prefetch()),
        dict.fromkeys(RAW_FEATURES, LACKS)
        | {"smoking_status": "Unknown", "hypertension": 0, "heart_disease": 0},
        not_sent=("patient",),
    ),
    "no-prefetch": Case(
        dict.fromkeys(prefetch(), ABSENT),
        dict.fromkeys(RAW_FEATURES, LACKS) | {"smoking_status": "Unknown"},
        not_sent=("patient", "bmi", "body", "glucose", "smoking", "conditions"),
    ),
    "single-resources": Case(
        {
            "bmi": bmi(),
            "glucose": glucose(),
            "smoking": smoking(),
            "conditions": condition("c1", SNOMED, "53741008"),
        }
    ),
    "operation-outcome": Case(
        {"glucose": OUTCOME}, {"avg_glucose_level": LACKS}, said="was an error"
    ),
    "birth-year-only": Case({"patient": PATIENT | {"birthDate": "1959"}}, said="off by a year"),
    "birth-date-absent": Case(
        {"patient": PATIENT | {"birthDate": None}}, {"age": LACKS}, said="no birth date"
    ),
    "gender-unknown": Case(
        {"patient": PATIENT | {"gender": "unknown"}}, {"gender": LACKS}, said="sex"
    ),
    "urine-glucose": Case(
        {"glucose": bundle(glucose(0, code="5792-7"))}, {"avg_glucose_level": LACKS}
    ),
    # What a value is worth: its status.
    "preliminary values do not count and are spoken of": Case(
        {"glucose": bundle(glucose(status="preliminary"))},
        {"avg_glucose_level": LACKS},
        said="its status is preliminary",
    ),
    "a value that was entered in error does not count": Case(
        {"bmi": bundle(bmi(20.0, "wrong", status="entered-in-error", **at("2026-11-01")), bmi())}
    ),
    "cancelled values do not count": Case(
        {"bmi": bundle(bmi(20.0, "wrong", status="cancelled", **at("2026-11-01")), bmi())}
    ),
    "amended and corrected values count": Case(
        {"bmi": bundle(bmi(status="amended")), "glucose": bundle(glucose(status="corrected"))}
    ),
    "a value without a status does not count": Case(
        {"glucose": bundle(glucose(status=None))}, {"avg_glucose_level": LACKS}, said="no status"
    ),
    # Which one is the newest.
    "the newest is so by instant, not by text": Case(
        {
            "glucose": bundle(
                glucose(100, own="a", **at("2026-10-02T01:00:00+14:00")),
                glucose(228.69, own="b", **at("2026-10-01T23:00:00-11:00")),
            )
        }
    ),
    "the order of the bundle does not matter": Case(
        {"glucose": bundle(glucose(100, own="a", **at(OLD)), glucose())}
    ),
    "an instant, a period and a date are compared": Case(
        {
            "bmi": bundle(
                bmi(20.0, "a", effectiveDateTime=None, effectiveInstant="2026-10-01T00:00:00Z"),
                bmi(36.6, "b", effectiveDateTime=None)
                | {"effectivePeriod": {"start": "2026-09-01", "end": "2026-10-05"}},
                bmi(21.0, "c", **at("2026-10-04")),
            )
        }
    ),
    "a timing counts by its last event": Case(
        {
            "bmi": bundle(
                bmi(20.0, "a"),
                bmi(36.6, "b", effectiveDateTime=None)
                | {"effectiveTiming": {"event": ["2026-01-01", "2026-11-01T08:00:00Z"]}},
            )
        }
    ),
    "a value without a time is older than all others": Case(
        {"bmi": bundle(bmi(20.0, "a", effectiveDateTime=None), bmi(36.6, "b", **at("1999")))}
    ),
    "the time of issue counts where there is no other": Case(
        {
            "bmi": bundle(
                bmi(20.0, "a", **at("2026-10-01")),
                bmi(36.6, "b", effectiveDateTime=None, issued="2026-10-03T08:00:00Z"),
            )
        }
    ),
    "a value of next year does not count": Case(
        {"bmi": bundle(bmi(20.0, "a", **at("2027-10-01")), bmi())}, said="dated in the future"
    ),
    # Units.
    "a comparator is spoken of, and the older value counts": Case(
        {
            "glucose": bundle(
                glucose(600, own="a", **at("2026-11-01"))
                | {"valueQuantity": quantity(600, "mg/dL", comparator=">")},
                glucose(),
            )
        },
        said="the glucose of 2026-11-01 was not used: it is only a limit",
    ),
    "an unknown unit is spoken of, and never guessed": Case(
        {"glucose": bundle(glucose(12.7, "mmol"))},
        {"avg_glucose_level": LACKS},
        said="a unit that is not known",
    ),
    "no unit is no unit": Case(
        {"glucose": bundle(glucose(valueQuantity={"value": 228.69}))},
        {"avg_glucose_level": LACKS},
        said="it has no unit",
    ),
    "a unit as text alone is read": Case(
        {"glucose": bundle(glucose(valueQuantity={"value": 228.69, "unit": "MG/DL"}))}
    ),
    "a code and a text that say different things are not guessed": Case(
        {"glucose": bundle(glucose(valueQuantity=quantity(12.7, "mmol/L") | {"code": "mg/dL"}))},
        {"avg_glucose_level": LACKS},
        said="say different things",
    ),
    "grams in a litre are converted": Case(
        {"glucose": bundle(glucose(2.2869, "g/L"))}, {"avg_glucose_level": 2.2869 * 100}
    ),
    "a number as text is no number": Case(
        {"glucose": bundle(glucose("228.69"))}, {"avg_glucose_level": LACKS}, said="no number"
    ),
    "a value as text is no quantity": Case(
        {"glucose": bundle(glucose(valueQuantity=None, valueString="228.69 mg/dL"))},
        {"avg_glucose_level": LACKS},
        said="no quantity",
    ),
    "data that are absent for a reason are spoken of": Case(
        {"glucose": bundle(glucose(valueQuantity=None, dataAbsentReason=status("error")))},
        {"avg_glucose_level": LACKS},
        said="it has no value",
    ),
    "a BMI that is recorded goes before weight and height": Case(
        {"body": bundle(WEIGHT, HEIGHT | {"valueQuantity": quantity(200, "cm")})}
    ),
    "a weight in grams and a height in metres give a BMI": Case(
        NO_BMI
        | {
            "body": bundle(
                WEIGHT | {"valueQuantity": quantity(80000, "g")},
                HEIGHT | {"valueQuantity": quantity(2, "m")},
            )
        },
        {"bmi": 20.0},
    ),
    "a weight without a height gives no BMI": Case(
        NO_BMI | {"body": bundle(WEIGHT)}, {"bmi": LACKS}
    ),
    "the height of a child gives no BMI of an adult": Case(
        NO_BMI | {"body": bundle(WEIGHT, HEIGHT | at("1970-01-01"))},
        {"bmi": LACKS},
        said="not grown",
    ),
    "a height in the wrong unit gives no BMI": Case(
        NO_BMI | {"body": bundle(WEIGHT, HEIGHT | {"valueQuantity": quantity(1.73, "cm")})},
        {"bmi": LACKS},
        said="not plausible",
    ),
    "a component counts like an observation": Case(
        {
            "bmi": observation("panel", "85353-1")
            | {"component": [{"code": bmi()["code"], "valueQuantity": quantity(36.6, "kg/m2")}]}
        }
    ),
    "tolerance tests are no glucose, whatever else they are coded as": Case(
        {
            "glucose": bundle(
                glucose()
                | {
                    "code": {
                        "coding": [
                            {"system": LOINC, "code": "2345-7"},
                            {"system": LOINC, "code": "1518-0"},
                        ]
                    }
                }
            )
        },
        {"avg_glucose_level": LACKS},
    ),
    "a mean counts only where the site says so": Case(
        {"glucose": bundle(glucose(120, own="m", code="97507-8", **at("2026-11-01")), glucose())}
    ),
    "a mean goes before a single value where the site says so": Case(
        {"glucose": bundle(glucose(120, own="m", code="97507-8", **at(OLD)), glucose())},
        {"avg_glucose_level": 120},
        rules=MappingRules(glucose="mean"),
    ),
    "the same code of another system means nothing": Case(
        {
            "glucose": bundle(
                glucose() | {"code": {"coding": [{"system": "urn:lab", "code": "2345-7"}]}}
            )
        },
        {"avg_glucose_level": LACKS},
    ),
    # Whose it is.
    "values of another patient do not count": Case(
        {"glucose": bundle(glucose(subject={"reference": "Patient/p2"}))},
        {"avg_glucose_level": LACKS},
    ),
    "a value without a subject does not count": Case(
        {"glucose": bundle(glucose(subject=None))}, {"avg_glucose_level": LACKS}
    ),
    "an absolute reference to the same server counts": Case(
        {"glucose": bundle(glucose(subject={"reference": "https://EHR.example/fhir/Patient/p1"}))},
        server="https://ehr.example/fhir/",
    ),
    "an absolute reference to another server does not count": Case(
        {
            "glucose": bundle(
                glucose(subject={"reference": "https://other.example/fhir/Patient/p1"})
            )
        },
        {"avg_glucose_level": LACKS},
        server="https://ehr.example/fhir",
    ),
    "a reference to a version counts": Case(
        {"glucose": bundle(glucose(subject={"reference": "Patient/p1/_history/3"}))}
    ),
    "a contained patient may be anybody": Case(
        {
            "glucose": bundle(
                glucose(subject={"reference": "#p1"}, contained=[PATIENT | {"id": "p1"}])
            )
        },
        {"avg_glucose_level": LACKS},
    ),
    "a patient who is only described may be anybody": Case(
        {"glucose": bundle(glucose(subject={"identifier": {"value": "p1"}}))},
        {"avg_glucose_level": LACKS},
    ),
    "conditions of another patient do not count": Case(
        {"conditions": bundle(STROKE | {"subject": {"reference": "Patient/p2"}})},
        {"heart_disease": 0},
    ),
    "conditions of another patient are spoken of, for they may be this one's": Case(
        {
            "conditions": bundle(
                STROKE | {"subject": {"reference": "https://proxy.example/fhir/Patient/p1"}},
                condition("i", ICD10, "I10", subject={"identifier": {"value": "p1"}}),
                condition("n", ICD10, "I10", subject=None),
            )
        },
        {"heart_disease": 0},
        said="conditions that are not clearly this patient's do not count: 3",
        server="https://ehr.example/fhir",
    ),
    "conditions that have only words, or codes of a system that is not known, are spoken of": Case(
        {
            "conditions": bundle(
                condition("a", SNOMED, "x", code={"text": "essential hypertension"}),
                condition("b", "urn:local", "HTN"),
                condition("c", "urn:local", "HTN", verificationStatus=status("refuted")),
                condition("d", SNOMED, "195967001"),
            )
        },
        {"heart_disease": 0},
        said="conditions without a code of a known system do not count: 2",
    ),
    "the Patient of somebody else counts as not sent": Case(
        {"patient": PATIENT | {"id": "p2"}},
        {"gender": LACKS, "age": LACKS},
        not_sent=("patient",),
    ),
    # Conditions.
    "refuted conditions do not count": Case(
        {"conditions": condition("c", SNOMED, "53741008", verificationStatus=status("refuted"))},
        {"heart_disease": 0},
    ),
    "a condition in error has no clinical status, and does not count": Case(
        {
            "conditions": condition(
                "c",
                SNOMED,
                "38341003",
                clinicalStatus=None,
                verificationStatus=status("entered-in-error"),
            )
        },
        {"heart_disease": 0},
    ),
    "provisional conditions do not count, and are spoken of": Case(
        {"conditions": condition("c", ICD10, "I10", verificationStatus=status("provisional"))},
        {"heart_disease": 0},
        said="not confirmed",
    ),
    "a condition that does not say how sure it is counts": Case(
        {"conditions": condition("c", ICD10, "I25.9", verificationStatus=None)}
    ),
    "heart disease that is over counts": Case(
        {"conditions": condition("c", SNOMED, "22298006", clinicalStatus=status("resolved"))},
        said="recorded as past: it counts",
    ),
    "heart disease that is over does not count where the site says so": Case(
        {"conditions": condition("c", SNOMED, "22298006", clinicalStatus=status("resolved"))},
        {"heart_disease": 0},
        said="recorded as past: it does not count",
        rules=MappingRules(past_counts=frozenset()),
    ),
    "hypertension that is over does not count": Case(
        {"conditions": condition("c", ICD10, "I10", clinicalStatus=None, abatementString="2020")},
        {"heart_disease": 0},
        said="recorded as past: it does not count",
    ),
    "atrial fibrillation is heart disease": Case(
        {"conditions": condition("c", ICD10, "I48.0")},
    ),
    "atrial fibrillation is no ischaemic heart disease": Case(
        {"conditions": condition("c", ICD10, "I48.0")},
        {"heart_disease": 0},
        rules=MappingRules(heart_disease="ischaemic"),
    ),
    "words do not count": Case(
        {
            "conditions": condition(
                "c", SNOMED, "274531002", code={"text": "Abnormal findings, heart disease"}
            )
        },
        {"heart_disease": 0},
    ),
    "pulmonary hypertension is heart disease and no hypertension": Case(
        {"conditions": condition("c", ICD10, "I27.0")},
    ),
    "German codes count with their marks": Case(
        {"conditions": condition("c", ICD10_GM, "I10.00 G")},
        {"hypertension": 1, "heart_disease": 0},
    ),
    "a German code that says excluded does not count": Case(
        {"conditions": condition("c", ICD10_GM, "I25.11 A")}, {"heart_disease": 0}
    ),
    "codes without their dot count": Case({"conditions": condition("c", ICD10_CM, "I2510")}),
    "a recorded stroke excludes the patient": Case(
        {"conditions": bundle(condition("c1", SNOMED, "53741008"), STROKE)}, excluded="stroke"
    ),
    "a stroke of long ago excludes the patient": Case(
        {"conditions": condition("c", ICD10_CM, "Z8673")}, {"heart_disease": 0}, excluded="stroke"
    ),
    "a stroke without an id excludes the patient beside a refuted one without an id": Case(
        {
            "conditions": bundle(
                condition("c1", SNOMED, "53741008"),
                {**STROKE, "id": None, "verificationStatus": status("refuted")},
                {**STROKE, "id": None},
            )
        },
        excluded="stroke",
    ),
    "a refuted stroke does not exclude the patient": Case(
        {"conditions": STROKE | {"verificationStatus": status("refuted")}}, {"heart_disease": 0}
    ),
    "conditions that were not sent are no good health": Case(
        {"conditions": ABSENT},
        {"heart_disease": LACKS, "hypertension": LACKS},
        not_sent=("conditions",),
    ),
    "an error instead of conditions is no good health": Case(
        {"conditions": OUTCOME},
        {"heart_disease": LACKS, "hypertension": LACKS},
        not_sent=("conditions",),
    ),
    "no condition at all is good health": Case({"conditions": bundle()}, {"heart_disease": 0}),
    # Pages.
    "conditions with a next page are incomplete": Case(
        {"conditions": more_pages(condition("c1", SNOMED, "53741008"))}, incomplete=("conditions",)
    ),
    "a page that shows its order, newest first, is enough": Case(
        {"glucose": more_pages(glucose(), glucose(100, own="old", **at(OLD)))}
    ),
    "a page that is not sorted is not enough": Case(
        {"glucose": more_pages(glucose(100, own="old", **at(OLD)), glucose())},
        incomplete=("glucose",),
    ),
    "one value of several pages shows no order": Case(
        {"glucose": more_pages(glucose())}, incomplete=("glucose",)
    ),
    "weights with a next page do not matter where there is a BMI": Case(
        {"body": more_pages(WEIGHT)}
    ),
    # The patient.
    "the deceased are excluded": Case(
        {"patient": PATIENT | {"deceasedDateTime": "2026-01-01"}}, excluded="deceased"
    ),
    "the deceased are excluded whose time of death is not known": Case(
        {"patient": PATIENT | {"_deceasedDateTime": {"extension": [{"url": "absent"}]}}},
        excluded="deceased",
    ),
    "the deceased are excluded by a word, too": Case(
        {"patient": PATIENT | {"deceasedBoolean": "true"}}, excluded="deceased"
    ),
    "somebody who is not deceased is not excluded": Case(
        {"patient": PATIENT | {"deceasedBoolean": False}}
    ),
    "minors are excluded": Case(
        {"patient": PATIENT | {"birthDate": "2008-11-30"}}, {"age": 17.0}, excluded="minor"
    ),
    "whoever turns eighteen today is not a minor": Case(
        {"patient": PATIENT | {"birthDate": "2008-11-29"}}, {"age": 18.0}
    ),
    "minors are assessed where the site says so": Case(
        {"patient": PATIENT | {"birthDate": "2018-11-29"}},
        {"age": 8.0},
        rules=MappingRules(adult_age=0),
    ),
    "a birth date to come gives no age": Case(
        {"patient": PATIENT | {"birthDate": "2027-01-01"}}, {"age": LACKS}, said="no plausible age"
    ),
    "other is a gender, and hardly known to the model": Case(
        {"patient": PATIENT | {"gender": "other"}}, {"gender": "Other"}, said="hardly seen"
    ),
    # Smoking.
    "an unknown status gives way to the known one before": Case(
        {"smoking": bundle(smoking(UNKNOWN_SMOKER, "new", **at("2026-11-01")), smoking())},
        said="the one before counts",
    ),
    "pack-years alone are Unknown": Case(
        {"smoking": smoking(valueCodeableConcept=None, valueQuantity=quantity(20, "{PackYears}"))},
        {"smoking_status": "Unknown"},
    ),
    "an answer of LOINC counts": Case(
        {
            "smoking": smoking(
                valueCodeableConcept={"coding": [{"system": LOINC, "code": "LA18976-3"}]}
            )
        },
        {"smoking_status": "smokes"},
    ),
    "an answer that is not known is spoken of": Case(
        {"smoking": bundle(smoking("1", "new", **at("2026-11-01")), smoking(FORMER))},
        said="no answer that is known",
    ),
    "two answers that contradict each other are spoken of": Case(
        {
            "smoking": bundle(
                smoking(
                    own="new",
                    valueCodeableConcept={
                        "coding": [{"system": SNOMED, "code": code} for code in (NEVER, CURRENT)]
                    },
                    **at("2026-11-01"),
                ),
                smoking(FORMER),
            )
        },
        said="no answer that is known",
    ),
    # What changes the meaning of a resource.
    "a status that FHIR does not have is spoken of": Case(
        {"bmi": bundle(bmi(20, "n", status="done", **at("2026-11-01")), bmi())},
        said="its status is not known",
    ),
    "what was withdrawn is passed over": Case(
        {
            "bmi": bundle(
                bmi(20, "a", status="cancelled", **at("2026-11-01")),
                bmi(21, "b", status="entered-in-error", **at("2026-11-02")),
                bmi(),
            )
        }
    ),
    "a measurement with a modifier is spoken of": Case(
        {"bmi": bundle(bmi(20, "n", modifierExtension=[{"url": "x"}], **at("2026-11-01")), bmi())},
        said="a modifier that is not known",
    ),
    "a component with a modifier is spoken of": Case(
        {
            "bmi": bundle(
                observation(
                    "panel",
                    "85353-1",
                    component=[
                        {
                            "code": {"coding": [{"system": LOINC, "code": "39156-5"}]},
                            "valueQuantity": quantity(20, "kg/m2"),
                            "modifierExtension": [{"url": "x"}],
                        }
                    ],
                    **at("2026-11-01"),
                ),
                bmi(),
            )
        },
        said="a modifier that is not known",
    ),
    "a condition with a modifier does not count, and is spoken of": Case(
        {"conditions": bundle(STROKE | {"modifierExtension": [{"url": "x"}]})},
        {"heart_disease": 0},
        said="modifier that is not known do not count: 1",
    ),
    "a measurement of the patient's child is none of the patient": Case(
        {
            "bmi": bundle(
                bmi(14, "n", focus=[{"reference": "Patient/kid"}], **at("2026-11-01")), bmi()
            )
        }
    ),
    "a measurement whose focus is the patient counts": Case(
        {"bmi": bundle(bmi(focus=[{"reference": "Patient/p1"}]))}
    ),
    "a status that is written as a text counts": Case(
        {
            "conditions": bundle(
                STROKE | {"verificationStatus": {"text": "Entered in error"}},
                condition("h", ICD10, "I10", clinicalStatus={"text": "Resolved"}),
            )
        },
        {"heart_disease": 0},
    ),
    "a condition that ended at an unknown time is past": Case(
        {
            "conditions": bundle(
                condition("h", ICD10, "I10", clinicalStatus=None)
                | {"_abatementDateTime": {"extension": [{"url": "x"}]}}
            )
        },
        {"heart_disease": 0},
        said="recorded as past",
    ),
    # What a server found, and did not send.
    "fewer conditions than were found are not whole": Case(
        {"conditions": bundle(condition("c1", SNOMED, CORONARY), total=2)},
        incomplete=("conditions",),
    ),
    "a mere count of conditions is not whole": Case(
        {"conditions": bundle(total=7)}, {"heart_disease": 0}, incomplete=("conditions",)
    ),
    "pages that were found together are whole": Case(
        {
            "conditions": [
                bundle(condition("c1", SNOMED, CORONARY), total=2),
                bundle(condition("c2", ICD10, "I10"), total=2),
            ]
        },
        {"hypertension": 1},
    ),
    "pages of which only the last says how many were found are whole": Case(
        {
            "conditions": [
                bundle(condition("c1", SNOMED, CORONARY), total=None),
                bundle(condition("c2", ICD10, "I10"), condition("c3", ICD10, "E11"), total=3),
            ]
        },
        {"hypertension": 1},
    ),
    "pages of which only the last says how many were found, and one is not there": Case(
        {
            "conditions": [
                bundle(condition("c1", SNOMED, CORONARY), total=None),
                bundle(condition("c2", ICD10, "I10"), total=3),
            ]
        },
        {"hypertension": 1},
        incomplete=("conditions",),
    ),
    "a page that says nothing of its search does not fill up two others": Case(
        {
            "conditions": [
                bundle(condition("c1", SNOMED, CORONARY), total=None),
                bundle(condition("c2", ICD10, "I10"), total=2),
                bundle(total=1),
            ]
        },
        {"hypertension": 1},
        incomplete=("conditions",),
    ),
    "what a search adds is not counted": Case(
        {
            "conditions": bundle(condition("c1", SNOMED, CORONARY), total=2)
            | {
                "entry": [
                    {"resource": condition("c1", SNOMED, CORONARY)},
                    {"resource": PATIENT, "search": {"mode": "include"}},
                    {"resource": OUTCOME | {"issue": []}, "search": {"mode": "outcome"}},
                ]
            }
        },
        incomplete=("conditions",),
    ),
    "what lies too deep is not read, and that is no good health": Case(
        {"conditions": nested(bundle(condition("c1", SNOMED, CORONARY)), 6)},
        {"heart_disease": LACKS, "hypertension": LACKS},
        not_sent=("conditions",),
    ),
    # References.
    "a server's usual port may be written": Case(
        {"bmi": bundle(bmi(subject={"reference": "https://EHR.example:443/fhir/Patient/p1"}))},
        server="https://ehr.example/fhir",
    ),
    "another port is another server": Case(
        {"bmi": bundle(bmi(subject={"reference": "https://ehr.example:8443/fhir/Patient/p1"}))},
        {"bmi": LACKS},
        server="https://ehr.example/fhir",
    ),
    "a fraction of a second of any length is read": Case(
        {"bmi": bundle(bmi(20, "old"), bmi(own="n", **at("2026-10-01T09:00:00." + "9" * 30 + "Z")))}
    ),
    # Versions.
    # Forms that records were not seen to have, and that the standard allows, or nearly.
    "a word that says how sure a condition is, and that FHIR does not have, is not sure": Case(
        {"conditions": bundle(condition("i", ICD10, "I10", verificationStatus=status("probable")))},
        {"heart_disease": 0},
        said="hypertension is recorded, but not confirmed: it does not count",
    ),
    "a status with words alone is read": Case(
        {
            "conditions": bundle(
                condition(
                    "i",
                    ICD10,
                    "I10",
                    verificationStatus={"coding": [{"display": "Entered in Error"}]},
                ),
                condition("j", ICD10, "I25.1", verificationStatus={"text": "Refuted"}),
            )
        },
        {"heart_disease": 0},
    ),
    "a status in a list, or with a coding that is in none, is read": Case(
        {
            "conditions": bundle(
                condition("i", ICD10, "I10", verificationStatus=[status("refuted")]),
                condition("j", ICD10, "I25.1", verificationStatus={"coding": {"code": "refuted"}}),
            )
        },
        {"heart_disease": 0},
    ),
    "a condition that SNOMED CT says is known to be absent does not count": Case(
        {
            "conditions": bundle(
                condition("i", ICD10, "I10", verificationStatus=status("410516002"))
            )
        },
        {"heart_disease": 0},
    ),
    "a status without a word says nothing, and the condition counts": Case(
        {
            "conditions": bundle(
                condition("i", ICD10, "I10", verificationStatus={}),
                condition("j", ICD10, "I25.1", verificationStatus={"coding": [{}], "text": " "}),
            )
        },
        {"hypertension": 1},
    ),
    "a single entry without a list around it is read": Case(
        {
            "conditions": {
                "resourceType": "Bundle",
                "type": "searchset",
                "entry": {"resource": condition("i", ICD10, "I10")},
            }
        },
        {"hypertension": 1, "heart_disease": 0},
    ),
    **{
        f"conditions with an entry that is {what} are no good health": Case(
            {"conditions": bundle() | {"entry": entry}},
            {"hypertension": LACKS, "heart_disease": LACKS},
            not_sent=("conditions",),
        )
        for what, entry in {
            "a text": "Condition/c1",
            "nothing": [None],
            "no resource": [{"resource": "Condition/c1"}],
            "a resource without a type": [{"resource": {"id": "c1"}}],
            "a measurement": [{"resource": glucose()}],
            "a name without a resource": [{"fullUrl": "http://127.0.0.1/fhir/Condition/c1"}],
        }.items()
    },
    **{
        f"conditions with {what} are incomplete": Case(
            {"conditions": bundle(condition("c1", SNOMED, CORONARY)) | more},
            incomplete=("conditions",),
        )
        for what, more in MORE_PAGES.items()
    },
    "a code that is in no list is read": Case(
        {
            "conditions": bundle(
                condition("i", ICD10, "", code={"coding": {"system": ICD10, "code": "I10"}})
            ),
            "glucose": bundle(
                glucose(150) | {"code": {"coding": {"system": LOINC, "code": "2345-7"}}}
            ),
        },
        {"hypertension": 1, "heart_disease": 0, "avg_glucose_level": 150},
    ),
    **{
        f"a value whose {field} cannot be read is spoken of, and the older one counts": Case(
            {
                "glucose": bundle(
                    glucose(100, own="old", **at(OLD)),
                    glucose(own="new", **{"effectiveDateTime": None, field: when}),
                )
            },
            {"avg_glucose_level": 100},
            said="the glucose of an unknown day was not used: its time cannot be read",
        )
        for field, when in UNREADABLE_TIMES.items()
    },
    "another resource in the place of the conditions is no good health": Case(
        {"conditions": PATIENT},
        {"hypertension": LACKS, "heart_disease": LACKS},
        not_sent=("conditions",),
    ),
    "a search for conditions may bring along others": Case(
        {
            "conditions": bundle(
                condition("c1", SNOMED, CORONARY),
                {"resourceType": "Encounter", "id": "e"},
            )
        }
    ),
    "an error under a key that nobody asked for is spoken of without its name": Case(
        {"Erwin Muster": OUTCOME}, said="the record's answer for another key was an error"
    ),
    "an identifier of the Patient names the patient": Case(
        {
            "patient": PATIENT | {"identifier": [{"system": "urn:mrn", "value": "7"}]},
            "glucose": bundle(glucose(subject={"identifier": {"system": "urn:mrn", "value": "7"}})),
        }
    ),
    **{
        f"{what} does not name the patient, and is spoken of": Case(
            {
                "patient": PATIENT | {"identifier": [mine]},
                "glucose": bundle(glucose(subject={"identifier": theirs})),
            },
            {"avg_glucose_level": LACKS},
            said="measurements that are not clearly this patient's do not count: 1",
        )
        for what, mine, theirs in (
            ("a number without a system", {"value": "7"}, {"value": "7"}),
            (
                "a number of another system",
                {"system": "urn:mrn", "value": "7"},
                {"system": "urn:tax", "value": "7"},
            ),
            ("an empty identifier", {"system": "", "value": ""}, {"system": "", "value": ""}),
        )
    },
    "a value beside a reason why there is none is spoken of": Case(
        {"glucose": bundle(glucose(dataAbsentReason=status("unknown")))},
        {"avg_glucose_level": LACKS},
        said="it has a value, and a reason why it has none",
    ),
    "a measurement with rules that are not known is spoken of": Case(
        {"glucose": bundle(glucose(implicitRules="https://rules.example"))},
        {"avg_glucose_level": LACKS},
        said="it has a modifier that is not known",
    ),
    "a Patient with a modifier is not read, and that is spoken of": Case(
        {"patient": PATIENT | {"modifierExtension": [{"url": "urn:animal"}]}},
        {"gender": LACKS, "age": LACKS},
        said="the Patient has a modifier that is not known",
    ),
    "stones and inches give a BMI": Case(
        NO_BMI
        | {
            "body": bundle(
                observation("w", "29463-7", valueQuantity=quantity(17, "[stone_av]")),
                observation("h", "8302-2", valueQuantity=quantity(68, "[in_i]")),
            )
        },
        {"bmi": 17 * 14 * 0.45359237 / (68 * 0.0254) ** 2},
    ),
    "stones and inches as texts give a BMI": Case(
        NO_BMI
        | {
            "body": bundle(
                observation("w", "29463-7", valueQuantity={"value": 17, "unit": "st"}),
                observation("h", "8302-2", valueQuantity={"value": 68, "unit": "inches"}),
            )
        },
        {"bmi": 17 * 14 * 0.45359237 / (68 * 0.0254) ** 2},
    ),
    "a remark in a unit of UCUM means nothing": Case(
        {"glucose": bundle(glucose(12.69, "mmol/L{fasting}", code="14749-6"))},
        {"avg_glucose_level": 12.69 * 18.016},
    ),
    "a per cent is no unit of glucose": Case(
        {"glucose": bundle(glucose(90, "%"))},
        {"avg_glucose_level": LACKS},
        said="it has a unit that is not known",
    ),
    "of two versions of one resource the newer counts": Case(
        {
            "bmi": bundle(
                bmi(meta={"lastUpdated": "2026-10-02T00:00:00Z"}),
                bmi(20.0, meta={"lastUpdated": "2026-10-01T00:00:00Z"}),
            )
        }
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_chart_gives(name: str) -> None:
    case = CASES[name]

    found = mapped(case.rules, case.server, **case.sent)

    expected = {**COMPLETE, **case.differs}
    assert values(found) == pytest.approx(
        {feature: value for feature, value in expected.items() if value is not LACKS}
    )
    assert found.not_sent == case.not_sent
    assert found.incomplete == case.incomplete
    assert found.excluded == case.excluded
    assert case.said is None or case.said in said(found)


def test_each_value_says_where_it_comes_from() -> None:
    found = mapped()

    assert found.basis == (
        "Patient/p1",
        "Condition/c1",
        "Observation/glu1",
        "Observation/bmi1",
        "Observation/smo1",
    )
    [source] = found.values["bmi"].sources
    assert (source.code, source.moment) == ("39156-5", datetime(2026, 10, 1, 9, tzinfo=UTC))
    assert found.notes == ()


def test_unmapped_codes_are_counted_by_their_system_and_not_by_code() -> None:
    found = mapped(
        conditions=bundle(
            condition("a", SNOMED, "1"),
            condition("b", "urn:local", "x"),
            condition("c", "urn:other-local", "x"),
            condition("d", "x", "y", code={"text": "words"}),
        ),
        bmi=bundle(bmi(), observation("o", "718-7")),
    )

    assert found.unmapped == {"loinc": 1, "none": 1, "other": 2, "snomed": 1}


def test_a_patient_is_made_only_of_what_may_be_missing() -> None:
    found = mapped(glucose=bundle())

    assert found.patient(()) is None
    patient = found.patient(("bmi", "avg_glucose_level"))
    assert patient is not None
    assert (patient.missing, patient.bmi) == (("avg_glucose_level",), 36.6)


def test_lists_within_lists_are_not_followed_for_ever() -> None:
    deep: Any = []
    for _ in range(2_000):
        deep = [deep]

    assert mapped(conditions=deep).not_sent == ("conditions",)


def calls_of_reading(size: int) -> int:
    """Return how many calls it takes to read a chart with ``size`` of everything."""
    whose = {"subject": {"reference": "https://other.example/Patient/p1"}}
    patients = bundle(PATIENT, *[dict(PATIENT) for _ in range(size)])
    for number, entry in enumerate(patients["entry"]):
        entry["fullUrl"] = f"https://ehr{number}.example/Patient/p1"
    sent: dict[str, Any] = {
        "patient": patients,
        "conditions": bundle(
            *(condition(f"c{n}", ICD10, "I10") for n in range(size)),
            *(condition(f"d{n}", ICD10, "I10", **whose) for n in range(size)),
        ),
        "glucose": bundle(*(glucose(id=f"g{n}", valueQuantity=None) for n in range(size))),
    }
    counted = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal counted
        counted += event in {"call", "c_call"}

    sys.setprofile(count)
    try:
        mapped(**sent)
    finally:
        sys.setprofile(None)
    return counted


def test_twice_as_much_of_a_chart_takes_about_twice_as_many_steps() -> None:
    assert calls_of_reading(200) < 3 * calls_of_reading(100)


def whole(*resources: dict[str, Any], **more: Any) -> dict[str, Any]:
    return bundle(PATIENT, bmi(), glucose(), smoking(), *resources, **more)


def test_a_bundle_with_a_condition_has_everything() -> None:
    chart = chart_of_bundle(whole(condition("c1", SNOMED, "53741008")))

    assert values(map_chart(chart, BOOK, RULES, NOW)) == COMPLETE


def test_a_bundle_without_a_condition_says_nothing_of_them() -> None:
    assert chart_of_bundle(whole()).not_sent == {"conditions"}
    assert not chart_of_bundle(whole(), conditions_known=True).not_sent


def test_an_empty_search_within_a_bundle_says_that_there_are_no_conditions() -> None:
    search = bundle(link=[{"relation": "self", "url": "https://x/fhir/Condition?patient=p1"}])

    assert not chart_of_bundle(whole(search)).not_sent


def test_references_within_a_bundle_may_be_urns() -> None:
    own = "urn:uuid:0b5e2f2c-53d3-4b6e-9a2b-0a5e8c1c1f5d"
    document = whole(condition("c1", SNOMED, "53741008"))
    document["entry"][0]["fullUrl"] = own
    text = json.dumps(document).replace('"Patient/p1"', f'"{own}"')

    assert values(map_chart(chart_of_bundle(json.loads(text)), BOOK, RULES, NOW)) == COMPLETE


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ([], "no FHIR Bundle"),
        ({"resourceType": "Patient"}, "no FHIR Bundle"),
        (bundle(bmi()), "holds no Patient"),
        (bundle(PATIENT, PATIENT | {"id": "p2"}), "several patients"),
        (more_pages(PATIENT), "next page"),
        (bundle(PATIENT, total=2), "fewer entries than were found"),
        (bundle(PATIENT, OUTCOME), "error of a search"),
        (
            {"resourceType": "Bundle", "entry": [{"response": {"status": "403"}}]},
            "error of a search",
        ),
    ],
)
def test_a_bundle_that_is_not_that_of_one_patient_is_refused(document: Any, said: str) -> None:
    with pytest.raises(InvalidChart, match=said):
        chart_of_bundle(document)


SEARCHED: Final = "https://ehr.example/fhir/Condition"


@pytest.mark.parametrize(
    ("asked", "known"),
    [
        (f"{SEARCHED}?patient=p1&_count=500", True),
        ("Condition?subject=Patient/p1", True),
        ("Condition?subject:Patient=p1&_sort=-recorded-date", True),
        (f"{SEARCHED}/_search?patient=p1", True),
        (f"{SEARCHED}?patient=p1&clinical-status=active", False),
        (f"{SEARCHED}?patient=p1&code=http://snomed.info/sct|38341003", False),
        (f"{SEARCHED}?patient=p1&category=problem-list-item", False),
        (f"{SEARCHED}?patient=p1&_lastUpdated=ge2026", False),
        ("https://ehr.example/fhir/FamilyCondition?patient=p1", False),
    ],
)
def test_the_empty_answer_of_a_narrower_search_is_no_good_health(asked: str, known: bool) -> None:
    empty = bundle(link=[{"relation": "self", "url": asked}])
    whole = bundle(PATIENT, bmi(), glucose(), smoking(), empty)

    assert ("conditions" not in chart_of_bundle(whole).not_sent) is known


def changes(kind: str, *entries: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


def test_what_a_history_or_a_transaction_takes_away_does_not_count() -> None:
    coronary = {"resource": condition("c1", SNOMED, CORONARY)}
    again = {"resource": condition("c1", ICD10, "I10")}
    parts = [{"resource": each} for each in (PATIENT, bmi(), glucose(), smoking())]

    def found(kind: str, *entries: dict[str, Any]) -> tuple[Any, Any]:
        chart = chart_of_bundle(changes(kind, *parts, *entries), conditions_known=True)
        seen = values(map_chart(chart, BOOK, RULES, NOW))
        return seen["hypertension"], seen["heart_disease"]

    for url in ("Condition/c1", "https://ehr.example/fhir/Condition/c1", "Condition/c1/_history/2"):
        gone = {"request": {"method": "DELETE", "url": url}}
        assert found("history", gone, coronary) == (0, 0)
        assert found("history", again, gone, coronary) == (1, 0)
        assert found("transaction", coronary, gone) == (0, 0)
    for url in ("Condition/c2", "Observation/c1", "Condition?code=c1"):
        other = {"request": {"method": "DELETE", "url": url}}
        assert found("history", other, coronary) == (0, 1)
        assert found("transaction", coronary, other) == (0, 1)


def test_a_uuid_is_the_same_in_capitals() -> None:
    own = "urn:uuid:ee7e9b4a-bb09-a3e3-43bf-ecb8d37b2b0f"
    document = bundle(PATIENT, bmi(), glucose(), smoking(), condition("c1", SNOMED, CORONARY))
    document["entry"][0]["fullUrl"] = own
    text = json.dumps(document).replace('"Patient/p1"', f'"{own.upper()}"')

    assert values(map_chart(chart_of_bundle(json.loads(text)), BOOK, RULES, NOW)) == COMPLETE


FIELDS: Final = [
    "resourceType",
    "entry",
    "resource",
    "code",
    "coding",
    "system",
    "subject",
    "status",
    "valueQuantity",
    "value",
    "effectiveDateTime",
    "link",
    "component",
]
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(FIELDS),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON, JSON, JSON)
@settings(max_examples=40)
def test_no_json_breaks_the_reading(patient: Any, observed: Any, conditions: Any) -> None:
    broken = glucose(own="x") | {"valueQuantity": observed, "effectivePeriod": observed}

    found = mapped(
        patient=patient,
        glucose=[broken, broken | {"id": "y", "code": observed}, glucose()],
        bmi=observed,
        conditions=[conditions, observed],
    )

    assert "avg_glucose_level" in found.values


@given(st.sampled_from(sorted(PATIENT)), JSON)
@settings(max_examples=40)
def test_no_field_of_the_patient_breaks_the_reading(field: str, value: Any) -> None:
    found = mapped(patient=PATIENT | {field: value})

    assert set(values(found)) <= set(RAW_FEATURES)


def test_of_a_chart_of_any_size_few_remarks_and_references_are_kept() -> None:
    found = mapped(
        MappingRules(most_notes=3, most_basis=5),
        glucose=bundle(
            *(glucose(1, "furlong", f"g{n}", effectiveDateTime=f"20{n}") for n in range(10, 60))
        ),
        conditions=bundle(*(condition(f"c{n}", ICD10, "I10") for n in range(60))),
        smoking=bundle(),
    )

    of_glucose = [note.text for note in found.notes if note.feature == "avg_glucose_level"]
    assert len(of_glucose) == 4
    assert of_glucose[-1] == "further remarks on avg glucose level were left out: 47"
    assert "the record has no smoking status: it counts as Unknown" in said(found)
    assert len(found.basis) == 5
    assert found.values["hypertension"].value == 1


@pytest.mark.parametrize("own", ["x" * 129, "a b", "a/../b", "\n", "", 7, None, {"a": 1}])
def test_an_id_that_cannot_stand_in_a_reference_is_left_out_of_the_basis(own: Any) -> None:
    found = mapped(bmi=bundle(bmi(own=own)))

    assert found.values["bmi"].value == 36.6
    observed = {each for each in found.basis if each.startswith("Observation/")}
    assert observed == {"Observation/glu1", "Observation/smo1"}
