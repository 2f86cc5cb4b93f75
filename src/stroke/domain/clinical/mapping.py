"""A chart in the words of the model: seven measurements, and what has to be said about them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, Literal

from stroke.domain.clinical import chart as keys
from stroke.domain.clinical.chart import Chart
from stroke.domain.clinical.codes import CodeBook
from stroke.domain.clinical.conditions import Conditions, Standing, flag
from stroke.domain.clinical.found import Findings, Found, Note, Source
from stroke.domain.clinical.observations import (
    Readings,
    body_mass_index,
    glucose,
    is_modified,
    newest_first,
    readings,
    smoking,
)
from stroke.domain.clinical.own_features import OwnFeatures, observed_own
from stroke.domain.clinical.times import birth_date, instant, years_between
from stroke.domain.features import RAW_FEATURES
from stroke.domain.further import Further, values_of
from stroke.domain.patient import AGE, Patient, extended

HeartDisease = Literal["any", "ischaemic"]
Glucose = Literal["latest", "mean"]
ADULT: Final = 18

_GENDERS: Final = {"male": "Male", "female": "Female", "other": "Other"}
_KEY_OF: Final = {
    "gender": (keys.PATIENT,),
    "age": (keys.PATIENT,),
    "hypertension": (keys.CONDITIONS,),
    "heart_disease": (keys.CONDITIONS,),
    "avg_glucose_level": (keys.GLUCOSE,),
    "bmi": (keys.BMI, keys.BODY),
    "smoking_status": (keys.SMOKING,),
}
_ALWAYS: Final = frozenset({keys.PATIENT, keys.CONDITIONS, keys.GLUCOSE, keys.SMOKING})


class Excluded(StrEnum):
    """Why a patient is not assessed, whatever the record has."""

    DECEASED = "deceased"
    STROKE = "stroke"
    MINOR = "minor"


EXCLUDED: Final[Mapping[Excluded, str]] = {
    Excluded.DECEASED: "the patient is deceased",
    Excluded.STROKE: "the record has a stroke: the model says who is likely to have had one",
    Excluded.MINOR: "the patient is a minor",
}


@dataclass(frozen=True, slots=True)
class MappingRules:
    """What a site decides of the mapping.

    ``heart_disease`` is ``any`` (valves, rhythm, muscle and failure, too) or ``ischaemic``;
    conditions in ``past_counts`` count also when they are over. ``glucose`` is the ``latest``
    value, or a ``mean`` where the record has one. Patients under ``adult_age`` are minors. Of
    each feature no more than ``most_notes`` notes are given, and of the whole chart ``most_basis``
    references: a chart may be of any size.
    """

    heart_disease: HeartDisease = "any"
    past_counts: frozenset[str] = frozenset({"heart_disease"})
    glucose: Glucose = "latest"
    adult_age: int = ADULT
    most_notes: int = 10
    most_basis: int = 100


@dataclass(frozen=True, slots=True)
class MappedChart:
    """What a chart says of its patient.

    ``values`` is by feature. ``not_sent`` are keys without which nothing can be said: the client
    has to send them. ``basis`` are references to the resources that values came from.
    ``unmapped`` counts resources whose codes the book does not have, by system.
    """

    patient_id: str
    values: Mapping[str, Found]
    notes: tuple[Note, ...]
    excluded: Excluded | None
    not_sent: tuple[str, ...]
    incomplete: tuple[str, ...]
    basis: tuple[str, ...]
    unmapped: Mapping[str, int]

    @property
    def lacking(self) -> tuple[str, ...]:
        """The features that the chart has no value of, in the model's order."""
        return tuple(name for name in RAW_FEATURES if name not in self.values)

    def patient(self, may_be_missing: Collection[str], further: Further = ()) -> Patient | None:
        """Return the patient, or None if one lacks more than what ``may_be_missing``.

        One also has the values of the ``further`` features, and must lack none of them but those
        that say so themselves.
        """
        needed = [each.name for each in further if not each.may_be_missing]
        if any(name not in may_be_missing for name in self.lacking):
            return None
        if any(name not in self.values for name in needed):
            return None
        values: dict[str, Any] = dict.fromkeys(may_be_missing)
        values |= {name: self.values[name].value for name in RAW_FEATURES if name in self.values}
        own = {name: found.value for name, found in self.values.items()}
        return extended(Patient(**values), values_of(further, own))


def map_chart(
    chart: Chart, book: CodeBook, rules: MappingRules, now: datetime, further: Further = ()
) -> MappedChart:
    """Return what the chart says at the time ``now`` (aware).

    Values of the ``further`` features, which a model declares for itself, are looked for where the
    book says so.
    """
    findings = Findings(rules.most_notes)
    patient = chart.patient
    grown = deceased = None
    if patient is not None:
        deceased = _is_deceased(patient)
        if is_modified(patient):
            findings.note("patient", "the Patient has a modifier that is not known: it is not read")
        else:
            _gender(patient, chart, findings)
            grown = _age(patient, chart, now, findings)
    found = readings(chart, book, findings)
    measurements = (
        glucose(found, prefers_mean=rules.glucose == "mean", now=now, findings=findings),
        body_mass_index(found, grown=grown, now=now, findings=findings),
        smoking(found, book, now, findings),
    )
    for each in measurements:
        if each is not None:
            findings.found(each)
    stroke, conditions = False, None
    if keys.CONDITIONS not in chart.not_sent:
        conditions = Conditions(chart, book, findings)
        ischaemic = rules.heart_disease == "ischaemic"
        meant = "ischaemic_heart_disease" if ischaemic else "heart_disease"
        for feature, meaning in (("hypertension", "hypertension"), ("heart_disease", meant)):
            counts = feature in rules.past_counts
            flag(feature, meaning, conditions, findings, past_counts=counts)
        stroke = _had_stroke(conditions, findings)
    if further:
        OwnFeatures(chart, book, found, conditions, now, findings).find(further)
    for key in sorted(chart.failed):
        named = key if key in (*keys.KEYS, keys.FURTHER) else "another key"
        findings.note(named, f"the record's answer for {named} was an error")
    own = observed_own(further, book)
    incomplete = _incomplete(chart, found, findings, own)
    return MappedChart(
        chart.identity.patient_id,
        findings.values,
        findings.said,
        _excluded(findings, deceased=bool(deceased), stroke=stroke, rules=rules),
        _not_sent(chart, findings, own),
        incomplete,
        _basis(findings)[: rules.most_basis],
        dict(sorted(findings.unmapped.items())),
    )


