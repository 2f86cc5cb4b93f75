"""Charts, mapped and assessed, without anything being stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from stroke.application.predictions.ports import RiskModel
from stroke.domain.clinical.chart import Chart, chart_of_bundle, chart_of_prefetch
from stroke.domain.clinical.codes import CodeBook
from stroke.domain.clinical.mapping import EXCLUDED, MappedChart, MappingRules, map_chart
from stroke.domain.errors import InvalidChart
from stroke.domain.patient import Patient
from stroke.domain.risk import RiskAssessment

WORDS: Final[Mapping[str, str]] = {
    "gender": "sex",
    "age": "age",
    "hypertension": "hypertension",
    "heart_disease": "heart disease",
    "avg_glucose_level": "glucose",
    "bmi": "BMI",
    "smoking_status": "smoking status",
}
"""What people call the features."""


def called(feature: str) -> str:
    """Return what people call a feature; one that a model declares for itself has its name."""
    return WORDS.get(feature) or feature.replace("_", " ")


@dataclass(frozen=True, slots=True)
class AssessedChart:
    """A mapped chart, and what the model says; ``assessment`` is None where it says nothing."""

    mapped: MappedChart
    patient: Patient | None
    assessment: RiskAssessment | None
    why_not: str | None


class ChartAssessment:
    """Maps charts by a book of codes and a site's rules, and assesses them with the model.

    ``model`` returns the one that is served now.
    """

    def __init__(
        self,
        model: Callable[[], RiskModel],
        book: CodeBook,
        rules: MappingRules,
        *,
        now: Callable[[], datetime],
    ) -> None:
        self._model = model
        self._book = book
        self._rules = rules
        self._now = now

    def assess(self, chart: Chart, at: datetime | None = None) -> AssessedChart:
        """Return what the chart says and what the model makes of it, ``at`` a time or now."""
        model = self._model()
        mapped = self.map(chart, model, at)
        reason, patient = self.looked_at(mapped, model)
        if patient is None:
            return AssessedChart(mapped, None, None, reason)
        [assessment] = model.assess([patient])
        return AssessedChart(mapped, patient, assessment, None)

    def map(self, chart: Chart, model: RiskModel, at: datetime | None = None) -> MappedChart:
        """Return what the chart says of what ``model`` takes, ``at`` a time or now."""
        further = model.description.further
        return map_chart(chart, self._book, self._rules, at or self._now(), further)

    def looked_at(self, mapped: MappedChart, model: RiskModel) -> tuple[str | None, Patient | None]:
        """Return why ``model`` cannot assess a mapped chart, or else the chart's patient."""
        if mapped.not_sent:
            return f"not sent: {', '.join(mapped.not_sent)}", None
        if mapped.incomplete:
            return f"only the first page was sent: {', '.join(mapped.incomplete)}", None
        if mapped.excluded is not None:
            return EXCLUDED[mapped.excluded], None
        described = model.description
        lacking = [each for each in mapped.lacking if each not in described.may_be_missing]
        own = [
            each
            for each in described.further
            if not each.may_be_missing and each.name not in mapped.values
        ]
        lacking += [each.name for each in own if self._book.maps(each)]
        if lacking:
            return f"the record lacks {' and '.join(map(called, lacking))}", None
        if own:
            names = " and ".join(each.name for each in own)
            return f"the model needs {names}, which no code maps", None
        patient = mapped.patient(described.may_be_missing, described.further)
        return None, patient


def chart_of(
    document: Any, patient_id: str | None = None, *, conditions_known: bool = False
) -> Chart:
    """Return the chart in a document: a FHIR Bundle, or a request of CDS Hooks.

    Raises ``InvalidChart``.
    """
    if isinstance(document, Mapping) and "context" in document:
        context, server = document["context"], document.get("fhirServer")
        own = context.get("patientId") if isinstance(context, Mapping) else None
        if not isinstance(own, str):
            raise InvalidChart("the request's context names no patient")
        return chart_of_prefetch(
            document.get("prefetch"), own, server if isinstance(server, str) else None
        )
    return chart_of_bundle(document, patient_id, conditions_known=conditions_known)
