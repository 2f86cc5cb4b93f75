"""Models of the kinds that people have, fitted on made-up patients: what `docs/models.md` lists."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from imblearn.over_sampling import SMOTE
from imblearn.pipeline import make_pipeline as make_resampling_pipeline
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.feature_selection import SelectKBest
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    TunedThresholdClassifierCV,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    LabelEncoder,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    QuantileTransformer,
    RobustScaler,
    SplineTransformer,
    StandardScaler,
)
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from stroke.application.predictions.trial_patients import trial_patients
from stroke.domain.features import RAW_FEATURES

NUMBERS = ["age", "avg_glucose_level", "bmi"]
FLAGS = ["hypertension", "heart_disease"]
TEXT = ["gender", "smoking_status"]


@dataclass(frozen=True)
class Kind:
    """A kind of model: what the table says of it, and how one is made of patients and outcomes.

    ``refused`` is what the refusal says, empty for one that is imported.
    """

    tried: str
    make: Callable[[Any, Any], Any]
    refused: str = ""
    options: dict[str, str] = field(default_factory=dict)


class OwnStep(TransformerMixin, BaseEstimator):  # type: ignore[misc] # no types
    """A step of the author's own."""

    def fit(self, table: Any, outcome: Any = None) -> OwnStep:
        """Learn nothing."""
        self.n_features_in_ = table.shape[1]
        return self

    def transform(self, table: Any) -> Any:
        """Change nothing."""
        return table


def patients() -> tuple[Any, Any]:
    """Return patients, a frame with an id, and outcomes of 0 and 1 that depend on them."""
    stream = np.random.default_rng(1)
    table = pd.DataFrame(trial_patients(1_000)).iloc[:1_000]
    table = table.astype(dict.fromkeys(FLAGS, int))
    table.insert(0, "id", np.arange(len(table)))
    risk = 1 / (1 + np.exp(-(table["age"] + 30 * table["hypertension"] - 80) / 15))
    return table, (stream.random(len(table)) < risk).to_numpy().astype(int)


def columns(
    numbers: Any = NUMBERS, text: Any = TEXT, *, step: Any = None, encoder: Any = None, **more: Any
) -> ColumnTransformer:
    """Return the usual preprocessing, its columns named in some way."""
    return ColumnTransformer(
        [
            ("numbers", step or StandardScaler(), numbers),
            ("text", encoder or OneHotEncoder(handle_unknown="ignore"), text),
        ],
        **more,
    )


def dense() -> ColumnTransformer:
    """Return the usual preprocessing for classifiers that take no sparse table."""
    return columns(encoder=OneHotEncoder(handle_unknown="ignore", sparse_output=False))


def logistic() -> LogisticRegression:
    """Return the usual classifier."""
    return LogisticRegression(max_iter=1000)


def small_forest() -> RandomForestClassifier:
    """Return a forest that is fitted in no time."""
    return RandomForestClassifier(10, max_depth=5, random_state=0)


def fitted(make: Callable[[], Any]) -> Callable[..., Any]:
    """Return what makes a model and fits it on the seven features."""
    return lambda table, outcome: make().fit(table[list(RAW_FEATURES)], outcome)


def after(step: Any) -> Callable[..., Any]:
    """Return what makes a pipeline with ``step`` for its numbers."""
    return fitted(lambda: make_pipeline(columns(step=step), logistic()))


def with_classifier(classifier: Any) -> Callable[..., Any]:
    """Return what makes a pipeline that ends in ``classifier``."""
    return fitted(lambda: make_pipeline(dense(), classifier))


def labelled(no: Any, yes: Any) -> Callable[..., Any]:
    """Return what makes a pipeline whose classes have these labels."""
    return lambda table, outcome: make_pipeline(columns(), logistic()).fit(
        table[list(RAW_FEATURES)], np.where(outcome == 1, yes, no)
    )


def mask_of(names: list[str]) -> list[bool]:
    """Return which of the seven features are ``names``."""
    return [name in names for name in RAW_FEATURES]


def scaler_beside(table: Any, outcome: Any) -> Any:
    """Return a scaler and a classifier in a dict, fitted on numbers."""
    scaler = StandardScaler().fit(table[NUMBERS + FLAGS])
    return {
        "model": logistic().fit(scaler.transform(table[NUMBERS + FLAGS]), outcome),
        "scaler": scaler,
    }


def encoders_beside(table: Any, outcome: Any) -> Any:
    """Return label encoders, a scaler of some columns and a classifier in a dict."""
    encoders = {name: LabelEncoder().fit(table[name]) for name in TEXT}
    encoded = table[list(RAW_FEATURES)].copy()
    for name, encoder in encoders.items():
        encoded[name] = encoder.transform(encoded[name])
    scaler = StandardScaler().fit(encoded[NUMBERS])
    encoded[NUMBERS] = scaler.transform(encoded[NUMBERS])
    return {"clf": small_forest().fit(encoded, outcome), "scaler": scaler, "encoders": encoders}


