"""Comparison of two models on patients with a known outcome, who are scored by both."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

import numpy as np
import pyarrow as pa

from stroke.application.models.columns import (
    Features,
    Whole,
    as_the_model_takes,
    with_progress,
)
from stroke.application.models.ids import KnownOutcomes
from stroke.application.models.judged import RowsWithOutcome
from stroke.application.models.kept_pairs import KeptPairs
from stroke.application.predictions.columnar import ColumnarRiskModel
from stroke.application.quality.calibration import Floats, mean_interval
from stroke.application.quality.discrimination import area_difference
from stroke.application.quality.performance import (
    Minimums,
    Sample,
    gaps,
    measures,
    parts,
)
from stroke.domain.model_comparison import (
    HIGHER_IS_BETTER,
    BenefitPoint,
    ComparisonReport,
    Difference,
    GroupComparison,
    Verdict,
)
from stroke.domain.performance import Estimate

_THRESHOLDS: Final = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3)
# Found in 80 % of samples at 5 %: the normal quantiles of 0.975 and 0.8 together.
_POWERFUL: Final = 1.959963984540054 + 0.8416212335729143


class Comparison:
    """Takes batches of patients, and keeps what both models say: see ``KeptPairs``.

    An exact AUC needs all probabilities. ``known`` are outcomes by the rows' ids. A column
    ``stroke`` in the batches is taken instead.
    """

    def __init__(
        self,
        first: ColumnarRiskModel,
        second: ColumnarRiskModel,
        known: KnownOutcomes | None = None,
    ) -> None:
        self._models = (first, second)
        self._rows = RowsWithOutcome([first.description, second.description], known)
        self._kept = KeptPairs()

    def run(
        self,
        batches: Iterable[pa.RecordBatch],
        on_progress: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Take all ``batches``; ``on_progress`` gets the number of rows read so far."""
        for batch in with_progress(batches, on_progress):
            self.take(batch)

    def pass_over(self, reason: str) -> None:
        """Count a row that could not even be read."""
        self._rows.passed_over[reason] += 1

    def take(self, batch: pa.RecordBatch) -> None:
        """Score the rows of one batch by both models."""
        if (rows := self._rows.take(batch)) is None:
            return
        first, second = (
            _scored(model, rows.features | further)
            for model, further in zip(self._models, rows.further, strict=True)
        )
        self._kept.add(rows, first, second)

    def report(
        self,
        minimums: Minimums,
        learned: Sequence[str] = (),
        on_group: Callable[[int], None] = lambda _: None,
    ) -> ComparisonReport:
        """Compare both on everybody and on each group.

        Net benefit is given at common thresholds and where the models' risk categories begin.
        ``learned`` names the models that were trained on these patients. ``on_group`` gets the
        number of groups that are done: a million patients take some seconds.
        """
        first, second = self._kept.samples()
        bands = [
            cut
            for model in self._models
            for cut in (model.description.bands.medium, model.description.bands.high)
        ]
        wanted = sorted({*_THRESHOLDS, *bands})
        groups: list[GroupComparison] = []
        for (group, level, one), (_, _, other) in zip(parts(first), parts(second), strict=True):
            groups.append(compared((group, level, one, other), wanted, minimums))
            on_group(len(groups))
        detectable = None
        if groups[0].differences:
            _, error = area_difference(first.outcome, second.probability, first.probability)
            detectable = _POWERFUL * error
        mine, theirs = (model.description.version for model in self._models)
        return ComparisonReport(
            mine,
            theirs,
            dict(sorted(self._rows.passed_over.items())),
            groups,
            detectable,
            gaps(parts(first), minimums),
            gaps(parts(second), minimums),
            learned,
        )


def compared(
    pair: tuple[str, str, Sample, Sample], thresholds: Sequence[float], minimums: Minimums
) -> GroupComparison:
    """Compare two models on the patients of one group; too few give only their number.

    ``pair`` is the group, its level, and what either model said.
    """
    group, level, first, second = pair
    samples, events = len(first), int(first.outcome.sum())
    if samples < minimums.samples:
        return GroupComparison(group, level, samples, None)
    if not minimums.are_met(first.outcome):
        return GroupComparison(group, level, samples, events)
    return GroupComparison(
        group,
        level,
        samples,
        events,
        measures(first),
        measures(second),
        differences(first, second),
        [_benefit(first, second, threshold) for threshold in thresholds],
    )


def differences(first: Sample, second: Sample) -> dict[str, Difference]:
    """Return how much larger measures of ``second`` are, with intervals for paired data.

    Each patient is scored by both models, so differences of means are means of differences. The
    AUC's interval is DeLong's.
    """
    outcome, struck = first.outcome, first.outcome == 1
    area, _ = area_difference(outcome, second.probability, first.probability)
    found = {
        "auc": area,
        "brier": mean_interval(
            (second.probability - outcome) ** 2 - (first.probability - outcome) ** 2
        ),
    }
    for band in ("medium", "high"):
        moved = getattr(second, band).astype(np.float64) - getattr(first, band)
        found[f"sensitivity_{band}"] = mean_interval(moved[struck], least=-1.0, most=1.0)
        found[f"specificity_{band}"] = mean_interval(-moved[~struck], least=-1.0, most=1.0)
    return {
        name: Difference(estimate, verdict(estimate, higher_is_better=HIGHER_IS_BETTER[name]))
        for name, estimate in found.items()
    }


def verdict(estimate: Estimate, *, higher_is_better: bool) -> Verdict:
    """Return which model a difference speaks for: none where its interval holds 0."""
    if estimate.low <= 0 <= estimate.high:
        return Verdict.OPEN
    return Verdict.SECOND if (estimate.value > 0) == higher_is_better else Verdict.FIRST


def _benefit(first: Sample, second: Sample, threshold: float) -> BenefitPoint:
    """Return the net benefit of both: see ``performance.decision_curve``."""
    worth = np.where(first.outcome == 1, 1.0, -threshold / (1 - threshold))
    mine, theirs = (
        np.where(sample.probability >= threshold, worth, 0.0) for sample in (first, second)
    )
    means = float(mine.mean()), float(theirs.mean())
    estimate = mean_interval(np.subtract(theirs, mine, out=theirs))
    return BenefitPoint(
        float(threshold),
        *means,
        Difference(estimate, verdict(estimate, higher_is_better=True)),
    )


def _scored(model: ColumnarRiskModel, read: Features) -> tuple[Floats, Whole]:
    """Return the probabilities and the places of the categories that ``model`` gives."""
    risks = model.risks(as_the_model_takes(read, model.description.further))
    return risks.probability, risks.categories(model.description)
