"""Two models on the patients of one group, who are read piece by piece, some ten times."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from functools import partial
from typing import NamedTuple

import numpy as np

from stroke.application.models.kept_pairs import Answers, PairedPatients, Piece
from stroke.application.models.ordered import Ordered
from stroke.application.models.ports import NewScratch
from stroke.application.models.risk_bins import RiskBins
from stroke.application.quality.calibration import (
    Floats,
    Labels,
    interval_of,
    line_intervals,
    logit,
)
from stroke.application.quality.discrimination import Placements, difference_of_areas
from stroke.application.quality.moments import Moments
from stroke.application.quality.sums import BANDS, Sums, measured
from stroke.domain.model_comparison import HIGHER_IS_BETTER, BenefitPoint, Difference, Verdict
from stroke.domain.performance import Estimate


class ModelMeasures(NamedTuple):
    """One model's measures, and what they were made of."""

    measures: dict[str, Estimate]
    sums: Sums


class PairMeasures(NamedTuple):
    """Both models, and by how much the measures of the second one are larger.

    ``area_error`` is the standard error of the difference of the areas under the curve.
    """

    first: ModelMeasures
    second: ModelMeasures
    differences: dict[str, Difference]
    decision_curve: list[BenefitPoint]
    area_error: float


def measured_pair(
    patients: PairedPatients, thresholds: Sequence[float], scratch: NewScratch
) -> PairMeasures:
    """Measure two models on 20 patients or more, with two of either outcome.

    Each patient is scored by both models, so differences of means are means of differences. The
    AUC's interval is DeLong's. Net benefit is given at ``thresholds``.
    """
    with ExitStack() as closes:
        models = (_Model(scratch, closes), _Model(scratch, closes))
        apart, benefits = _Apart(), [_Benefit(threshold) for threshold in thresholds]
        for piece in patients.pieces():
            for model, answers in zip(models, piece.answers, strict=True):
                model.add(piece.outcome, answers)
            apart.add(piece)
            for benefit in benefits:
                benefit.add(piece)
        for model in models:
            model.sort()
        areas = Placements(Moments(), Moments())
        for piece in patients.pieces():
            placed = [
                model.place(piece.outcome, answers.probability)
                for model, answers in zip(models, piece.answers, strict=True)
            ]
            for moments, one, other in zip(areas, *placed, strict=True):
                moments.add(other - one)
    area, error = difference_of_areas(areas)
    mine, theirs = (
        model.measures(line_intervals(partial(_log_odds, patients, of)))
        for of, model in enumerate(models)
    )
    found = {"auc": area} | apart.estimates()
    return PairMeasures(
        mine,
        theirs,
        {
            name: Difference(each, verdict(each, higher_is_better=HIGHER_IS_BETTER[name]))
            for name, each in found.items()
        },
        [benefit.point() for benefit in benefits],
        error,
    )


def verdict(estimate: Estimate, *, higher_is_better: bool) -> Verdict:
    """Return which model a difference speaks for: none where its interval holds 0."""
    if estimate.low <= 0 <= estimate.high:
        return Verdict.OPEN
    return Verdict.SECOND if (estimate.value > 0) == higher_is_better else Verdict.FIRST


class _Model:
    """What one model's measures need: it is fed by two passes over the patients."""

    def __init__(self, scratch: NewScratch, closes: ExitStack) -> None:
        self.sums = Sums()
        self.placed = Placements(Moments(), Moments())
        self._others, self._strokes = (
            closes.enter_context(closing(Ordered(scratch))) for _ in range(2)
        )

    def add(self, outcome: Labels, answers: Answers) -> None:
        """Take patients in the first pass."""
        self.sums.add(outcome, answers.probability, *answers.bands())
        self._others.add(answers.probability[outcome == 0])
        self._strokes.add(answers.probability[outcome == 1])

    def sort(self) -> None:
        """End the first pass."""
        for each in (self._others, self._strokes):
            each.sort()
        self.bins = RiskBins((self._others, self._strokes))

    def place(self, outcome: Labels, probability: Floats) -> tuple[Floats, Floats]:
        """Take the same patients in the second pass; return strokes' and others' placements."""
        self.bins.add(outcome, probability)
        found = (
            self._others.shares_below(probability[outcome == 1]),
            1 - self._strokes.shares_below(probability[outcome == 0]),
        )
        for moments, values in zip(self.placed, found, strict=True):
            moments.add(values)
        return found

    def measures(self, line: tuple[Estimate, Estimate] | tuple[None, None]) -> ModelMeasures:
        """Return what both passes give; ``line`` is calibration's slope and intercept."""
        return ModelMeasures(measured(self.sums, self.placed, line, self.bins.gaps), self.sums)


class _Apart:
    """By how much the second model's means over patients are larger."""

    def __init__(self) -> None:
        self._brier = Moments()
        self._marked = {(band, struck): Moments() for band in BANDS for struck in (True, False)}

    def add(self, piece: Piece) -> None:
        """Take more patients."""
        first, second = piece.answers
        self._brier.add(
            (second.probability - piece.outcome) ** 2 - (first.probability - piece.outcome) ** 2
        )
        for band, mine, theirs in zip(BANDS, first.bands(), second.bands(), strict=True):
            moved = theirs.astype(np.float64) - mine
            for struck in (True, False):
                self._marked[band, struck].add(moved[piece.outcome == struck])

    def estimates(self) -> dict[str, Estimate]:
        """Return the differences with normal intervals."""
        found = {"brier": interval_of(self._brier)}
        for band in BANDS:
            found[f"sensitivity_{band}"] = interval_of(
                self._marked[band, True], least=-1.0, most=1.0
            )
            found[f"specificity_{band}"] = interval_of(
                self._marked[band, False].negative(), least=-1.0, most=1.0
            )
        return found


class _Benefit:
    """The net benefit of both at a threshold: see ``performance.decision_curve``."""

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self._first, self._second, self._apart = Moments(), Moments(), Moments()

    def add(self, piece: Piece) -> None:
        """Take more patients."""
        worth = np.where(piece.outcome == 1, 1.0, -self._threshold / (1 - self._threshold))
        mine, theirs = (
            np.where(answers.probability >= self._threshold, worth, 0.0)
            for answers in piece.answers
        )
        self._first.add(mine)
        self._second.add(theirs)
        self._apart.add(theirs - mine)

    def point(self) -> BenefitPoint:
        """Return the benefit of all patients."""
        estimate = interval_of(self._apart)
        return BenefitPoint(
            float(self._threshold),
            self._first.mean,
            self._second.mean,
            Difference(estimate, verdict(estimate, higher_is_better=True)),
        )


def _log_odds(patients: PairedPatients, of: int) -> Iterator[tuple[Labels, Floats]]:
    """Yield outcomes and the log-odds that one model gives."""
    for piece in patients.pieces():
        yield piece.outcome, logit(piece.answers[of].probability)
