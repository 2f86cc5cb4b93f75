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


LISTED = "use another one that docs/models.md lists as imported"


class Refused(Exception):
    """The pickle holds nothing that can be converted; the message says why."""


def refused_step(path, step, reason):
    """Return the refusal of one step, which names it and says what to use instead.

    A ``reason`` that says it already has it behind a colon.
    """
    if ": " not in reason:
        unknown = LISTED if is_known(step) else OWN_CLASS
        reason += ": " + INSTEAD.get(type(step).__name__, unknown)
    return Refused("the step %s (%s) %s" % (path or "model", type(step).__name__, reason))


def is_known(step):
    """Whether a library made the class, and not the pickle's author."""
    return type(step).__module__.split(".")[0] in {
        "sklearn",
        "imblearn",
        "xgboost",
        "lightgbm",
        "catboost",
    }
