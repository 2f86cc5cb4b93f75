"""Why a pickle is not converted, in words for the person who has it."""

INSTEAD = {
    "FunctionTransformer": "numpy's log, log1p, exp, expm1, sqrt, square and abs are converted",
    "KNNImputer": "use SimpleImputer",
    "IterativeImputer": "use SimpleImputer",
    "SplineTransformer": "use PolynomialFeatures",
    "KBinsDiscretizer": "leave the numbers as they are, or use trees",
    "VotingClassifier": "set voting='soft' before it is fitted",
    "LabelEncoder": "use OrdinalEncoder or OneHotEncoder in a ColumnTransformer",
}
OWN_CLASS = (
    "it is a class of your own: use scikit-learn's steps, or export the graph yourself and import "
    "the .onnx file"
)


class Refused(Exception):
    """The pickle holds nothing that can be converted; the message says why."""


def refused_step(path, step, reason):
    """Return the refusal of one step, which names it and says what to use instead."""
    instead = INSTEAD.get(type(step).__name__)
    if instead is None and not is_known(step):
        instead = OWN_CLASS
    return Refused(
        "the step %s (%s) %s%s"
        % (path or "model", type(step).__name__, reason, "" if instead is None else ": " + instead)
    )


def is_known(step):
    """Whether a library made the class, and not the pickle's author."""
    return type(step).__module__.split(".")[0] in {
        "sklearn",
        "imblearn",
        "xgboost",
        "lightgbm",
        "catboost",
    }
