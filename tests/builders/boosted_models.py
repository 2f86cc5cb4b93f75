"""Makes models of XGBoost, LightGBM and CatBoost: a script for an interpreter that has them.

    python boosted_models.py FOLDER

It imports nothing of stroke, and writes a pickle for each of ``KINDS`` to FOLDER.
"""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from typing import Any

KINDS = {
    "xgboost": ("`XGBClassifier` after SMOTE (imbalanced-learn)", ""),
    "xgboost_early": ("`XGBClassifier` with early stopping", ""),
    "xgboost_raw": ("`XGBClassifier` of numbers alone, without a pipeline", ""),
    "xgboost_calibrated": ("`CalibratedClassifierCV` (isotonic) of `XGBClassifier`", ""),
    "xgboost_dart": ("`XGBClassifier(booster='dart')`", "fit it with booster='gbtree'"),
    "lightgbm": ("`LGBMClassifier`", ""),
    "lightgbm_yes_no": ("`LGBMClassifier` with labels No and Yes", ""),
    "lightgbm_categories": (
        "`LGBMClassifier` that splits categories",
        "splits categories: one-hot encode them before it",
    ),
    "catboost": ("`CatBoostClassifier`", ""),
    "catboost_categories": (
        "`CatBoostClassifier(cat_features=...)`",
        "takes categories itself: one-hot encode them before it",
    ),
    "voting": ("`VotingClassifier` of all three", ""),
    "stacking": ("`StackingClassifier` of all three", ""),
}
"""Each model's name: what the page says of it, and what its refusal says."""

NUMBERS = ["age", "hypertension", "heart_disease", "avg_glucose_level", "bmi"]
TEXT = ["gender", "smoking_status"]


def patients() -> tuple[Any, Any]:
    """Return made-up patients and outcomes of 0 and 1 that depend on them."""
    import numpy as np
    import pandas as pd

    stream, count = np.random.default_rng(1), 1_500
    table = pd.DataFrame(
        {
            "gender": stream.choice(["Male", "Female", "Other"], count),
            "age": stream.uniform(1, 95, count).round(1),
            "hypertension": stream.integers(0, 2, count),
            "heart_disease": stream.integers(0, 2, count),
            "avg_glucose_level": stream.uniform(55, 270, count).round(2),
            "bmi": stream.uniform(14, 55, count).round(1),
            "smoking_status": stream.choice(
                ["never smoked", "formerly smoked", "smokes", "Unknown"], count
            ),
        }
    )
    risk = 1 / (1 + np.exp(-(table["age"] - 60) / 15))
    return table, (stream.random(count) < risk).to_numpy().astype(int)


def models() -> dict[str, Any]:
    """Return the fitted models by name."""
    import numpy as np
    from catboost import CatBoostClassifier
    from imblearn.over_sampling import SMOTE
    from imblearn.pipeline import make_pipeline as make_resampling_pipeline
    from lightgbm import LGBMClassifier
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import StackingClassifier, VotingClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
    from xgboost import XGBClassifier

    table, outcome = patients()

    def columns(encoder: Any = None) -> Any:
        one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
        return ColumnTransformer(
            [("numbers", StandardScaler(), NUMBERS), ("text", encoder or one_hot, TEXT)]
        )

    def xgb(**more: Any) -> Any:
        return XGBClassifier(n_estimators=30, max_depth=4, n_jobs=1, **more)

    def lgbm(**more: Any) -> Any:
        return LGBMClassifier(n_estimators=30, num_leaves=8, n_jobs=1, verbose=-1, **more)

    def cat(**more: Any) -> Any:
        return CatBoostClassifier(
            iterations=30, depth=4, verbose=0, allow_writing_files=False, thread_count=1, **more
        )

    def three() -> list[tuple[str, Any]]:
        return [
            (name, make_pipeline(columns(), make()))
            for name, make in (("xgb", xgb), ("lgbm", lgbm), ("cat", cat))
        ]

    early = xgb(early_stopping_rounds=3, eval_metric="logloss")
    held_out = (table[NUMBERS][1000:], outcome[1000:])
    early.fit(table[NUMBERS][:1000], outcome[:1000], eval_set=[held_out], verbose=False)
    categories = lgbm(categorical_feature=[5, 6], min_data_per_group=10, cat_smooth=1)
    return {
        "xgboost": make_resampling_pipeline(columns(), SMOTE(random_state=0), xgb()).fit(
            table, outcome
        ),
        "xgboost_early": early,
        "xgboost_raw": xgb(scale_pos_weight=5).fit(table[NUMBERS], outcome),
        "xgboost_calibrated": CalibratedClassifierCV(
            make_pipeline(columns(), xgb()), method="isotonic", cv=2
        ).fit(table, outcome),
        "xgboost_dart": make_pipeline(columns(), xgb(booster="dart")).fit(table, outcome),
        "lightgbm": make_pipeline(columns(), lgbm()).fit(table, outcome),
        "lightgbm_yes_no": make_pipeline(columns(), lgbm()).fit(
            table, np.where(outcome == 1, "Yes", "No")
        ),
        "lightgbm_categories": make_pipeline(columns(OrdinalEncoder()), categories).fit(
            table, (table["smoking_status"] == "smokes").to_numpy().astype(int)
        ),
        "catboost": make_pipeline(columns(), cat()).fit(table, outcome),
        "catboost_categories": cat(cat_features=TEXT).fit(table, outcome),
        "voting": VotingClassifier(three(), voting="soft").fit(table, outcome),
        "stacking": StackingClassifier(three(), cv=2).fit(table, outcome),
    }


def main() -> None:
    """Run as the module's docstring says."""
    for name, model in models().items():
        Path(sys.argv[1], name + ".pkl").write_bytes(pickle.dumps(model))


if __name__ == "__main__":
    main()
