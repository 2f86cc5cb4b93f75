"""Measurements of a chart: the newest usable one of each, in the model's unit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from stroke.domain.clinical.chart import Chart, Entry, listed, updated
from stroke.domain.clinical.codes import NO_SYSTEM, CodeBook, CodeSet, Coding
from stroke.domain.clinical.found import Findings, Found, Source
from stroke.domain.clinical.references import reference_of
from stroke.domain.clinical.times import effective, has_unreadable_time, instant, order
from stroke.domain.clinical.units import KINDS, Kind, Measured, UnusableQuantity, measured
from stroke.domain.moments import LAST
from stroke.domain.patient import BMI

_TAKEN: Final = frozenset({"final", "amended", "corrected"})
_SAID: Final = frozenset({"registered", "preliminary", "unknown"})
_WITHDRAWN: Final = frozenset({"cancelled", "entered-in-error"})
_TOMORROW: Final = timedelta(days=1)
_UNKNOWN: Final = "Unknown"
_WORDS: Final = {"bmi": "BMI", "glucose": "glucose", "weight": "weight", "height": "height"}
_CM_PER_M: Final = 100


class Reading(NamedTuple):
    """An observation, or a component of one, that means what is looked for."""

    value: Mapping[str, Any]
    entry: Entry
    coding: Coding
    moment: datetime | None
    rank: tuple[Any, ...]

    @property
    def source(self) -> Source:
        """Where its value comes from."""
        reference = reference_of(self.entry.resource, self.entry.full_url)
        return Source(reference, self.coding.code, self.moment)


@dataclass(frozen=True, slots=True)
class Readings:
    """All readings of a chart by meaning, the newest first."""

    by_meaning: Mapping[str, Sequence[Reading]]

    def of(self, *meanings: str) -> list[Reading]:
        """Return those of these meanings, the newest first."""
        found = [each for meaning in meanings for each in self.by_meaning.get(meaning, ())]
        return sorted(found, key=lambda reading: reading.rank, reverse=True)


def codings_of(concept: Any, book: CodeBook) -> list[Coding]:
    """Return the codings of a CodeableConcept; what has no code is none."""
    found = []
    for each in listed(concept.get("coding")) if isinstance(concept, Mapping) else []:
        if isinstance(each, Mapping) and isinstance(code := each.get("code"), str) and code:
            system = each.get("system")
            found.append(book.coding(system if isinstance(system, str) else None, code))
    return found


def readings(chart: Chart, book: CodeBook, findings: Findings) -> Readings:
    """Return every reading of the chart's patient; count observations that no code is known of."""
    by_meaning: dict[str, list[Reading]] = {}
    unclear = 0
    for entry in chart.of_type("Observation"):
        parts = (entry.resource, *_components(entry.resource))
        if not chart.identity.is_subject_of(entry.resource):
            means = any(True for part in parts for _ in _meanings(part, book))
            unclear += means and chart.identity.may_be_subject_of(entry.resource)
            continue
        if _is_about_another(chart, entry):
            continue
        known = False
        for part in parts:
            for meaning, coding in _meanings(part, book):
                known = True
                by_meaning.setdefault(meaning, []).append(_reading(part, entry, coding))
        if not known:
            codings = codings_of(entry.resource.get("code"), book)
            findings.count_unmapped(codings[0].system if codings else NO_SYSTEM)
    if unclear:
        text = f"measurements that are not clearly this patient's do not count: {unclear}"
        findings.note("observations", text)
    return Readings(by_meaning)


def is_modified(part: Mapping[str, Any]) -> bool:
    """Return whether an extension, or a set of rules, changes what a part of a record means.

    Nobody here knows how.
    """
    return bool(part.get("modifierExtension") or part.get("implicitRules"))


def _is_about_another(chart: Chart, entry: Entry) -> bool:
    """Return whether an observation in the patient's record is about a child, a donor, a device."""
    focus = listed(entry.resource.get("focus"))
    return any(not chart.identity.is_subject_of({"subject": each}) for each in focus)