def _gender(patient: Mapping[str, Any], chart: Chart, findings: Findings) -> None:
    written = patient.get("gender")
    found = _GENDERS.get(written) if isinstance(written, str) else None
    if found is None:
        findings.note("gender", "the record does not know the patient's sex")
        return
    if found == "Other":
        findings.note("gender", "the model has hardly seen anybody whose sex is Other")
    findings.found(Found("gender", found, "as recorded", (_self(chart),)))


def _age(
    patient: Mapping[str, Any], chart: Chart, now: datetime, findings: Findings
) -> datetime | None:
    """Find the age; return when the patient was grown, as far as that is known."""
    born = birth_date(patient.get("birthDate"))
    if born is None:
        findings.note("age", "the record has no birth date that can be read")
        return None
    day, is_exact = born
    age = years_between(day, now.astimezone(UTC).date())
    if age not in AGE:
        findings.note("age", f"the birth date gives no plausible age (it must be {AGE})")
        return None
    if not is_exact:
        findings.note("age", "the birth date has no day: the age may be off by a year")
    how = "from the birth date" if is_exact else "from a birth date without a day"
    findings.found(Found("age", age, how, (_self(chart),)))
    if age < ADULT:
        return None
    return instant(f"{day.year + ADULT:04}-01-01")


def _self(chart: Chart) -> Source:
    own, urls = chart.identity.patient_id, sorted(chart.identity.urls)
    return Source(f"Patient/{own}" if own or not urls else urls[0])


def _is_deceased(patient: Mapping[str, Any]) -> bool:
    """Return whether the patient died, also at a time that the record does not know.

    JSON holds an unknown time beside the field, as ``_deceasedDateTime`` with an extension.
    """
    flag = patient.get("deceasedBoolean")
    if flag is True or (isinstance(flag, str) and flag.strip().lower() == "true"):
        return True
    return bool(patient.get("deceasedDateTime")) or bool(patient.get("_deceasedDateTime"))


def _had_stroke(conditions: Conditions, findings: Findings) -> bool:
    if conditions.of("stroke", Standing.PRESENT) or conditions.of("stroke", Standing.PAST):
        return True
    if conditions.of("stroke", Standing.UNCONFIRMED):
        findings.note("conditions", "a stroke is recorded, but not confirmed")
    return False


def _excluded(
    findings: Findings, *, deceased: bool, stroke: bool, rules: MappingRules
) -> Excluded | None:
    if deceased:
        return Excluded.DECEASED
    if stroke:
        return Excluded.STROKE
    age = findings.values.get("age")
    if age is not None and float(age.value) < rules.adult_age:
        return Excluded.MINOR
    return None


def _not_sent(chart: Chart, findings: Findings, own: Collection[str]) -> tuple[str, ...]:
    """Return the keys that have to be sent: of BMI and body, what gives a BMI is enough.

    ``own`` are features that a model declares for itself, and that observations have.
    """
    wanted = set(_ALWAYS)
    if "bmi" not in findings.values:
        wanted |= {keys.BMI, keys.BODY}
    if any(name not in findings.values for name in own):
        wanted.add(keys.FURTHER)
    return tuple(key for key in (*keys.KEYS, keys.FURTHER) if key in wanted and chart.lacks(key))


def _incomplete(
    chart: Chart, found: Readings, findings: Findings, own: Collection[str]
) -> tuple[str, ...]:
    """Return the keys whose next pages may change what was found.

    The next page of conditions may. That of observations does not where the page shows that it
    is sorted, newest first, and has a value that can be used.
    """
    left = []
    for key in (*keys.KEYS, *([keys.FURTHER] if own else [])):
        if key not in chart.incomplete:
            continue
        if key == keys.BODY and _comes_from(findings.values.get("bmi"), found.of("bmi")):
            continue
        entries = [each for each in chart.entries if each.key == key]
        features = [name for name, of in _KEY_OF.items() if key in of]
        features += own if key == keys.FURTHER else ()
        sure = newest_first(entries) and all(name in findings.values for name in features)
        if key in (keys.PATIENT, keys.CONDITIONS) or not sure:
            left.append(key)
    return tuple(left)


def _comes_from(value: Found | None, candidates: Collection[Any]) -> bool:
    sources = {each.source for each in candidates}
    return value is not None and bool(value.sources) and set(value.sources) <= sources


def _basis(findings: Findings) -> tuple[str, ...]:
    found = {
        source.reference: None
        for name in (*RAW_FEATURES, *(each for each in findings.values if each not in RAW_FEATURES))
        if name in findings.values
        for source in findings.values[name].sources
        if source.reference is not None
    }
    return tuple(found)
