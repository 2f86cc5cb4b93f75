"""PerformanceService measures how right a model was, from predictions with a known outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import combinations, groupby
from operator import itemgetter
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from stroke.application.predictions.ports import OutcomeRepository
from stroke.application.quality.calibration import (
    Floats,
    Labels,
    calibration_intervals,
    gaps_by_risk,
    mean_interval,
)
from stroke.application.quality.discrimination import (
    expected_area,
    placements,
    proportion_interval,
)
from stroke.application.quality.fairness import Level, gaps_between
from stroke.application.quality.sums import Mask, Sums, measured
from stroke.domain.features import AGE_GROUPS
from stroke.domain.outcome import JudgedPrediction
from stroke.domain.patient import GENDERS, OPTIONAL, SMOKING_STATUSES
from stroke.domain.performance import (
    ALL,
    MEASURES,
    CalibrationPoint,
    CurvePoint,
    Estimate,
    Gap,
    GroupPerformance,
    PerformanceReport,
    has_dropped,
)
from stroke.domain.prediction import PredictionFilter, Span
from stroke.domain.risk import ModelDescription, RiskCategory, variant_name

MISSING: Final = "(missing)"
GENDER_LEVELS: Final = (*GENDERS, MISSING)
AGE_LEVELS: Final = (*AGE_GROUPS.labels, MISSING)
SMOKING_LEVELS: Final = (*SMOKING_STATUSES, MISSING)
VARIANT_LEVELS: Final = tuple(
    variant_name(gaps)
    for count in range(len(OPTIONAL) + 1)
    for gaps in combinations(OPTIONAL, count)
)

GAP_GROUPS: Final = ("gender", "age_group", "smoking_status", "site")
"""Groups whose levels are held against each other."""

_PAGE: Final = 5_000
_BINS: Final = 10
_THRESHOLDS: Final = 40
_CATEGORIES: Final = frozenset(RiskCategory)


@dataclass(frozen=True, slots=True)
class Sample:
    """Judged predictions as arrays ``(N,)``.

    ``medium`` marks answers of Medium or High, ``high`` answers of High: the category of the
    answer counts, whatever bands its model had. ``gender``, ``age_group`` and ``variant`` are
    indexes into ``GENDER_LEVELS``, ``AGE_LEVELS`` and ``VARIANT_LEVELS``.
    """

    outcome: Labels
    probability: Floats
    medium: Mask
    high: Mask
    gender: NDArray[np.int8]
    age_group: NDArray[np.int8]
    variant: NDArray[np.int8]
    smoking: NDArray[np.int8]
    site: NDArray[Any]

    def __len__(self) -> int:
        return len(self.outcome)

    def only(self, chosen: Mask) -> Sample:
        """Return the patients whose place in ``chosen`` is true."""
        return Sample(*(getattr(self, name)[chosen] for name in Sample.__slots__))

    def sums(self) -> Sums:
        """Return what is added up over these patients."""
        sums = Sums()
        sums.add(self.outcome, self.probability, self.medium, self.high)
        return sums


@dataclass(frozen=True, slots=True)
class Minimums:
    """What a group needs before a report shows more than its size."""

    samples: int = 100
    events: int = 10
    """Strokes, and patients without one."""

    def are_met(self, outcome: Labels) -> bool:
        """Return whether there are enough patients of either outcome."""
        return self.suffice(len(outcome), int(outcome.sum()))

    def suffice(self, samples: int, events: int) -> bool:
        """Return whether so many patients are enough, with so many strokes."""
        return samples >= self.samples and min(events, samples - events) >= self.events


@dataclass(frozen=True, slots=True)
class Watch:
    """Which measures must not drop, and by which share."""

    measures: Sequence[str]
    drop: float


class PerformanceService:
    """Judges models by their outcomes.

    ``served`` returns the model that is served now, whose manifest gives references.
    """

    def __init__(
        self,
        *,
        outcomes: OutcomeRepository,
        served: Callable[[], ModelDescription],
        watch: Watch,
        now: Callable[[], datetime],
    ) -> None:
        self._outcomes = outcomes
        self._served = served
        self._watch = watch
        self._now = now

    async def versions(self, within: PredictionFilter) -> list[str]:
        """Return the versions of models that have judged predictions, sorted."""
        return list(await self._outcomes.judged_versions(within))

    async def report(
        self,
        within: PredictionFilter,
        *,
        minimums: Minimums,
        model_version: str | None = None,
        on_progress: Callable[[int], None] = lambda _: None,
    ) -> PerformanceReport:
        """Judge one version of a model, the served one unless another is named.

        ``within`` filters predictions, not their outcomes. ``on_progress`` gets the number of
        judged predictions read so far. Raises ``StoreUnavailable``.
        """
        version = model_version or self._served().version
        sample, passed_over, made = await self._read(
            replace(within, model_version=version), on_progress
        )
        judged = await self._outcomes.judged_versions(within)
        others = {each: count for each, count in judged.items() if each != version}
        # Thousands of outcomes take seconds: a service answers other requests meanwhile.
        groups, references, found = await asyncio.to_thread(self._judged, version, sample, minimums)
        dropped = {
            name: has_dropped(name, groups[0].measures[name], references[name], self._watch.drop)
            for name in self._watch.measures
            if name in groups[0].measures and name in references
        }
        return PerformanceReport(
            version,
            self._now(),
            within,
            groups,
            references,
            dropped,
            passed_over,
            made,
            others,
            found,
        )

    def _judged(
        self, version: str, sample: Sample, minimums: Minimums
    ) -> tuple[list[GroupPerformance], dict[str, float], list[Gap]]:
        """Return the performance of each group, what it is held against, and the gaps."""
        groups = [
            judge(part, group, level, minimums=minimums) for group, level, part in parts(sample)
        ]
        references = self._references(version, sample) if groups[0].measures else {}
        return groups, references, gaps(sums_of(parts(sample)), minimums)

    async def _read(
        self, within: PredictionFilter, on_progress: Callable[[int], None]
    ) -> tuple[Sample, int, Span | None]:
        samples = [sample_of([])]
        read = after = 0
        made: Span | None = None
        while page := await self._outcomes.judged(within, limit=_PAGE, after=after):
            after = page[-1].prediction_id
            read += len(page)
            samples.append(sample_of([row for row in page if _is_usable(row)]))
            made = Span.over((row.made_at for row in page), made)
            on_progress(read)
        sample = Sample(
            *(
                np.concatenate([getattr(each, name) for each in samples])
                for name in Sample.__slots__
            )
        )
        return sample, read - len(sample), made

    def _references(self, version: str, sample: Sample) -> dict[str, float]:
        """Return the manifest's figures, and for the rest what a calibrated model would reach."""
        found = dict(expected_measures(sample))
        found |= {name: m.ideal for name, m in MEASURES.items() if m.ideal is not None}
        served = self._served()
        if version == served.version:
            metrics = served.metrics
            found |= {
                name: float(metrics[m.in_manifest]["value"])
                for name, m in MEASURES.items()
                if m.in_manifest is not None and m.in_manifest in metrics
            }
        return {name: found[name] for name in MEASURES if name in found}