def _components(resource: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for each in listed(resource.get("component")):
        if isinstance(each, Mapping):
            yield each


def _meanings(part: Mapping[str, Any], book: CodeBook) -> Iterator[tuple[str, Coding]]:
    codings = codings_of(part.get("code"), book)
    found = {
        meaning: coding
        for meaning, codes in book.observed()
        for coding in reversed(codings)
        if codes.holds(coding)
    }
    if "never_glucose" in found:  # also where another of its codes says blood
        found = {name: c for name, c in found.items() if name not in {"glucose", "mean_glucose"}}
    yield from found.items()


def _reading(part: Mapping[str, Any], entry: Entry, coding: Coding) -> Reading:
    resource = entry.resource
    moment = effective(resource)
    # One whose time cannot be read may be the newest: it is looked at first, and spoken of.
    rank = (
        LAST if moment is None and has_unreadable_time(resource) else order(moment),
        order(instant(resource.get("issued"))),
        updated(resource),
        str(resource.get("id")),
    )
    return Reading(part, entry, coding, moment, rank)


def usable(found: Iterable[Reading], now: datetime) -> Iterator[tuple[Reading, str | None]]:
    """Give each reading that may count, or that is to be spoken of, and then why it does not."""
    for reading in found:
        status = reading.entry.resource.get("status")
        if not isinstance(status, str):
            yield reading, "it has no status"
        elif status in _SAID:
            yield reading, f"its status is {status}"
        elif status in _WITHDRAWN:
            continue
        elif status not in _TAKEN:
            yield reading, "its status is not known"
        elif is_modified(reading.entry.resource) or is_modified(reading.value):
            yield reading, "it has a modifier that is not known"
        elif reading.moment is None and has_unreadable_time(reading.entry.resource):
            yield reading, "its time cannot be read"
        else:
            future = reading.moment is not None and reading.moment > now + _TOMORROW
            yield reading, "it is dated in the future" if future else None


def _newest(
    found: Iterable[Reading], kind: str, feature: str, now: datetime, findings: Findings
) -> tuple[Reading, Measured] | None:
    return newest(found, KINDS[kind], Asked(feature, _WORDS[kind]), now, findings)


class Asked(NamedTuple):
    """The feature that a reading is looked for, and what notes call the reading."""

    feature: str
    words: str


def newest(
    found: Iterable[Reading], kind: Kind, asked: Asked, now: datetime, findings: Findings
) -> tuple[Reading, Measured] | None:
    """Return the first quantity that can be used; note why those before it cannot."""
    for reading, reason in usable(found, now):
        why = reason
        if why is None:
            try:
                return reading, _quantity(reading, kind)
            except UnusableQuantity as error:
                why = f"it {error}"
        findings.note(asked.feature, not_used(asked.words, reading, why))
    return None


def not_used(words: str, reading: Reading, why: str) -> str:
    """Return the note on a reading that does not count."""
    return f"the {words} of {_day(reading)} was not used: {why}"


def _quantity(reading: Reading, kind: Kind) -> Measured:
    quantity = reading.value.get("valueQuantity")
    if quantity is not None and reading.value.get("dataAbsentReason"):
        raise UnusableQuantity("has a value, and a reason why it has none")
    if quantity is None and "" in kind.texts and "valueInteger" in reading.value:
        quantity = {"value": reading.value["valueInteger"]}
    if quantity is None:
        other = any(name.startswith("value") for name in reading.value)
        raise UnusableQuantity("has a value that is no quantity" if other else "has no value")
    return measured(kind, quantity)


def _day(reading: Reading) -> str:
    return f"{reading.moment:%Y-%m-%d}" if reading.moment else "an unknown day"


def glucose(
    found: Readings, *, prefers_mean: bool, now: datetime, findings: Findings
) -> Found | None:
    """Return the glucose in mg/dL: the newest, or the newest mean where that is preferred."""
    feature = "avg_glucose_level"
    for meaning in ("mean_glucose", "glucose") if prefers_mean else ("glucose",):
        newest = _newest(found.of(meaning), "glucose", feature, now, findings)
        if newest is not None:
            reading, value = newest
            kind = "a mean, " if meaning == "mean_glucose" else ""
            return Found(feature, value.value, kind + how_read(value, "mg/dL"), (reading.source,))
    return None


def body_mass_index(
    found: Readings, *, grown: datetime | None, now: datetime, findings: Findings
) -> Found | None:
    """Return the BMI in kg/m²: the newest one, else that of the newest weight and height.

    A height that was measured before the patient was ``grown`` does not count.
    """
    newest = _newest(found.of("bmi"), "bmi", "bmi", now, findings)
    if newest is not None:
        return Found("bmi", newest[1].value, how_read(newest[1], "kg/m²"), (newest[0].source,))
    weight = _newest(found.of("weight"), "weight", "bmi", now, findings)
    heights = [
        each
        for each in found.of("height")
        if grown is None or each.moment is None or each.moment >= grown
    ]
    if weight is not None and not heights and found.of("height"):
        findings.note("bmi", "the height was not used: the patient was not grown then")
    height = _newest(heights, "height", "bmi", now, findings)
    if weight is None or height is None:
        return None
    value = weight[1].value / (height[1].value / _CM_PER_M) ** 2
    if value not in BMI:
        findings.note("bmi", f"weight and height give no plausible BMI (it must be {BMI})")
        return None
    how = f"computed from a weight of {weight[1].written} and a height of {height[1].written}"
    findings.note("bmi", "the BMI was computed from weight and height")
    return Found("bmi", value, how, (weight[0].source, height[0].source))


def smoking(found: Readings, book: CodeBook, now: datetime, findings: Findings) -> Found:
    """Return the smoking status: the newest that is known, else Unknown."""
    feature = "smoking_status"
    unknown: Reading | None = None
    for reading, reason in usable(found.of("smoking"), now):
        status = None if reason else _smoking_status(reading, book)
        if reason or status is None:
            why = reason or "it has no answer that is known"
            findings.note(feature, not_used("smoking status", reading, why))
        elif status == _UNKNOWN:
            unknown = unknown or reading
        else:
            if unknown is not None:
                findings.note(
                    feature,
                    f"the smoking status of {_day(unknown)} is unknown: the one before counts",
                )
            return Found(feature, status, "as recorded", (reading.source,))
    if unknown is not None:
        return Found(feature, _UNKNOWN, "recorded as unknown", (unknown.source,))
    findings.note(feature, "the record has no smoking status: it counts as Unknown")
    return Found(feature, _UNKNOWN, "not recorded")


def _smoking_status(reading: Reading, book: CodeBook) -> str | None:
    codings = codings_of(reading.value.get("valueCodeableConcept"), book)
    found = answers(codings, book.smoking_answers)
    if found:
        return found.pop() if len(found) == 1 else None  # two answers contradict each other
    if not codings and isinstance(reading.value.get("valueQuantity"), Mapping):
        return _UNKNOWN  # pack-years do not say whether somebody smokes now
    return None


def answers(codings: Iterable[Coding], known: Mapping[str, CodeSet]) -> set[str]:
    """Return which of the ``known`` answers the codings are."""
    listed = list(codings)
    return {
        answer for answer, codes in known.items() if any(codes.holds(coding) for coding in listed)
    }


def how_read(value: Measured, unit: str) -> str:
    """Return how a quantity was read, in words."""
    if value.converted:
        return f"converted from {value.written}"
    return f"as recorded, in {unit}" if unit else "as recorded"


def newest_first(entries: Sequence[Entry]) -> bool:
    """Return whether a page of observations shows that its server sorted it, newest first."""
    moments = [effective(entry.resource) for entry in entries]
    known = [each for each in moments if each is not None]
    return (
        len(known) == len(moments) > 1
        and known == sorted(known, reverse=True)
        and known[0] > known[-1]
    )
