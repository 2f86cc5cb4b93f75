"""Which features a model takes, whatever way its ColumnTransformers name them."""

import copy

from .refusals import Refused, refused_step

TEXT = {"gender", "smoking_status", "age_group", "bmi_category", "glucose_category"}
FLAGS = {"hypertension", "heart_disease"}
NEVER = "no patient has this text"
"""What a text imputer looks for, so that it finds nothing."""


def children(step):
    """Return the fitted steps directly within ``step``, each with its name."""
    if hasattr(step, "steps"):
        return [(name, each) for name, each in step.steps]
    if hasattr(step, "transformers_"):
        return [(name, each) for name, each, _ in step.transformers_]
    if hasattr(step, "transformer_list"):
        return list(step.transformer_list)
    return []


def names_of(model):
    """Return the columns that the model was fitted on, in order."""
    for step in first_steps(model):
        names = getattr(step, "feature_names_in_", None)
        if names is not None:
            return [str(name) for name in names]
        names = getattr(step, "feature_names_", None)  # CatBoost
        if names is not None and not isinstance(names, property):
            return [str(name) for name in names]
    raise Refused("the pipeline does not say which columns it takes: fit it on a DataFrame")


def is_pipeline(model):
    """Whether it is a pipeline, or wraps one."""
    return hasattr(model, "steps") or any(map(is_pipeline, inner_models(model)))


def first_steps(model):
    """Yield ``model`` and what sees its input first, outermost first."""
    yield model
    for inner in inner_models(model)[:1]:
        for step in first_steps(inner):
            yield step
    if hasattr(model, "steps"):
        for _, step in model.steps:
            if takes_part(step):
                for each in first_steps(step):
                    yield each
                return


def takes_part(step):
    """Whether it changes a prediction: SMOTE and its kind change training data only."""
    return step is not None and not isinstance(step, str) and not hasattr(step, "fit_resample")


def inner_models(model):
    """Return the fitted models that see the same input as ``model`` does."""
    for attribute in ("best_estimator_", "best_pipeline_"):
        if hasattr(model, attribute):
            return [getattr(model, attribute)]
    if hasattr(model, "calibrated_classifiers_"):
        return [getattr(e, "estimator", None) or e.base_estimator
                for e in model.calibrated_classifiers_]  # fmt: skip
    kind = type(model).__name__
    if kind in {"VotingClassifier", "StackingClassifier"}:
        return [each for each in model.estimators_ if not isinstance(each, str)]
    if kind in {"TunedThresholdClassifierCV", "FixedThresholdClassifier", "FrozenEstimator"}:
        return [model.estimator_ if hasattr(model, "estimator_") else model.estimator]
    return []


def used_columns(model, names):
    """Return which of the columns ``names`` the model's result depends on."""
    inner = inner_models(model)
    if inner:
        used = set()
        for each in inner:
            used |= used_columns(each, names)
        if getattr(model, "passthrough", False):
            used |= set(names)
        return used
    if hasattr(model, "steps"):
        for _, step in model.steps:
            if takes_part(step):
                return used_columns(step, names)
    if hasattr(model, "transformers_"):
        used = set()
        for transformer, columns in transformers_by_name(model, names):
            if transformer != "drop":
                used |= set(columns)
        return used
    return set(names)


def transformers_by_name(step, names):
    """Return the transformers of a ColumnTransformer, each with the names of its columns."""
    found = []
    indices = getattr(step, "_transformer_to_input_indices", {})
    for name, transformer, columns in step.transformers_:
        chosen = indices.get(name)
        positions = _positions(columns, names) if chosen is None else chosen
        found.append((transformer, [names[each] for each in positions]))
    return found


def _positions(columns, names):
    if callable(columns):
        raise Refused("a selector of columns was not resolved: fit the pipeline again")
    if isinstance(columns, slice):
        if isinstance(columns.start, str) or isinstance(columns.stop, str):
            start = 0 if columns.start is None else names.index(columns.start)
            stop = len(names) if columns.stop is None else names.index(columns.stop) + 1
            return list(range(len(names)))[start : stop : columns.step]
        return list(range(len(names)))[columns]
    taken = [columns] if isinstance(columns, (str, int)) else list(columns)
    if taken and all(type(each).__name__ in {"bool", "bool_"} for each in taken):
        return [number for number, each in enumerate(taken) if each]
    return [names.index(e) if isinstance(e, str) else range(len(names))[e] for e in taken]


def convertible(step, names=None, path=""):
    """Return a copy of a transforming step that skl2onnx can convert and that computes the same.

    Columns become names where the step sees the patients' ``names``, and positions elsewhere.
    Imputers of text that look for a missing value, which no patient has, find nothing.
    """
    if isinstance(step, str) or step is None:
        return step
    made = copy.copy(step)
    if hasattr(step, "transformers_"):
        _with_plain_columns(made, step, names, path)
    elif hasattr(step, "steps"):
        made.steps = []
        for name, each in step.steps:
            if takes_part(each):
                made.steps.append((name, convertible(each, names, inner_path(path, name))))
                names = None
    elif hasattr(step, "transformer_list"):
        made.transformer_list = [
            (name, convertible(each, names, inner_path(path, name)))
            for name, each in step.transformer_list
        ]
    elif getattr(step, "encode", None) == "onehot":  # KBinsDiscretizer: the same, not sparse
        made.encode = "onehot-dense"
    elif type(step).__name__ == "SimpleImputer" and step.statistics_.dtype.kind in "OUS":
        _find_nothing(made, step, path)
    return made


def _with_plain_columns(made, step, names, path):
    fitted_on = [str(each) for each in getattr(step, "feature_names_in_", [])]
    known = names or fitted_on or list(range(step.n_features_in_))
    made.transformers_ = []
    for (name, transformer, _), (_, columns) in zip(
        step.transformers_, transformers_by_name(step, known)
    ):
        if columns:
            plain = columns if names is not None else [known.index(each) for each in columns]
            inside = convertible(transformer, names and columns, inner_path(path, name))
            made.transformers_.append((name, inside, plain))
    made.transformers = made.transformers_


def _find_nothing(made, step, path):
    if step.add_indicator:
        raise refused_step(
            path, step, "adds an indicator of missing text: fit it with add_indicator=False"
        )
    if not isinstance(step.missing_values, str):
        made.missing_values = NEVER


def alone(step):
    """Yield each transformer of a ColumnTransformer or FeatureUnion as one that has only it."""
    for attribute in ("transformers_", "transformer_list"):
        for each in getattr(step, attribute, ()):
            made = copy.copy(step)
            setattr(made, attribute, [each])
            made.transformers = [each]
            yield each[0], made


def inner_path(path, name):
    """Return the path of the step ``name`` within ``path``."""
    return path + "." + name if path else name