def sample_of(rows: Sequence[JudgedPrediction]) -> Sample:
    """Return usable rows as arrays."""
    categories = [row.risk_category for row in rows]
    high = np.array([each == RiskCategory.HIGH for each in categories], dtype=bool)
    return Sample(
        outcome=np.array([row.stroke for row in rows], dtype=np.int64),
        probability=np.array([row.probability for row in rows], dtype=np.float64),
        medium=high | np.array([each == RiskCategory.MEDIUM for each in categories], dtype=bool),
        high=high,
        gender=np.array(
            [GENDER_LEVELS.index(r.gender if r.gender in GENDERS else MISSING) for r in rows],
            dtype=np.int8,
        ),
        age_group=np.array(
            [AGE_LEVELS.index(MISSING if r.age is None else AGE_GROUPS.label(r.age)) for r in rows],
            dtype=np.int8,
        ),
        variant=np.array(
            [VARIANT_LEVELS.index(variant_name(r.missing)) for r in rows], dtype=np.int8
        ),
        smoking=np.array(
            [
                SMOKING_LEVELS.index(
                    r.smoking_status if r.smoking_status in SMOKING_STATUSES else MISSING
                )
                for r in rows
            ],
            dtype=np.int8,
        ),
        site=np.array([r.site or "" for r in rows], dtype=object),
    )


def parts(sample: Sample) -> Iterator[tuple[str, str, Sample]]:
    """Return everybody, and then each group that has patients: its name, level and patients.

    Variants of the model are groups where more than one of them made predictions, smoking
    statuses where one is known, and sites where there are any.
    """
    yield ALL, ALL, sample
    knows_smoking = (sample.smoking != SMOKING_LEVELS.index(MISSING)).any()
    for group, values, levels in (
        ("gender", sample.gender, GENDER_LEVELS),
        ("age_group", sample.age_group, AGE_LEVELS),
        ("smoking_status", sample.smoking, SMOKING_LEVELS if knows_smoking else ()),
        ("model_variant", sample.variant, VARIANT_LEVELS if sample.variant.any() else ()),
    ):
        for place, level in enumerate(levels):
            chosen = values == place
            if chosen.any():
                yield group, level, sample.only(chosen)
    sites = sorted(set(sample.site.tolist()))
    if sites not in ([], [""]):
        for site in sites:
            yield "site", site or MISSING, sample.only(sample.site == site)


