"""Charts that record systems send: assessed once, stored, and found again."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid5

from stroke.application.clinical.assessing import ChartAssessment
from stroke.application.clinical.fetching import ChartFetching
from stroke.application.clinical.ports import AssessmentStore, ClinicalObserver, Reason
from stroke.application.predictions.deployed import Deployed
from stroke.application.predictions.ports import RiskModel
from stroke.application.predictions.prediction import PredictionService
from stroke.application.predictions.stored_predictions import StoredPrediction, assessment_of
from stroke.domain.clinical.chart import Chart, chart_of_prefetch
from stroke.domain.clinical.grants import Grant
from stroke.domain.clinical.kept import (
    AssessmentFilter,
    CardUse,
    Feedback,
    KeptAssessment,
    card_uses,
    latest_by_card,
)
from stroke.domain.clinical.mapping import MappedChart
from stroke.domain.errors import AssessmentNotFound, OutsideSupport, PredictionNotFound
from stroke.domain.features import RAW_FEATURES
from stroke.domain.patient import Patient
from stroke.domain.prediction import NOBODY, Origin
from stroke.domain.risk import RiskAssessment, RiskCategory

_NAMES: Final = UUID("6f1c7c4e-5d0b-4c4e-9f5a-1f0f6f2f8a19")
_ORDER: Final = tuple(RiskCategory)


class Call(NamedTuple):
    """Who asked for a chart: the client's server, and its own name of this call.

    ``grant`` is what the client allows to be fetched from its server.
    """

    server: str | None = None
    hook_instance: str | None = None
    card: bool = True
    grant: Grant | None = None


@dataclass(frozen=True, slots=True)
class AssessedChart:
    """A stored assessment with its prediction."""

    kept: KeptAssessment
    assessment: RiskAssessment


@dataclass(frozen=True, slots=True)
class Viewed:
    """A mapped chart, and its assessment; ``why_not`` where it was not assessed.

    ``not_fetched`` says, by key, why what the client did not send was not fetched either.
    """

    mapped: MappedChart
    assessed: AssessedChart | None
    why_not: str | None
    not_fetched: Mapping[str, Reason] = field(default_factory=dict)


class HospitalService:
    """Assesses charts of record systems.

    The same chart with the same measurements and model is the same prediction, for as long as
    keys of idempotency live: opening a chart ten times is not ten patients. A card is shown from
    the band ``shows_from`` on. Where ``refuse_outside`` says so, patients are not assessed for
    whom the training data do not speak.
    """

    def __init__(
        self,
        charts: ChartAssessment,
        predictions: PredictionService,
        store: AssessmentStore,
        observer: ClinicalObserver,
        *,
        fetching: ChartFetching,
        shows_from: RiskCategory,
        refuse_outside: bool,
        now: Callable[[], datetime],
    ) -> None:
        self._charts = charts
        self._predictions = predictions
        self._store = store
        self._observer = observer
        self._fetching = fetching
        self._shows_from = shows_from
        self._refuse_outside = refuse_outside
        self._now = now

    async def view(self, chart: Chart, call: Call, origin: Origin = NOBODY) -> Viewed:
        """Assess a chart, and return once that is durable.

        Raises what storing a prediction raises, and ``StoreUnavailable``.
        """
        # A chart of megabytes takes a second: other requests are served meanwhile.
        deployed = self._predictions.deployed
        mapped = await asyncio.to_thread(self._charts.map, chart, deployed.champion)
        return await self._viewed(mapped, {}, call, origin, deployed)

    async def view_sent(
        self, sent: Mapping[str, Any], patient_id: str, call: Call, origin: Origin = NOBODY
    ) -> Viewed:
        """Assess the chart in a prefetch; what it lacks is fetched from the client's server.

        Raises what ``view`` raises.
        """
        deployed = self._predictions.deployed
        who = (patient_id, call.server, deployed.champion)
        mapped = await asyncio.to_thread(self._mapped, sent, *who)
        lacking = (*mapped.not_sent, *mapped.incomplete)
        if not lacking or call.server is None or call.grant is None:
            return await self._viewed(mapped, {}, call, origin, deployed)
        fetched = await self._fetching.fetch(lacking, mapped.patient_id, call.server, call.grant)
        if fetched.found:
            whole = {**sent, **fetched.found}
            mapped = await asyncio.to_thread(self._mapped, whole, *who)
        return await self._viewed(mapped, fetched.why_not, call, origin, deployed)

    def _mapped(
        self, sent: Mapping[str, Any], patient_id: str, server: str | None, model: RiskModel
    ) -> MappedChart:
        return self._charts.map(chart_of_prefetch(sent, patient_id, server), model)

    async def _viewed(
        self,
        mapped: MappedChart,
        not_fetched: Mapping[str, Reason],
        call: Call,
        origin: Origin,
        deployed: Deployed,
    ) -> Viewed:
        # A chart is looked at for one model: what it asks for, and what answers, must be the same.
        why_not, patient = self._charts.looked_at(mapped, deployed.champion)
        if patient is None:
            self._observer.answered(_answer_of(mapped), mapped.unmapped)
            return Viewed(mapped, None, why_not, not_fetched)
        subject = (call.server, mapped.patient_id)
        model = deployed.model_for(patient, origin, repr(subject))
        key = _key(subject, patient, model.description.version)
        try:
            stored = await self._predictions.predict(
                patient,
                idempotency_key=key,
                origin=origin,
                refuse_outside=self._refuse_outside,
                deployed=deployed,
                model=model,
            )
        except OutsideSupport as error:
            self._observer.answered("outside", mapped.unmapped)
            return Viewed(mapped, None, str(error), not_fetched)
        kept = await self._store.keep(self._to_keep(mapped, stored, call, origin, key))
        self._observer.answered("card" if kept.shown else "quiet", mapped.unmapped)
        return Viewed(mapped, AssessedChart(kept, stored.assessment), None, not_fetched)

    def _to_keep(
        self,
        mapped: MappedChart,
        stored: StoredPrediction,
        call: Call,
        origin: Origin,
        key: str,
    ) -> KeptAssessment:
        band = _ORDER.index(stored.assessment.category)
        return KeptAssessment(
            id=str(uuid5(_NAMES, f"{key}:{stored.id}")),
            prediction_id=stored.id,
            subject=mapped.patient_id,
            server=call.server,
            hook_instance=call.hook_instance,
            basis=mapped.basis,
            notes=tuple(note.text for note in mapped.notes),
            shown=call.card and band >= _ORDER.index(self._shows_from),
            model_version=stored.model_version,
            site=origin.site,
            made_at=self._now(),
        )

    async def find(self, assessment_id: str, *, site: str | None = None) -> AssessedChart:
        """Return an assessment. Raises ``AssessmentNotFound`` or ``AssessmentErased``.

        With a ``site``, one of another site is not found either, nor that it was erased.
        """
        kept = await self._store.get(assessment_id, site=site)
        try:
            record = await self._predictions.find(kept.prediction_id)
        except PredictionNotFound:
            raise AssessmentNotFound from None
        return AssessedChart(kept, assessment_of(record))

    async def search(
        self, narrowed: AssessmentFilter, *, limit: int, before: int | None = None
    ) -> tuple[list[AssessedChart], int | None]:
        """Return a page of assessments, and what ``before`` has to be for the next one."""
        found = await self._store.page(narrowed, limit=limit + 1, before=before)
        page = found[:limit]
        records = await self._predictions.find_many([each.prediction_id for each in page])
        assessed = [
            AssessedChart(each, assessment_of(records[each.prediction_id]))
            for each in page
            if each.prediction_id in records
        ]
        return assessed, page[-1].prediction_id if len(found) > limit else None

    async def count(self, narrowed: AssessmentFilter) -> int:
        """Return how many assessments a search finds on all of its pages."""
        return await self._store.count(narrowed)

    async def judge(self, feedback: Sequence[Feedback], *, site: str | None = None) -> None:
        """Keep what became of cards. What is said of a card that is not known is passed over."""
        reasons = latest_by_card(feedback)
        for card, version in (await self._store.put_feedback(feedback, site=site)).items():
            self._observer.judged(version, reasons[card].verdict, reasons[card].reason)

    async def models(self) -> list[str]:
        """Return the versions of all models that assessments were made by."""
        return await self._store.models()

    async def card_uses(self, narrowed: AssessmentFilter) -> list[CardUse]:
        """Return what became of the cards that were shown, by model."""
        return card_uses(await self._store.tally(narrowed))


def _key(subject: tuple[str | None, str], patient: Patient, version: str) -> str:
    """Return what is the same for the same chart, measurements and model, as a hash."""
    values = [getattr(patient, name) for name in RAW_FEATURES]
    identity = json.dumps(["chart", *subject, version, values, *patient.further])
    return hashlib.sha256(identity.encode()).hexdigest()


def _answer_of(mapped: MappedChart) -> str:
    if mapped.not_sent or mapped.incomplete:
        return "not-sent"
    return "lacking" if mapped.excluded is None else str(mapped.excluded)
