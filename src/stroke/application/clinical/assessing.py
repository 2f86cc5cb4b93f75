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
        mapped, model = self.map(chart, at), self._model()
        reason, patient = self.looked_at(mapped, model)
        if patient is None:
            return AssessedChart(mapped, None, None, reason)
        [assessment] = model.assess([patient])
        return AssessedChart(mapped, patient, assessment, None)

    def map(self, chart: Chart, at: datetime | None = None) -> MappedChart:
        """Return what the chart says, ``at`` a time or now."""
        return map_chart(chart, self._book, self._rules, at or self._now())

    def looked_at(self, mapped: MappedChart, model: RiskModel) -> tuple[str | None, Patient | None]:
        """Return why ``model`` cannot assess a mapped chart, or else the chart's patient."""
        if mapped.not_sent:
            return f"not sent: {', '.join(mapped.not_sent)}", None
        if mapped.incomplete:
            return f"only the first page was sent: {', '.join(mapped.incomplete)}", None
        if mapped.excluded is not None:
            return EXCLUDED[mapped.excluded], None
        may_be_missing = model.description.may_be_missing
        patient = mapped.patient(may_be_missing)
        if patient is None:
            lacking = [WORDS[each] for each in mapped.lacking if each not in may_be_missing]
            return f"the record lacks {' and '.join(lacking)}", None
        # No code says yet where a record has what only this model asks for.
        if own := [each.name for each in model.description.further if not each.may_be_missing]:
            return f"the model needs {' and '.join(own)}, which no code maps", None
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
