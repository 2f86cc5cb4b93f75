"""Finds the fitted model in what was unpickled, and which class of it is a stroke."""

import pickle
import warnings

from .refusals import Refused

POSITIVE = {"1", "1.0", "yes", "y", "true", "t", "stroke", "positive", "pos"}
NEGATIVE = {"0", "0.0", "-1", "no", "n", "false", "f", "no stroke", "none", "negative", "neg"}


def load(path):
    """Unpickle; refuse a pickle of other library versions, which may compute something else."""
    from sklearn.exceptions import InconsistentVersionWarning

    with warnings.catch_warnings():
        warnings.simplefilter("error", InconsistentVersionWarning)
        try:
            return _unpickled(path)
        except InconsistentVersionWarning as made:
            made_with, have = made.original_sklearn_version, made.current_sklearn_version
            raise Refused(
                "it was made with scikit-learn %s, this is %s: name an interpreter "
                "that has it with --python" % (made_with, have)
            ) from None
        except ModuleNotFoundError as missing:
            raise Refused(
                "it needs the module %r: name an interpreter that has it "
                "with --python" % missing.name
            ) from None
        except AttributeError as missing:
            raise Refused(
                "it needs a class or function of your own (%s): put it into a module, "
                "and name an interpreter that has the module with --python; a class that skl2onnx "
                "does not know cannot be converted, though" % missing
            ) from None


def _unpickled(path):
    try:
        import joblib
    except ImportError:
        with open(path, "rb") as file:  # noqa: PTH123
            return pickle.load(file)  # noqa: S301
    return joblib.load(path)


def parts_of(found, name=""):
    """Return the objects in dicts, lists and tuples by their name, in order."""
    if isinstance(found, dict):
        items = [(str(key), value) for key, value in found.items()]
    elif isinstance(found, (list, tuple)):
        items = [(str(number), value) for number, value in enumerate(found)]
    else:
        return [(name, found)]
    inside = []
    for key, value in items:
        inside += parts_of(value, name + "." + key if name else key)
    return inside


def classifies(part):
    """Whether it is a classifier, or a search or wrapper for one."""
    return any(hasattr(part, each) for each in ("predict_proba", "param_grid", "estimator_"))


def find_model(found, part):
    """Return the model in ``found`` and the other fitted steps beside it, each with its name.

    ``part`` is the name of one of several models. Raises ``Refused``.
    """
    parts = parts_of(found)
    models = [each for each in parts if classifies(each[1])]
    if part is not None:
        models = [each for each in models if each[0] == part]
        if not models:
            raise Refused(
                "no model is called %r: there are %s"
                % (part, ", ".join(name for name, each in parts if classifies(each)) or "none")
            )
    if not models:
        hard = [each for name, each in parts if getattr(each, "voting", None) == "hard"]
        if hard:
            raise Refused("the step model (VotingClassifier) votes hard: set voting='soft'")
        raise Refused("no fitted classifier with predict_proba in it")
    if len(models) > 1:
        raise Refused(
            "it holds several models (%s): choose one with --part"
            % ", ".join(name for name, _ in models)
        )
    _, model = models[0]
    if (hasattr(model, "param_grid") or hasattr(model, "param_distributions")) and not hasattr(
        model, "best_estimator_"
    ):
        raise Refused("the search was not fitted: it has no best_estimator_")
    beside = [each for each in parts if hasattr(each[1], "transform") and not classifies(each[1])]
    return model, beside


def positive_class(classes, wanted):
    """Return the position of the class that is a stroke."""
    shown = [str(each) for each in classes]
    if len(shown) != len(("no stroke", "stroke")):
        raise Refused("it knows %d classes, not two: stroke and no stroke" % len(shown))
    words = [each.strip().lower() for each in shown]
    if wanted is not None:
        if wanted.strip().lower() not in words:
            raise Refused("no class is %r: they are %s" % (wanted, " and ".join(shown)))
        return words.index(wanted.strip().lower())
    for negative, positive in ((0, 1), (1, 0)):
        if words[negative] in NEGATIVE and words[positive] in POSITIVE:
            return positive
    raise Refused(
        "its classes are %s: say which one is a stroke with --positive-label"
        % " and ".join(map(repr, shown))
    )
