"""One fake per port; each passes the same contract suite as the real adapters."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import chain, combinations
from typing import Any

import numpy as np

from fakes.failing import Failing
from stroke.application.predictions.columnar import (
    ColumnarRiskModel,
    Risks,
    ScoreContext,
    Scores,
)
from stroke.application.predictions.ports import (
    OutcomeRepository,
    PredictionObserver,
    PredictionRepository,
    RiskModel,
)
from stroke.domain.comparison import Comparison
from stroke.domain.errors import (
    IdempotencyKeyTaken,
    InvalidPatient,
    OutcomeNotFound,
    PredictionNotFound,
    StrokeError,
)
from stroke.domain.features import RAW_FEATURES
from stroke.domain.further import Further, values_of
from stroke.domain.outcome import JudgedPrediction, KnownPrediction, OutcomeRecord
from stroke.domain.patient import OPTIONAL, Patient, lacking
from stroke.domain.prediction import (
    KnownOutcome,
    Prediction,
    PredictionFilter,
    PredictionRecord,
    StoredBatch,
    prediction_data,
)
from stroke.domain.risk import (
    Accuracy,
    Contribution,
    Interval,
    Lacked,
    ModelDescription,
    ModelVariant,
    RiskAssessment,
    RiskBands,
)
from stroke.domain.support import WITHIN, ReasonCode, Support, SupportReason

BASELINE = -3.0
LACKED = Lacked(201, 40, 17.1)
ACCURACY = Accuracy(100, 0.8, 0.81, 0.01, -0.01, 0.03)
OLDEST = 100.0
OLD = Support.because([SupportReason.of(ReasonCode.NONE_AS_HIGH, "age")])


class FakeRiskModel(RiskModel):
    """Additive in age and hypertension; remembers the size of each run.

    ``may_be_missing`` names what patients may lack. Its companions have other baselines and bands.
    If it ``knows``, its answers have an interval of half a unit of log-odds to each side, nobody
    above 100 years is within its training data, and the average person has no hypertension.
    Another ``version`` may have a baseline that is ``shift`` log-odds higher. While ``failing`` is
    set, a run raises it: an error of ours, or one that nobody foresaw. It may declare ``further``
    features, each known value of which adds 0.1.
    """

    def __init__(
        self,
        may_be_missing: tuple[str, ...] = (),
        *,
        knows: bool = False,
        version: str = "fake-1",
        shift: float = 0,
        further: Further = (),
        failing: Exception | None = None,
    ) -> None:
        self.runs: list[int] = []
        self.version = version
        self.shift = shift
        self.failing = failing
        self.may_be_missing = may_be_missing
        self.knows = knows
        self.further = further

    @property
    def description(self) -> ModelDescription:
        return ModelDescription(
            name="fake",
            version=self.version,
            model_type="fake",
            sha256="0" * 64,
            features=(*RAW_FEATURES, *(each.name for each in self.further)),
            bands=RiskBands(medium=0.02, high=0.2),
            further=self.further,
            companions=tuple(
                ModelVariant(
                    missing,
                    RiskBands(medium=0.03, high=0.3),
                    {"auc": {"value": 0.8, "low": 0.7, "high": 0.9}},
                    ACCURACY,
                    LACKED if missing == ("bmi",) else None,
                )
                for count in range(len(self.may_be_missing))
                for missing in combinations(self.may_be_missing, count + 1)
            ),
        )

    def assess(self, patients: Sequence[Patient]) -> list[RiskAssessment]:
        self.runs.append(len(patients))
        if self.failing is not None:
            raise self.failing
        return [self._assess(patient) for patient in patients]

    def _assess(self, patient: Patient) -> RiskAssessment:
        if gaps := lacking(patient.missing, self.may_be_missing):
            raise InvalidPatient(gaps)
        variant = next(v for v in self.description.variants if v.missing == patient.missing)
        baseline = BASELINE + self.shift - len(patient.missing)
        contributions = sorted(
            (
                Contribution("age", patient.age, 0.05 * (patient.age - 45)),
                Contribution("hypertension", patient.hypertension, 0.4 * patient.hypertension),
                *(
                    Contribution(name, value, 0.1 * (value is not None))
                    for name, value in values_of(self.further, dict(patient.further))
                ),
            ),
            key=lambda c: -abs(c.log_odds),
        )
        logit = baseline + sum(c.log_odds for c in contributions)
        probability = _risk(logit)
        assessment = RiskAssessment(
            probability,
            variant.bands.categorise(probability),
            tuple(contributions),
            baseline,
            patient.missing,
            variant.accuracy,
        )
        if not self.knows:
            return assessment
        average = _risk(baseline + 0.05 * (patient.age - 45))
        age = (logit - baseline) / 0.05 + 45
        return replace(
            assessment,
            interval=Interval(_risk(logit - 0.5), _risk(logit + 0.5)),
            support=OLD if patient.age > OLDEST else WITHIN,
            comparison=Comparison(
                average,
                probability / average,
                average,
                probability / average,
                age if 0 < age <= OLDEST else None,
            ),
        )


def _risk(log_odds: float) -> float:
    return 1 / (1 + math.exp(-log_odds))


class FakeColumnarRiskModel(ColumnarRiskModel):
    """``FakeRiskModel``, column by column; refuses texts that are no choice."""

    def __init__(
        self, may_be_missing: tuple[str, ...] = (), *, knows: bool = False, further: Further = ()
    ) -> None:
        self._description = FakeRiskModel(may_be_missing, further=further).description
        self._knows = knows

    @property
    def description(self) -> ModelDescription:
        return self._description

    def score(
        self, columns: Mapping[str, np.ndarray[Any, Any]], *, context: bool = False
    ) -> Scores:
        assert set(columns["gender"]) <= {"Male", "Female", "Other"}
        own = [
            0.1 * (columns[each.name] != "" if each.is_text else ~np.isnan(columns[each.name]))
            for each in self._description.further
        ]
        parts = [0.05 * (columns["age"] - 45), 0.4 * columns["hypertension"], *own]
        log_odds = np.stack(parts, axis=1)
        names = ("age", "hypertension", *(each.name for each in self._description.further))
        missing = [
            tuple(name for name, absent in zip(OPTIONAL, row, strict=True) if absent)
            for row in np.isnan([columns[name] for name in OPTIONAL]).T
        ]
        if gaps := lacking(dict.fromkeys(chain(*missing)), self._description.may_be_missing):
            raise InvalidPatient(gaps)
        variants = [variant.missing for variant in self._description.variants]
        baseline = BASELINE - np.array([len(each) for each in missing], np.float64)
        probability = 1 / (1 + np.exp(-baseline - log_odds.sum(axis=1)))
        variant = np.array([variants.index(each) for each in missing])
        scores = Scores(probability, log_odds, names, baseline, variant)
        return replace(scores, context=self._context(columns, scores)) if context else scores

    def risks(self, columns: Mapping[str, np.ndarray[Any, Any]]) -> Risks:
        scores = self.score(columns)
        return Risks(scores.probability, scores.variant)

    def _context(self, columns: Mapping[str, np.ndarray[Any, Any]], scores: Scores) -> ScoreContext:
        if not self._knows:
            return ScoreContext()
        logit = scores.baseline_log_odds + scores.log_odds.sum(axis=1)
        average = 1 / (1 + np.exp(-scores.baseline_log_odds - scores.log_odds[:, 0]))
        ratio = scores.probability / average
        age = scores.log_odds.sum(axis=1) / 0.05 + 45
        equal_age = np.where((age > 0) & (age <= OLDEST), age, np.nan)
        return ScoreContext(
            1 / (1 + np.exp(-np.column_stack([logit - 0.5, logit + 0.5]))),
            [OLD if age > OLDEST else WITHIN for age in columns["age"].tolist()],
            np.column_stack([average, ratio, average, ratio, equal_age]),
        )


class FakePredictionRepository(Failing, PredictionRepository):
    """Keeps rows in a dict, and their ``outcomes`` in another.

    ``failing`` makes every call raise, ``counting`` a count alone, ``refused`` names bad rows.
    While ``held`` is a cleared event, commits wait for it.
    """

    def __init__(self) -> None:
        self.rows: dict[int, PredictionRecord] = {}
        self.keys: dict[str, int] = {}
        self.batches: dict[str, StoredBatch] = {}
        self.outcomes: dict[int, OutcomeRecord] = {}
        self.commits: list[int] = []
        self.refused: dict[str, StrokeError] = {}
        self.held: asyncio.Event | None = None
        self.counting: StrokeError | None = None
        self._last_id = 0

    async def add(
        self, predictions: Sequence[Prediction], *, batch_key: str | None = None
    ) -> list[int]:
        if self.held is not None:
            await self.held.wait()
        self.raise_if_failing()
        for made in predictions:
            if made.patient.name in self.refused:
                raise self.refused[made.patient.name]
        if batch_key is not None:
            predictions = [replace(predictions[0], idempotency_key=batch_key), *predictions[1:]]
        keys = [made.idempotency_key for made in predictions if made.idempotency_key]
        if len(set(keys)) < len(keys) or any(key in self.keys for key in keys):
            raise IdempotencyKeyTaken("this idempotency key is taken")
        ids = []
        for made in predictions:
            self._last_id += 1
            ids.append(self._last_id)
            self.rows[self._last_id] = _to_record(self._last_id, made)
            if made.idempotency_key:
                self.keys[made.idempotency_key] = self._last_id
        if batch_key is not None:
            self.batches[batch_key] = StoredBatch(tuple(ids), predictions[0].made_at)
        self.commits.append(len(predictions))
        return ids

    async def get(self, prediction_id: int) -> PredictionRecord:
        self.raise_if_failing()
        if prediction_id not in self.rows:
            raise PredictionNotFound(prediction_id)
        return self.rows[prediction_id]

    async def get_many(self, prediction_ids: Sequence[int]) -> dict[int, PredictionRecord]:
        self.raise_if_failing()
        return {each: self.rows[each] for each in prediction_ids if each in self.rows}

    async def find_by_key(self, idempotency_key: str) -> PredictionRecord | StoredBatch | None:
        self.raise_if_failing()
        batch = self.batches.get(idempotency_key)
        return batch or self.rows.get(self.keys.get(idempotency_key, 0))

    async def release_key(self, idempotency_key: str, *, made_before: datetime) -> None:
        self.raise_if_failing()
        single = self.rows.get(self.keys.get(idempotency_key, 0))
        if single and single.timestamp and single.timestamp < made_before:
            del self.keys[idempotency_key]
        batch = self.batches.get(idempotency_key)
        if batch and batch.made_at < made_before:
            del self.batches[idempotency_key]

    async def page(
        self, narrowed: PredictionFilter, *, limit: int, before: int | None = None
    ) -> list[PredictionRecord]:
        self.raise_if_failing()
        found = [
            row
            for row in sorted(self.rows.values(), key=lambda row: -row.id)
            if (before is None or row.id < before) and self.matches(row, narrowed)
        ]
        return found[:limit]

    async def count(self, narrowed: PredictionFilter, *, most: int) -> int:
        if self.counting is not None:
            raise self.counting
        return len(await self.page(narrowed, limit=most))

    def matches(self, row: PredictionRecord, narrowed: PredictionFilter) -> bool:
        known = self.outcomes.get(row.id)
        said = KnownOutcome.UNKNOWN
        if known is not None:
            said = KnownOutcome.STROKE if known.stroke else KnownOutcome.NO_STROKE
        return narrowed.outcome in (None, said) and _matches(row, narrowed)

    async def remove(self, prediction_id: int) -> None:
        self.raise_if_failing()
        if self.rows.pop(prediction_id, None) is None:
            raise PredictionNotFound(prediction_id)
        self.outcomes.pop(prediction_id, None)
        self.keys = {key: row for key, row in self.keys.items() if row != prediction_id}

    async def check(self) -> None:
        self.raise_if_failing()


class FakeOutcomeRepository(OutcomeRepository):
    """Keeps outcomes with the rows of ``predictions``; fails as that does."""

    def __init__(self, predictions: FakePredictionRepository) -> None:
        self._predictions = predictions
        self.puts: list[int] = []

    async def known(self, prediction_ids: Sequence[int]) -> dict[int, KnownPrediction]:
        await self._predictions.check()
        rows, outcomes = self._predictions.rows, self._predictions.outcomes
        return {
            each: KnownPrediction(rows[each].timestamp, outcomes.get(each), rows[each].site)
            for each in prediction_ids
            if each in rows
        }

    async def put(self, outcomes: Sequence[OutcomeRecord]) -> None:
        await self._predictions.check()
        missing = {each.prediction_id for each in outcomes} - self._predictions.rows.keys()
        if missing:
            raise PredictionNotFound(min(missing))
        self._predictions.outcomes |= {each.prediction_id: each for each in outcomes}
        self.puts.append(len(outcomes))

    async def remove(self, prediction_id: int) -> None:
        await self._predictions.get(prediction_id)
        if self._predictions.outcomes.pop(prediction_id, None) is None:
            raise OutcomeNotFound(prediction_id)

    async def judged(
        self, narrowed: PredictionFilter, *, limit: int, after: int = 0
    ) -> list[JudgedPrediction]:
        rows = [row for row in await self._judged(narrowed) if row.id > after]
        outcomes = self._predictions.outcomes
        return [
            JudgedPrediction(
                row.id,
                row.probability,
                row.risk_category,
                outcomes[row.id].stroke,
                row.gender,
                row.age,
                row.timestamp,
                tuple(name for name in OPTIONAL if getattr(row, name) is None),
                row.smoking_status,
                row.site,
            )
            for row in rows[:limit]
        ]

    async def judged_versions(self, narrowed: PredictionFilter) -> dict[str, int]:
        versions = [row.model_version for row in await self._judged(narrowed)]
        return dict(sorted(Counter(v for v in versions if v is not None).items()))

    async def _judged(self, narrowed: PredictionFilter) -> list[PredictionRecord]:
        await self._predictions.check()
        rows = (self._predictions.rows[each] for each in sorted(self._predictions.outcomes))
        return [row for row in rows if self._predictions.matches(row, narrowed)]


class FakePredictionObserver(PredictionObserver):
    def __init__(self) -> None:
        self.seen: list[int] = []

    def committed(self, predictions: Sequence[Prediction], seconds: float) -> None:
        self.seen.append(len(predictions))


def _to_record(prediction_id: int, made: Prediction) -> PredictionRecord:
    patient = made.patient
    return PredictionRecord(
        id=prediction_id,
        timestamp=made.made_at,
        **{name: getattr(patient, name) for name in Patient.__slots__},
        probability=made.assessment.probability,
        risk_category=str(made.assessment.category),
        contributing_factors=made.assessment.factors,
        prediction_data=dict(prediction_data(made)),
        model_version=made.model_version,
        site=made.origin.site,
        created_by=made.origin.created_by,
    )


def _matches(row: PredictionRecord, narrowed: PredictionFilter) -> bool:
    exact = ("risk_category", "country", "province", "model_version", "site")
    if any(getattr(narrowed, f) not in (None, getattr(row, f)) for f in exact):
        return False
    if row.timestamp is None:
        return narrowed.since is None and narrowed.until is None
    if narrowed.since is not None and row.timestamp < narrowed.since:
        return False
    return narrowed.until is None or row.timestamp < narrowed.until
