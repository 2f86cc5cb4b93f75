"""Conditions of a chart: which of them count, and for what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any, Final

from stroke.domain.clinical.chart import Chart, Entry, listed
from stroke.domain.clinical.codes import NO_SYSTEM, OTHER_SYSTEM, CodeBook, Coding
from stroke.domain.clinical.found import Findings, Found, Source
from stroke.domain.clinical.observations import is_modified
from stroke.domain.clinical.references import reference_of

# Beside FHIR's own codes, those of SNOMED CT for confirmed and for known to be absent.
_REFUTED: Final = frozenset({"refuted", "entered-in-error", "410516002"})
_UNCONFIRMED: Final = frozenset({"unconfirmed", "provisional", "differential"})
_SURE: Final = frozenset({"confirmed", "unknown", "410605003"})
_PAST: Final = frozenset({"inactive", "remission", "resolved"})
# How sure a diagnosis of ICD-10-GM is: A excluded, V suspected, Z a state after, G confirmed.
_GERMAN: Final = "icd-10-gm-diagnosesicherheit"


class Standing(Enum):
    """Whether a condition is there."""

    PRESENT = "present"
    PAST = "past"
    UNCONFIRMED = "unconfirmed"
    REFUTED = "refuted"


def standing(condition: Mapping[str, Any]) -> Standing:
    """Return whether the patient has a condition, had it, may have it, or does not have it.

    A condition that does not say how sure it is counts as confirmed; one that says so in a word
    that FHIR does not have is not confirmed. One without a clinical status is there, unless it has
    an end.
    """
    verified = _codes(condition.get("verificationStatus"))
    if verified & _REFUTED:
        return Standing.REFUTED
    if verified & _UNCONFIRMED or (verified and not verified & _SURE):
        return Standing.UNCONFIRMED
    clinical = _codes(condition.get("clinicalStatus"))
    if clinical & _PAST:
        return Standing.PAST
    ended = any(
        name.lstrip("_").startswith("abatement") and value is not False and value is not None
        for name, value in condition.items()
    )
    return Standing.PAST if ended and not clinical else Standing.PRESENT


def _codes(status: Any) -> frozenset[str]:
    """Return the codes of a status: of a CodeableConcept, or a text as older versions had.

    Where it has no code, its words count: those of the codings, or the text of them all.
    """
    if isinstance(status, list):
        return frozenset(
            code for each in status if not isinstance(each, list) for code in _codes(each)
        )
    if isinstance(status, str):
        return _as_codes([status])
    if not isinstance(status, Mapping):
        return frozenset()
    codings = [each for each in listed(status.get("coding")) if isinstance(each, Mapping)]
    return (
        _as_codes(each.get("code") for each in codings)
        or _as_codes(each.get("display") for each in codings)
        or _as_codes([status.get("text")])
    )


def _as_codes(texts: Iterable[Any]) -> frozenset[str]:
    words = (text.lower().split() for text in texts if isinstance(text, str))
    return frozenset("-".join(each) for each in words if each)


class Conditions:
    """The conditions of the chart's patient, by meaning."""

    def __init__(self, chart: Chart, book: CodeBook, findings: Findings) -> None:
        self._found: dict[str, list[tuple[Standing, Source]]] = {}
        self._unread = 0
        others = modified = 0
        for entry in chart.of_type("Condition"):
            if not chart.identity.is_subject_of(entry.resource):
                others += 1
            elif is_modified(entry.resource):
                modified += 1
            else:
                self._take(entry, book, findings)
        # What was passed over is no good health: whoever reads the card has to know of it.
        if others:
            findings.note(
                "conditions",
                f"conditions that are not clearly this patient's do not count: {others}",
            )
        if modified:
            text = f"conditions with a modifier that is not known do not count: {modified}"
            findings.note("conditions", text)
        if self._unread:
            findings.note(
                "conditions",
                f"conditions without a code of a known system do not count: {self._unread}",
            )

    def of(self, meaning: str, wanted: Standing) -> tuple[Source, ...]:
        """Return where conditions of this meaning and standing are recorded."""
        return tuple(source for found, source in self._found.get(meaning, ()) if found is wanted)

    def _take(self, entry: Entry, book: CodeBook, findings: Findings) -> None:
        concept = entry.resource.get("code")
        codings = listed(concept.get("coding")) if isinstance(concept, Mapping) else []
        whole = standing(entry.resource)
        taken: set[str] = set()  # of two codes of one condition with the same meaning, the first
        first = NO_SYSTEM
        for raw in codings:
            coding = _coding(raw, book)
            if coding is None:
                continue
            first = coding.system if first == NO_SYSTEM else first
            for meaning in _meanings(coding, book):
                if meaning in taken:
                    continue
                taken.add(meaning)
                source = Source(reference_of(entry.resource, entry.full_url), coding.code)
                self._found.setdefault(meaning, []).append((_as_coded(raw, whole), source))
        if not taken:
            findings.count_unmapped(first)
            # One that is not there, or not sure, could not count anyway.
            self._unread += first in (NO_SYSTEM, OTHER_SYSTEM) and whole is Standing.PRESENT


def _coding(raw: Any, book: CodeBook) -> Coding | None:
    code = raw.get("code") if isinstance(raw, Mapping) else None
    if not isinstance(code, str) or not code:
        return None
    system = raw.get("system")
    return book.coding(system if isinstance(system, str) else None, code)


def _meanings(coding: Coding, book: CodeBook) -> list[str]:
    return [meaning for meaning, codes in book.diagnosed() if codes.holds(coding)]


def flag(
    feature: str, meaning: str, conditions: Conditions, findings: Findings, *, past_counts: bool
) -> None:
    """Find whether the patient has a condition of this meaning; note what does not count."""
    words = feature.replace("_", " ")
    present = conditions.of(meaning, Standing.PRESENT)
    past = conditions.of(meaning, Standing.PAST)
    if conditions.of(meaning, Standing.UNCONFIRMED) and not present:
        findings.note(feature, f"{words} is recorded, but not confirmed: it does not count")
    if present:
        findings.found(Found(feature, 1, "as recorded", present))
    elif past and past_counts:
        findings.note(feature, f"{words} is recorded as past: it counts")
        findings.found(Found(feature, 1, "recorded as past", past))
    else:
        if past:
            findings.note(feature, f"{words} is recorded as past: it does not count")
        findings.found(Found(feature, 0, "no such condition is recorded"))


def _as_coded(coding: Mapping[str, Any], whole: Standing) -> Standing:
    """Return a condition's standing where its code says more than the condition itself."""
    sure = ""
    extensions = coding.get("extension")
    for each in extensions if isinstance(extensions, list) else ():
        if isinstance(each, Mapping) and str(each.get("url", "")).endswith(_GERMAN):
            value = each.get("valueCoding")
            sure = str(value.get("code")) if isinstance(value, Mapping) else ""
    last = str(coding.get("code")).split()
    if not sure and len(last) > 1:  # I25.1 A
        sure = last[-1]
    if whole in (Standing.REFUTED, Standing.UNCONFIRMED):
        return whole
    return {
        "A": Standing.REFUTED,
        "V": Standing.UNCONFIRMED,
        "Z": Standing.PAST,
    }.get(sure.upper(), whole)
