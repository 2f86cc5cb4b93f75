"""The default kind of model: logistic regression on splines, cross-validated, then exported."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, Final

import numpy as np
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import RepeatedStratifiedKFold
from sklearn.pipeline import Pipeline

from stroke.adapters.training.cross_validated import cross_validated
from stroke.adapters.training.data import LabelledPatients
from stroke.adapters.training.evaluation import BOOTSTRAP_SAMPLES, compare_areas, evaluate
from stroke.adapters.training.fairness import fairness
from stroke.adapters.training.graph import Line, Spread
from stroke.adapters.training.splines import SplineDesign
from stroke.adapters.training.uncertainty import (
    REFITS,
    check_against_refits,
    spread,
    standard_errors,
)
from stroke.application.quality.calibration import Floats, Labels
from stroke.domain.features import RAW_FEATURES
from stroke.domain.further import Further
from stroke.domain.patient import OPTIONAL
from stroke.domain.risk import RiskBands

MODEL_TYPE: Final = "logistic regression on restricted cubic splines"
FOLDS: Final = 5
REPEATS: Final = 5
SENSITIVITY: Final = 0.93  # of the medium band's lower end, cross-validated
FLAGGED_SHARE: Final = 0.10  # of patients at or above the high band's lower end
LACKING: Final = tuple(
    missing for count in range(len(OPTIONAL)) for missing in combinations(OPTIONAL, count + 1)
)
"""What patients may lack: each combination has a companion of its own."""

STEPS: Final = FOLDS * REPEATS + (1 + len(LACKING)) * BOOTSTRAP_SAMPLES + REFITS + 1

_SEED: Final = 20260101


@dataclass(frozen=True, slots=True)
class Companion:
    """The line of patients who lack some measurements, and what its cross-validation says of it.

    ``metrics`` are over all patients, ``compared`` is over those who lack nothing: there the full
    model scored the same ones. ``compared`` is None where those had no stroke, or all had one.
    """

    line: Line
    bands: RiskBands
    metrics: dict[str, dict[str, float]]
    compared: dict[str, Any] | None
    lacking: dict[str, Any] | None
    """Patients of the data who really lack it, their strokes, and how many were expected."""


@dataclass(frozen=True, slots=True)
class FittedModel:
    """A fitted pipeline, and what its cross-validation says of it; and its companions.

    The companions share the pipeline's design, and are known by what their patients lack.
    """

    pipeline: Pipeline
    bands: RiskBands
    metrics: dict[str, dict[str, float]]
    reference_patient: dict[str, Any]
    companions: dict[tuple[str, ...], Companion] = field(default_factory=dict)
    spread: Spread | None = None
    interval_check: dict[str, Any] = field(default_factory=dict)
    """How the intervals of complete patients compare with a bootstrap of refits."""
    fairness: list[dict[str, Any]] = field(default_factory=list)
    """How far apart groups of patients are treated, cross-validated."""
    cross_validated: dict[str, Any] = field(default_factory=dict)
    """Calibration, decision curve and groups, of patients that the scored model had not seen."""

    @property
    def full(self) -> Line:
        """The line of patients who lack nothing."""
        return _line(self.pipeline[-1])

    @property
    def lines(self) -> dict[tuple[str, ...], Line]:
        """The lines, by what the patients lack who are theirs."""
        return {(): self.full} | {each: made.line for each, made in self.companions.items()}


def pipeline(further: Further = ()) -> Pipeline:
    """Return the unfitted model. No resampling, no class weights: both would cost calibration."""
    return Pipeline(
        [
            ("design", SplineDesign(further)),
            ("regression", _regression()),
        ]
    )


def _regression() -> LogisticRegression:
    # Newton's steps end at the optimum itself, whatever the processor's rounding.
    return LogisticRegression(C=1.0, solver="newton-cholesky", tol=1e-12)


def fit(
    data: LabelledPatients,
    *,
    samples: int = BOOTSTRAP_SAMPLES,
    refits: int = REFITS,
    progress: Callable[[], None] = lambda: None,
) -> FittedModel:
    """Fit and cross-validate, with intervals from ``samples`` bootstrap samples.

    The intervals of single patients are checked by ``refits``, if there are any. ``progress`` is
    called ``STEPS`` times when ``samples`` and ``refits`` are the usual numbers.

    The metrics are those of patients that the scored model had not seen (5 times 5-fold). A
    companion is fitted to all patients, by what its own ones have: were it fitted to those who
    lack the rest, it would learn why they were not measured.
    """
    unseen = cross_validate(data, progress=progress)
    metrics = evaluate(data.outcome, unseen[()], samples=samples, progress=progress)
    fitted = pipeline(data.further).fit(data.features, data.outcome)
    matrix = fitted[0].transform(data.features)
    companions = {
        missing: Companion(
            _portable_line(_line_without(fitted[0], matrix, data.outcome, missing)),
            _bands(data, np.mean(unseen[missing], axis=0)),
            evaluate(data.outcome, unseen[missing], samples=samples, progress=progress),
            _compared(data, unseen[()], unseen[missing], samples=samples),
            _lacking(data, unseen[missing], missing),
        )
        for missing in LACKING
    }
    progress()
    lines: dict[tuple[str, ...], Line] = {(): _line(_portable(fitted)[-1])}
    lines |= {missing: each.line for missing, each in companions.items()}
    matrix = fitted[0].transform(data.features)
    spreads = spread(matrix, lines, fitted[0].groups_)
    mean = np.mean(unseen[()], axis=0)
    bands = _bands(data, mean)
    return FittedModel(
        fitted,
        bands,
        metrics,
        _reference_patient(data),
        companions,
        spreads,
        _checked(data, matrix, lines[()], spreads, refits=refits, progress=progress),
        fairness(data, mean, bands),
        cross_validated(data, mean, bands),
    )


def _checked(
    data: LabelledPatients,
    matrix: Floats,
    line: Line,
    spreads: Spread,
    *,
    refits: int,
    progress: Callable[[], None],
) -> dict[str, Any]:
    """Return how the intervals of all patients compare with ``refits`` of the full model."""
    if not refits:
        return {}

    def refit(places: Labels) -> Floats:
        sample = pipeline(data.further).fit(data.features.iloc[places], data.outcome[places])
        log_odds: Floats = sample.decision_function(data.features)
        return log_odds

    return check_against_refits(
        standard_errors(spreads.factors[()], matrix),
        matrix @ line.slopes + line.intercept,
        refit,
        refits=refits,
        progress=progress,
    )


def cross_validate(
    data: LabelledPatients, *, progress: Callable[[], None] = lambda: None
) -> dict[tuple[str, ...], list[Floats]]:
    """Return out-of-fold probabilities, one array ``(N,)`` per repeat, by what is not looked at.

    ``()`` is the full model's; each of ``LACKING`` scores all patients as if they lacked it.
    """
    folds = RepeatedStratifiedKFold(n_splits=FOLDS, n_repeats=REPEATS, random_state=_SEED)
    repeats = {each: [np.empty(len(data)) for _ in range(REPEATS)] for each in ((), *LACKING)}
    for number, (seen, unseen) in enumerate(folds.split(data.features, data.outcome)):
        model = pipeline(data.further).fit(data.features.iloc[seen], data.outcome[seen])
        rows = data.features.iloc[unseen]
        repeats[()][number // FOLDS][unseen] = model.predict_proba(rows)[:, 1]
        design = model[0]
        matrix, unseen_matrix = design.transform(data.features.iloc[seen]), design.transform(rows)
        for missing in LACKING:
            line = _line_without(design, matrix, data.outcome[seen], missing)
            repeats[missing][number // FOLDS][unseen] = risk(line, unseen_matrix)
        progress()
    return repeats


def risk(line: Line, matrix: Floats) -> Floats:
    """Return the probabilities ``(N,)`` that ``line`` gives for a design matrix ``(N, c)``."""
    probability: Floats = expit(matrix @ line.slopes + line.intercept)
    return probability


def _line_without(
    design: SplineDesign, matrix: Floats, outcome: Labels, missing: tuple[str, ...]
) -> Line:
    """Fit the outcome to the columns of all other features; a missing one's slopes are 0."""
    kept = np.array([group not in missing for group in design.groups_])
    regression = _regression().fit(matrix[:, kept], outcome)
    slopes = np.zeros(len(kept))
    slopes[kept] = regression.coef_[0]
    return Line(slopes, float(regression.intercept_[0]))


