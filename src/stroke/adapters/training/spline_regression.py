"""The default kind of model: logistic regression on splines, cross-validated, then exported."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import RepeatedStratifiedKFold
from sklearn.pipeline import Pipeline

from stroke.adapters.training.data import LabelledPatients
from stroke.adapters.training.evaluation import BOOTSTRAP_SAMPLES, evaluate
from stroke.adapters.training.splines import SplineDesign
from stroke.application.quality.calibration import Floats
from stroke.domain.features import RAW_FEATURES
from stroke.domain.risk import RiskBands

MODEL_TYPE: Final = "logistic regression on restricted cubic splines"
FOLDS: Final = 5
REPEATS: Final = 5
SENSITIVITY: Final = 0.93  # of the medium band's lower end, cross-validated
FLAGGED_SHARE: Final = 0.10  # of patients at or above the high band's lower end
STEPS: Final = FOLDS * REPEATS + BOOTSTRAP_SAMPLES + 1

_SEED: Final = 20260101


@dataclass(frozen=True, slots=True)
class FittedModel:
    """A fitted pipeline, and what its cross-validation says of it."""

    pipeline: Pipeline
    bands: RiskBands
    metrics: dict[str, dict[str, float]]
    reference_patient: dict[str, Any]


def pipeline() -> Pipeline:
    """Return the unfitted model. No resampling, no class weights: both would cost calibration."""
    return Pipeline(
        [
            ("design", SplineDesign()),
            # Newton's steps end at the optimum itself, whatever the processor's rounding.
            ("regression", LogisticRegression(C=1.0, solver="newton-cholesky", tol=1e-12)),
        ]
    )


def fit(
    data: LabelledPatients,
    *,
    samples: int = BOOTSTRAP_SAMPLES,
    progress: Callable[[], None] = lambda: None,
) -> FittedModel:
    """Fit and cross-validate, with intervals from ``samples`` bootstrap samples.

    ``progress`` is called ``STEPS`` times when ``samples`` are the usual number.

    The metrics are those of patients that the scored model had not seen (5 times 5-fold).
    """
    unseen = cross_validate(data, progress=progress)
    metrics = evaluate(data.outcome, unseen, samples=samples, progress=progress)
    fitted = _portable(pipeline().fit(data.features, data.outcome))
    progress()
    return FittedModel(
        fitted, _bands(data, np.mean(unseen, axis=0)), metrics, _reference_patient(data)
    )


def cross_validate(
    data: LabelledPatients, *, progress: Callable[[], None] = lambda: None
) -> list[Floats]:
    """Return one array ``(N,)`` of out-of-fold probabilities per repeat."""
    folds = RepeatedStratifiedKFold(n_splits=FOLDS, n_repeats=REPEATS, random_state=_SEED)
    repeats = [np.empty(len(data)) for _ in range(REPEATS)]
    for number, (seen, unseen) in enumerate(folds.split(data.features, data.outcome)):
        model = pipeline().fit(data.features.iloc[seen], data.outcome[seen])
        probability = model.predict_proba(data.features.iloc[unseen])[:, 1]
        repeats[number // FOLDS][unseen] = probability
        progress()
    return repeats


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
        values = getattr(owner, name)
        rounded = np.array([float(f"{value:.10g}") for value in values.ravel()])
        setattr(owner, name, rounded.reshape(values.shape))
    return fitted


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
