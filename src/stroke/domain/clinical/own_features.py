"""Features that a model declares for itself, as a chart has them where a site's codes say so."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from stroke.domain.clinical.chart import Chart
from stroke.domain.clinical.codes import MARITAL_STATUS, CodeBook, FurtherCodes, meaning_of
from stroke.domain.clinical.conditions import Conditions, flag
from stroke.domain.clinical.found import Findings, Found, Source
from stroke.domain.clinical.observations import (
    Asked,
    Reading,
    Readings,
    answers,
    codings_of,
    how_read,
    newest,
    not_used,
    usable,
)
from stroke.domain.clinical.references import reference_of
from stroke.domain.clinical.units import Kind, plain_unit
from stroke.domain.further import FeatureKind, Further, FurtherFeature
from stroke.domain.patient import Range

_ONE: Final = "1"
"""UCUM's code for a number without a unit."""


@dataclass(frozen=True, slots=True)
class OwnFeatures:
    """Finds values of features that a model declares for itself in a chart, at ``now`` (aware).

    ``readings`` are those of the chart; ``conditions`` is None where they were not sent.
    """

    chart: Chart
    book: CodeBook
    readings: Readings
    conditions: Conditions | None
    now: datetime
    findings: Findings

    def find(self, further: Further) -> None:
        """Find those that the book maps. What may be missing and is not found is noted."""
        for feature in further:
            words = feature.name.replace("_", " ")
            if self.book.maps(feature):
                self._find(feature, self.book.further[feature.name])
                why = f"the record has no usable {words}"
            else:
                why = f"no code maps {words}"
            if feature.may_be_missing and feature.name not in self.findings.values:
                self.findings.note(feature.name, f"{why}: it counts as missing")

    def _find(self, feature: FurtherFeature, codes: FurtherCodes) -> None:
        meaning = meaning_of(feature.name)
        if codes.place == "conditions":
            if self.conditions is not None:
                flag(feature.name, meaning, self.conditions, self.findings, past_counts=False)
            return
        if codes.place == "patient":
            found = self._of_patient(feature, codes)
        elif feature.kind is FeatureKind.NUMBER:
            found = self._measured(feature, codes, self.readings.of(meaning))
        else:
            found = self._answered(feature, codes, self.readings.of(meaning))
        if found is not None:
            self.findings.found(found)

    def _of_patient(self, feature: FurtherFeature, codes: FurtherCodes) -> Found | None:
        patient = self.chart.patient or {}
        value = self._answer(feature, codes, patient.get(MARITAL_STATUS))
        if value is None:
            return None
        source = Source(reference_of(patient, None))
        return Found(feature.name, value, "from the marital status", (source,))

    def _measured(
        self, feature: FurtherFeature, codes: FurtherCodes, readings: Iterable[Reading]
    ) -> Found | None:
        asked = Asked(feature.name, feature.name.replace("_", " "))
        found = newest(readings, _kind(feature, codes), asked, self.now, self.findings)
        if found is None:
            return None
        reading, value = found
        how = how_read(value, feature.unit)
        return Found(feature.name, value.value, how, (reading.source,))

    def _answered(
        self, feature: FurtherFeature, codes: FurtherCodes, readings: Iterable[Reading]
    ) -> Found | None:
        """Return the newest answer that can be used; note why newer ones cannot."""
        for reading, reason in usable(readings, self.now):
            value = None if reason else self._coded(feature, codes, reading)
            if value is not None:
                return Found(feature.name, value, "as recorded", (reading.source,))
            why = reason or "it has no answer that is known"
            words = feature.name.replace("_", " ")
            self.findings.note(feature.name, not_used(words, reading, why))
        return None

    def _coded(
        self, feature: FurtherFeature, codes: FurtherCodes, reading: Reading
    ) -> int | str | None:
        said = reading.value.get("valueBoolean")
        if feature.kind is FeatureKind.FLAG and isinstance(said, bool):
            return int(said)
        return self._answer(feature, codes, reading.value.get("valueCodeableConcept"))

    def _answer(
        self, feature: FurtherFeature, codes: FurtherCodes, concept: object
    ) -> int | str | None:
        """Return the value that a coded answer means; None for none, and for several."""
        found = answers(codings_of(concept, self.book), codes.values)
        if len(found) != 1:
            return None
        [word] = found
        if feature.kind is FeatureKind.FLAG:
            return {"0": 0, "1": 1}.get(word)
        return word if word in feature.categories else None


def observed_own(further: Further, book: CodeBook) -> tuple[str, ...]:
    """Return which of the ``further`` features come from observations."""
    return tuple(
        each.name
        for each in further
        if book.maps(each) and book.further[each.name].place == "observations"
    )


def _kind(feature: FurtherFeature, codes: FurtherCodes) -> Kind:
    """Return how the feature is written: in the model's unit, and in those that the site names."""
    known = {feature.unit or _ONE: 1.0, **codes.units}
    texts = {plain_unit(unit): factor for unit, factor in known.items()}
    if not feature.unit:
        texts[""] = 1.0
    return Kind(feature.unit, Range(feature.low, feature.high, feature.unit), known, texts)