def _line(regression: LogisticRegression) -> Line:
    return Line(regression.coef_[0], float(regression.intercept_[0]))


def _compared(
    data: LabelledPatients, full: list[Floats], companion: list[Floats], *, samples: int
) -> dict[str, Any] | None:
    whole = data.features[list(OPTIONAL)].notna().all(axis=1).to_numpy()
    outcome = data.outcome[whole]
    if not 0 < outcome.sum() < len(outcome):
        return None
    return compare_areas(
        outcome,
        [each[whole] for each in full],
        [each[whole] for each in companion],
        samples=samples,
    )


def _lacking(
    data: LabelledPatients, companion: list[Floats], missing: tuple[str, ...]
) -> dict[str, Any] | None:
    absent = data.features[list(OPTIONAL)].isna()
    chosen = (absent == [name in missing for name in OPTIONAL]).all(axis=1).to_numpy()
    if not chosen.any():
        return None
    return {
        "patients": int(chosen.sum()),
        "strokes": int(data.outcome[chosen].sum()),
        "expected": round(float(np.mean([each[chosen].sum() for each in companion])), 1),
    }


def _portable(fitted: Pipeline) -> Pipeline:
    """Round what was fitted to 10 digits: the same model, byte for byte, on every processor.

    Sums come out differently in the 16th digit with other vector units.
    """
    design, regression = fitted[0], fitted[-1]
    for owner, name in (
        (design, "mean_"),
        (design, "scale_"),
        (regression, "coef_"),
        (regression, "intercept_"),
    ):
        setattr(owner, name, _rounded(getattr(owner, name)))
    return fitted


def _portable_line(line: Line) -> Line:
    return Line(_rounded(line.slopes), float(_rounded(np.array(line.intercept))))


def _rounded(values: Floats) -> Floats:
    digits = np.array([float(f"{value:.10g}") for value in values.ravel()])
    return digits.reshape(values.shape)


def _bands(data: LabelledPatients, probability: Floats) -> RiskBands:
    """Medium from the threshold that keeps the sensitivity, high from the top decile."""
    of_strokes = np.sort(probability[data.outcome == 1])
    missed = int(np.floor((1 - SENSITIVITY) * len(of_strokes)))
    high = float(np.quantile(probability, 1 - FLAGGED_SHARE))
    return RiskBands(medium=round(float(of_strokes[missed]), 4), high=round(high, 4))


def _reference_patient(data: LabelledPatients) -> dict[str, Any]:
    """Return medians and most frequent values: whom explanations compare with."""
    features = data.features
    typical: dict[str, Any] = {}
    for name in RAW_FEATURES:
        column = features[name]
        if name in ("age", "avg_glucose_level", "bmi"):
            typical[name] = float(column.median())
        else:
            most_frequent = column.mode().iloc[0]
            typical[name] = most_frequent if isinstance(most_frequent, str) else int(most_frequent)
    return typical