def sums_of(divided: Iterable[tuple[str, str, Sample]]) -> Iterator[tuple[str, Level]]:
    """Return each group, and what is added up over a level of it; see ``parts``."""
    for group, level, part in divided:
        yield group, Level(level, part.sums())


def gaps(divided: Iterable[tuple[str, Level]], minimums: Minimums) -> list[Gap]:
    """Return the gaps of each group with two levels or more that are large enough.

    ``divided`` has the levels of a group one after the other. A level that is too small is named,
    and takes no part.
    """
    found: list[Gap] = []
    for group, members in groupby(divided, key=itemgetter(0)):
        if group not in GAP_GROUPS:
            continue
        large: list[Level] = []
        small: list[Level] = []
        for _, level in members:
            enough = minimums.suffice(level.sums.patients, level.sums.strokes)
            (large if enough else small).append(level)
        names = [level.name for level in small]
        if len(large) > 1:
            found += gaps_between(group, large, names)
        elif len(large) + len(small) > 1:
            found.append(Gap(group, None, None, "", "", names))
    return found


def judge(sample: Sample, group: str, level: str, *, minimums: Minimums) -> GroupPerformance:
    """Return a group's measures, calibration and decision curve, or its size if it is too small.

    Too small means fewer patients, strokes or patients without one than the minimums.
    """
    samples, events = len(sample), int(sample.outcome.sum())
    if samples < minimums.samples:
        return GroupPerformance(group, level, samples, None)
    if not minimums.suffice(samples, events):
        return GroupPerformance(group, level, samples, events)
    return GroupPerformance(
        group,
        level,
        samples,
        events,
        measures(sample),
        calibration_curve(sample),
        decision_curve(sample),
    )


def measures(sample: Sample) -> dict[str, Estimate]:
    """Return every measure that the outcomes decide.

    There must be 20 patients, and two of either kind. A measure that has no finite value, or no
    finite interval, is left out.
    """
    outcome, probability = sample.outcome, sample.probability
    return measured(
        sample.sums(),
        placements(outcome, probability),
        calibration_intervals(outcome, probability),
        gaps_by_risk(outcome, probability),
    )


def expected_measures(sample: Sample) -> Mapping[str, float]:
    """Return what a calibrated model would reach on these very patients.

    Each patient is a stroke in proportion to the probability (van Klaveren et al. 2016, Statistics
    in Medicine 35:4136, for the AUC), so the mix of patients cannot look like a drop.
    """
    p = sample.probability
    if not 0 < p.sum() < len(p):
        return {}  # it is sure of everybody: there is no pair to tell apart
    found = {"auc": expected_area(p), "brier": float((p * (1 - p)).mean())}
    for band, positive in (("medium", sample.medium), ("high", sample.high)):
        found[f"sensitivity_{band}"] = float(p[positive].sum() / p.sum())
        found[f"specificity_{band}"] = float((1 - p)[~positive].sum() / (1 - p).sum())
    return found


def calibration_curve(sample: Sample) -> list[CalibrationPoint]:
    """Return predicted and observed risk of ten groups of equal count, with Wilson's intervals."""
    order = np.argsort(sample.probability, kind="stable")
    points = []
    for part in np.array_split(order, _BINS):
        outcome = sample.outcome[part]
        observed = proportion_interval(int(outcome.sum()), len(part))
        points.append(
            CalibrationPoint(float(sample.probability[part].mean()), *observed, samples=len(part))
        )
    return points


def decision_curve(sample: Sample) -> list[CurvePoint]:
    """Return net benefit over thresholds up to the 99th percentile of predicted risk.

    ``true positives / N - false positives / N * odds(threshold)`` (Vickers and Elkin 2006, Medical
    Decision Making 26:565), a mean over patients, with its normal interval.
    """
    top = float(np.clip(np.quantile(sample.probability, 0.99), 0.02, 0.95))
    points = []
    for threshold in np.linspace(0, top, _THRESHOLDS + 1)[1:]:
        odds = threshold / (1 - threshold)
        worth = np.where(sample.outcome == 1, 1.0, -odds)
        benefit = mean_interval(np.where(sample.probability >= threshold, worth, 0.0))
        points.append(CurvePoint(float(threshold), *benefit, treat_all=float(worth.mean())))
    return points


def _is_usable(row: JudgedPrediction) -> bool:
    return (
        row.probability is not None
        and 0 <= row.probability <= 1
        and row.risk_category in _CATEGORIES
    )
