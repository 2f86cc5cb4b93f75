"""The default model against the usual alternatives, on the same folds of the public data set.

    .venv/bin/python bench/models.py ../shared/data/healthcare-dataset-stroke-data.csv

Prints cross-validated figures (5 times 5-fold, the same patients unseen by every model). The
ratios are to the shipped kind of model: logistic regression on splines without resampling.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from imblearn.over_sampling import SMOTE
from imblearn.pipeline import Pipeline as ResamplingPipeline
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import RepeatedStratifiedKFold
from sklearn.pipeline import Pipeline

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from components.figures import read
from stroke.adapters.training.data import LabelledPatients, read_labelled
from stroke.adapters.training.evaluation import METRICS
from stroke.adapters.training.spline_regression import FOLDS, REPEATS, pipeline
from stroke.adapters.training.splines import SplineDesign
from stroke.container.imports import labelled_rows

SHOWN = ("auc", "brier", "log_loss", "calibration_slope", "ece")


def balanced() -> Pipeline:
    return Pipeline(
        [("design", SplineDesign()), ("lr", LogisticRegression(class_weight="balanced"))]
    )


def resampled() -> Any:
    return ResamplingPipeline(
        [
            ("design", SplineDesign()),
            ("smote", SMOTE(random_state=0)),
            ("lr", LogisticRegression(max_iter=1000)),
        ]
    )


def boosted() -> Pipeline:
    # Small trees and steps: the defaults overfit 249 strokes badly.
    trees = HistGradientBoostingClassifier(
        max_iter=60, learning_rate=0.05, max_leaf_nodes=6, random_state=0
    )
    return Pipeline([("design", SplineDesign()), ("trees", trees)])


MODELS: dict[str, Callable[[], Any]] = {
    "splines, LR (shipped)": pipeline,
    "splines, LR, class weights": balanced,
    "splines, SMOTE, LR": resampled,
    "gradient boosting": boosted,
}


def measure(make: Callable[[], Any], data: LabelledPatients) -> dict[str, float]:
    folds = RepeatedStratifiedKFold(n_splits=FOLDS, n_repeats=REPEATS, random_state=1)
    repeats = [np.empty(len(data)) for _ in range(REPEATS)]
    for number, (seen, unseen) in enumerate(folds.split(data.features, data.outcome)):
        model = make().fit(data.features.iloc[seen], data.outcome[seen])
        scored = model.predict_proba(data.features.iloc[unseen])[:, 1]
        repeats[number // FOLDS][unseen] = scored
    return {
        name: read(name, float(np.mean([METRICS[name](data.outcome, each) for each in repeats])))
        for name in SHOWN
    }


def without_gaps(data: LabelledPatients) -> LabelledPatients:
    """Fill each missing BMI with another patient's.

    A constant would mark who was not weighed, of whom 20 % had a stroke, and trees would find it.
    """
    features = data.features.copy()
    missing = features["bmi"].isna()
    known = features.loc[~missing, "bmi"].to_numpy()
    features.loc[missing, "bmi"] = np.random.default_rng(0).choice(known, int(missing.sum()))
    return LabelledPatients(features, data.outcome, data.sha256)


def main() -> None:
    source = Path(sys.argv[1])
    with labelled_rows(source) as table:
        data = without_gaps(read_labelled(source, table.rows))
    print(f"{'model':<28}" + "".join(f"{name:>19}" for name in SHOWN) + f"{'log loss ratio':>17}")
    baseline: dict[str, float] = {}
    for name, make in MODELS.items():
        figures = measure(make, data)
        baseline = baseline or figures
        ratio = figures["log_loss"] / baseline["log_loss"]
        print(f"{name:<28}" + "".join(f"{figures[n]:>19.4f}" for n in SHOWN) + f"{ratio:>17.2f}")


if __name__ == "__main__":
    main()