def encoded_elsewhere(table: Any, outcome: Any) -> Any:
    """Return only the classifier of ``encoders_beside``."""
    return encoders_beside(table, outcome)["clf"]


def preprocessor_beside(table: Any, outcome: Any) -> Any:
    """Return a whole preprocessor and a classifier in a list."""
    before = columns().fit(table[list(RAW_FEATURES)])
    return [before, logistic().fit(before.transform(table[list(RAW_FEATURES)]), outcome)]


def misfit(table: Any, outcome: Any) -> Any:
    """Return a scaler that does not belong to its classifier."""
    scaler = StandardScaler().fit(table[NUMBERS + FLAGS])
    return {"model": logistic().fit(table[NUMBERS].to_numpy(), outcome), "scaler": scaler}


def named_array(table: Any, outcome: Any) -> Any:
    """Return a classifier fitted on an array, with the names of its columns beside it."""
    return {"model": small_forest().fit(table[NUMBERS].to_numpy(), outcome), "columns": NUMBERS}


def two_models(table: Any, outcome: Any) -> Any:
    """Return two whole pipelines in a dict."""
    return {
        "lr": after(StandardScaler())(table, outcome),
        "forest": with_classifier(small_forest())(table, outcome),
        "threshold": 0.3,
    }


def without_other(table: Any, outcome: Any) -> Any:
    """Return a pipeline that fails for a gender that it was not fitted on."""
    known = (table["gender"] != "Other").to_numpy()
    return make_pipeline(columns(encoder=OneHotEncoder()), logistic()).fit(
        table.loc[known, list(RAW_FEATURES)], outcome[known]
    )


def calibrated(method: str) -> Callable[..., Any]:
    """Return what makes a calibrated pipeline."""
    pipeline = make_pipeline(columns(), small_forest())
    return fitted(lambda: CalibratedClassifierCV(pipeline, method=method, cv=2))


def pair() -> list[tuple[str, Any]]:
    """Return two whole pipelines with their names."""
    return [
        ("lr", make_pipeline(columns(), logistic())),
        ("forest", make_pipeline(columns(), small_forest())),
    ]


