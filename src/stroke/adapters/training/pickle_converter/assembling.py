"""Puts a model together that was saved in parts: scaler, encoders and classifier."""

import numpy as np

from .columns import TEXT, is_pipeline
from .refusals import Refused, refused_step

ONE_PIPELINE = "put it and the classifier into one Pipeline, fit that, and import it"


class Assembled:
    """Encoders of labels, then a scaler, then a classifier, as notebooks apply them to a table."""

    def __init__(self, model, names, encoders, scaler, scaled):
        self.model = model
        self.feature_names_in_ = np.array(names, dtype=object)
        self.classes_ = model.classes_
        self.encoders = encoders
        self.scaler = scaler
        self.scaled = scaled

    def predict_proba(self, patients):
        """Do what the notebook did."""
        table = patients.copy()
        for name, encoder in self.encoders.items():
            table[name] = encoder.transform(table[name])
        table = table.astype("float64")
        if self.scaler is not None:
            table[self.scaled] = _given(self.scaler.transform, self.scaler, table[self.scaled])
        return _given(self.model.predict_proba, self.model, table)


def _given(use, step, table):
    return use(table if hasattr(step, "feature_names_in_") else table.to_numpy())


def assembled(model, beside, names):
    """Return one model of the classifier and the steps beside it.

    ``names`` lists the columns if the file does. Raises ``Refused`` naming a step that has no
    place before the classifier.
    """
    own = _own_names(model)
    encoders = {
        path.split(".")[-1]: step for path, step in beside if type(step).__name__ == "LabelEncoder"
    }
    if own is not None and (is_pipeline(model) or TEXT & set(own) - set(encoders)):
        return model  # it takes patients as they are; what lies beside it made something else
    others = [each for each in beside if type(each[1]).__name__ != "LabelEncoder"]
    if others and not encoders and _chained(others, model):
        from sklearn.pipeline import Pipeline

        return Pipeline(
            [(path.replace(".", "_"), step) for path, step in [*others, ("model", model)]]
        )
    return _table_of(model, own or names, encoders, others)


def _table_of(model, names, encoders, others):
    if len(others) > 1:
        raise refused_step(*others[0], "is one of several steps beside the model: " + ONE_PIPELINE)
    path, scaler = others[0] if others else ("", None)
    scaled = _own_names(scaler) or names
    names = names or scaled
    if names is None:
        if scaler is None:
            return model
        raise refused_step(path, scaler, "does not say which columns it takes: " + ONE_PIPELINE)
    strange = sorted(set(encoders) - set(names))
    if strange:
        raise Refused(
            "the step %s (LabelEncoder) encodes no column of the model: name it as "
            "the column, or %s" % (strange[0], ONE_PIPELINE)
        )
    width = getattr(model, "n_features_in_", len(names))
    if scaler is not None and (
        not set(scaled) <= set(names)
        or getattr(scaler, "n_features_in_", len(scaled)) != len(scaled)
        or _width(scaler) != len(scaled)
        or width != len(names)
    ):
        raise refused_step(
            path,
            scaler,
            "does not fit before the model, which takes %d columns: %s" % (width, ONE_PIPELINE),
        )
    if width != len(names) or (scaler is None and not encoders and _own_names(model)):
        return model
    return Assembled(model, names, encoders, scaler, scaled)


def _own_names(step):
    names = getattr(step, "feature_names_in_", None)
    return None if names is None else [str(name) for name in names]


def _chained(steps, model):
    """Whether each step's columns are those that the next takes, the model being the last."""
    if _own_names(steps[0][1]) is None:
        return False
    following = [step for _, step in steps[1:]] + [model]
    for (_, step), after in zip(steps, following):
        wanted = _own_names(after)
        made = [str(name) for name in step.get_feature_names_out()]
        if len(made) != getattr(after, "n_features_in_", -1):
            return False
        if wanted is not None and wanted not in (made, _own_names(step)):
            return False
    return True


def _width(step):
    try:
        return len(step.get_feature_names_out())
    except (AttributeError, ValueError):
        return getattr(step, "n_features_in_", -1)


def listed_names(found, width):
    """Return the one list of ``width`` texts in what was unpickled, or None."""
    lists = []

    def visit(value):
        if isinstance(value, dict):
            for each in value.values():
                visit(each)
        elif isinstance(value, (list, tuple)):
            if len(value) == width and all(isinstance(each, str) for each in value):
                lists.append(list(value))
            for each in value:
                visit(each)

    visit(found)
    return lists[0] if len(lists) == 1 else None