SCIKIT_LEARN = [
    Kind("columns by name", fitted(lambda: make_pipeline(columns(), logistic()))),
    Kind(
        "columns by position, beside an id",
        lambda table, outcome: make_pipeline(columns([2, -3, -2], [1, -1]), logistic()).fit(
            table, outcome
        ),
    ),
    Kind("columns by slice", fitted(lambda: make_pipeline(
        columns(slice("age", "bmi"), slice(-1, None)), logistic()))),
    Kind("columns by boolean mask", fitted(lambda: make_pipeline(
        columns(mask_of(NUMBERS), np.array(mask_of(TEXT))), logistic()))),
    Kind("columns by `make_column_selector`", fitted(lambda: make_pipeline(
        columns(make_column_selector(dtype_include=np.number),
                make_column_selector(dtype_exclude=np.number)), logistic()))),
    Kind("`remainder` of a `ColumnTransformer`", fitted(lambda: make_pipeline(
        columns(remainder="passthrough"), logistic()))),
    Kind("two `ColumnTransformer` after each other", fitted(lambda: make_pipeline(
        dense(), ColumnTransformer([("first", MinMaxScaler(), [0, 1])], remainder="passthrough"),
        logistic()))),
    Kind("`set_output(transform='pandas')`", fitted(lambda: make_pipeline(
        dense(), StandardScaler(), logistic()).set_output(transform="pandas"))),
    Kind("labels 0 and 1 as text", labelled("0", "1")),
    Kind("labels No and Yes", labelled("No", "Yes")),
    Kind("labels false and true", labelled(False, True)),
    Kind("labels of other words, with `--positive-label`", labelled("healthy", "apoplexy"),
         options={"positive": "apoplexy"}),
    Kind("labels of other words", labelled("healthy", "apoplexy"),
         "say which one is a stroke with --positive-label"),
    Kind("`SimpleImputer` for text and numbers", fitted(lambda: make_pipeline(
        columns(step=make_pipeline(SimpleImputer(strategy="median"), StandardScaler()),
                encoder=make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder())),
        logistic()))),
    Kind("`SimpleImputer(missing_values='Unknown')`", fitted(lambda: make_pipeline(
        columns(encoder=make_pipeline(
            SimpleImputer(missing_values="Unknown", strategy="most_frequent"), OneHotEncoder())),
        logistic()))),
    Kind("`OrdinalEncoder`", fitted(lambda: make_pipeline(
        columns(encoder=OrdinalEncoder()), small_forest()))),
    Kind("`MinMaxScaler`, `RobustScaler`", after(make_pipeline(MinMaxScaler(), RobustScaler()))),
    Kind("`KBinsDiscretizer`", after(KBinsDiscretizer(4, quantile_method="averaged_inverted_cdf"))),
    Kind("`PolynomialFeatures`", after(make_pipeline(StandardScaler(), PolynomialFeatures(2)))),
    Kind("`QuantileTransformer`", after(QuantileTransformer(n_quantiles=10))),
    Kind("`FunctionTransformer(np.log1p)`", after(FunctionTransformer(np.log1p))),
    Kind("`FunctionTransformer` of another function", after(FunctionTransformer(np.cbrt)),
         "numbers (FunctionTransformer) cannot be converted: numpy's log, log1p, exp, expm1, sqrt, "
         "square and abs are converted"),
    Kind("`SplineTransformer`", after(SplineTransformer()),
         "numbers (SplineTransformer) cannot be converted: use PolynomialFeatures"),
    Kind("`KNNImputer`", after(KNNImputer()),
         "numbers (KNNImputer) cannot be converted: use SimpleImputer"),
    Kind("a step of your own", after(OwnStep()),
         "numbers (OwnStep) cannot be converted: it is a class of your own: use scikit-learn's "
         "steps"),
    Kind("`SelectKBest`", fitted(lambda: make_pipeline(columns(), SelectKBest(k=4), logistic()))),
    Kind("SMOTE (imbalanced-learn)", fitted(lambda: make_resampling_pipeline(
        columns(), SMOTE(random_state=0), logistic()))),
    Kind("`GridSearchCV` around a pipeline", fitted(lambda: GridSearchCV(
        make_pipeline(columns(), logistic()), {"logisticregression__C": [0.1, 1.0]}, cv=2))),
    *(
        Kind(f"`CalibratedClassifierCV` ({method}) around a pipeline", calibrated(method))
        for method in ("sigmoid", "isotonic", "temperature")
    ),
    Kind("`CalibratedClassifierCV` within a pipeline", with_classifier(
        CalibratedClassifierCV(GradientBoostingClassifier(n_estimators=10), method="isotonic", cv=2)
    )),
    Kind("`CalibratedClassifierCV` of `LinearSVC`", fitted(lambda: CalibratedClassifierCV(
        make_pipeline(columns(), LinearSVC()), cv=2))),
    Kind("`VotingClassifier` (soft) of pipelines", fitted(lambda: VotingClassifier(
        pair(), voting="soft", weights=[2, 1]))),
    Kind("`VotingClassifier` (hard)", fitted(lambda: VotingClassifier(pair())),
         "votes hard: set voting='soft'"),
    Kind("`StackingClassifier` of pipelines", fitted(lambda: StackingClassifier(pair(), cv=2))),
    Kind("`StackingClassifier` within a pipeline, `passthrough`", with_classifier(
        StackingClassifier([("nb", GaussianNB()), ("lr", logistic())], cv=2, passthrough=True))),
    Kind("`TunedThresholdClassifierCV`", fitted(lambda: TunedThresholdClassifierCV(
        make_pipeline(columns(), logistic()), cv=2))),
    Kind("`FixedThresholdClassifier` of a calibrated pipeline", fitted(
        lambda: FixedThresholdClassifier(CalibratedClassifierCV(
            make_pipeline(columns(), logistic()), cv=2), threshold=0.2))),
    *(
        Kind(f"`{type(classifier).__name__}`", with_classifier(classifier))
        for classifier in (
            DecisionTreeClassifier(max_depth=5), RandomForestClassifier(50, random_state=0),
            ExtraTreesClassifier(20), GradientBoostingClassifier(n_estimators=20),
            HistGradientBoostingClassifier(max_iter=20), AdaBoostClassifier(n_estimators=10),
            BaggingClassifier(n_estimators=5), LinearDiscriminantAnalysis(), GaussianNB(),
            KNeighborsClassifier(), MLPClassifier((8,), max_iter=20, early_stopping=True),
        )
    ),
    Kind("a dict with a scaler and a model", scaler_beside),
    Kind("a dict with label encoders, a scaler and a model", encoders_beside),
    Kind("a list with a preprocessor and a model", preprocessor_beside),
    Kind("a dict with a model and the names of its columns", named_array),
    Kind("a dict with a scaler that does not fit the model", misfit,
         "put it and the classifier into one Pipeline"),
    Kind("a dict with two models, with `--part`", two_models, options={"part": "forest"}),
    Kind("a dict with two models", two_models, "choose one with --part"),
    Kind("a model of columns that were encoded elsewhere", encoded_elsewhere,
         "gender and smoking_status as numbers: they were encoded outside of it. Put a "
         "ColumnTransformer with OneHotEncoder or OrdinalEncoder and the classifier "
         "into one Pipeline"),
    Kind("an encoder that does not know a gender", without_other,
         "fit it with handle_unknown='ignore', or on patients of every category"),
    Kind("a model fitted on an array", lambda table, outcome: small_forest().fit(
        table[NUMBERS].to_numpy(), outcome), "fit it on a DataFrame"),
]  # fmt: skip
