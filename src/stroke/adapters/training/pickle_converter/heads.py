"""Classifiers as graphs: their probability of class 1, and what wraps other models."""

import numpy as np

from . import trees
from .columns import (
    alone,
    children,
    convertible,
    inner_models,
    inner_path,
    takes_part,
    used_columns,
)
from .refusals import refused_step
from .writing import newest

AVERAGED = {
    "DecisionTreeClassifier", "ExtraTreeClassifier", "RandomForestClassifier",
    "ExtraTreesClassifier", "BalancedRandomForestClassifier",
}  # fmt: skip
LOG_ODDS = {
    "GradientBoostingClassifier": trees.boosted_trees,
    "HistGradientBoostingClassifier": trees.histogram_trees,
    "LGBMClassifier": trees.lightgbm_trees,
    "CatBoostClassifier": trees.catboost_trees,
}


class Patients:
    """What a model sees: the patients' features, all of them or some, by name."""

    def __init__(self, names, types):
        self.names = names
        self.types = types  # skl2onnx's, by feature

    def tensor(self, writer):
        """Return the features as one tensor ``[N, k]`` of doubles."""
        return writer.joined([writer.cast(name) for name in self.names])


class Heads:
    """Writes models into ``writer``, whose methods return ``[N, 1]`` of doubles."""

    def __init__(self, writer):
        self._writer = writer
        self._transformed = {}

    def probability(self, model, given, path=""):
        """Return the probability of class 1 of ``model``, which is given ``given``."""
        return self._way(model)(model, given, path)

    def _way(self, model):
        kind = type(model).__name__
        ways = {
            "Assembled": self._assembled,
            "VotingClassifier": self._voted,
            "StackingClassifier": self._stacked,
            "BaggingClassifier": self._bagged,
            "LinearDiscriminantAnalysis": self._sigmoid,
            "XGBClassifier": self._xgboost,
        }
        ways.update(dict.fromkeys(AVERAGED, self._averaged_trees))
        ways.update(dict.fromkeys(LOG_ODDS, self._sigmoid))
        if hasattr(model, "steps"):
            return self._piped
        if hasattr(model, "calibrated_classifiers_"):
            return self._calibrated
        if kind not in ways and inner_models(model):
            return self._wrapped
        return ways.get(kind, self._by_skl2onnx)

    def _piped(self, model, given, path):
        return self.probability(*self._through(model, given, path))

    def _wrapped(self, model, given, path):
        return self.probability(inner_models(model)[0], given, path)

    def _assembled(self, model, given, path):
        return self.probability(model.model, self._table(model, given), path)

    def _calibrated(self, model, given, path):
        parts = enumerate(model.calibrated_classifiers_)
        return self._average(
            [
                self._calibrated_one(e, given, inner_path(path, "calibrated_%d" % n))
                for n, e in parts
            ]
        )

    def _voted(self, model, given, path):
        votes = [
            self.probability(each, given, inner_path(path, name))
            for name, each in self._named(model)
        ]
        return self._average(votes, model._weights_not_none)

    def _stacked(self, model, given, path):
        stacked = self._first_layer(model, given, path)
        return self.probability(model.final_estimator_, stacked, inner_path(path, "final"))

    def _bagged(self, model, given, path):
        value = self._tensor(given)
        parts = zip(model.estimators_, model.estimators_features_)
        return self._average(
            [
                self.probability(
                    each, self._writer.columns(value, columns), inner_path(path, "bag_%d" % number)
                )
                for number, (each, columns) in enumerate(parts)
            ]
        )

    def _averaged_trees(self, model, given, path):
        if getattr(model, "n_outputs_", 1) != 1:
            raise refused_step(path, model, "has several outcomes: fit it on the stroke alone")
        return trees.averaged_trees(model)(self._writer, self._tensor(given))

    def _xgboost(self, model, given, path):
        return trees.xgboost_trees(model, path)(self._writer, self._tensor(given))

    def _sigmoid(self, model, given, path):
        return self._writer.node("Sigmoid", [self.log_odds(model, given, path)])

    def log_odds(self, model, given, path):
        """Return what ``model.decision_function`` gives."""
        w = self._writer
        if hasattr(model, "steps"):
            return self.log_odds(*self._through(model, given, path))
        inner = inner_models(model)
        if inner and type(model).__name__ not in {"VotingClassifier", "StackingClassifier"}:
            return self.log_odds(inner[0], given, path)
        if type(model).__name__ in LOG_ODDS:
            return LOG_ODDS[type(model).__name__](model, path)(w, self._tensor(given))
        weights = getattr(model, "coef_", None)
        if weights is not None and np.shape(weights)[0] == 1 and not hasattr(model, "kernel"):
            product = w.node("MatMul", [self._tensor(given), w.constant(np.asarray(weights).T)])
            return w.node("Add", [product, w.constant(np.ravel(model.intercept_)[None, :])])
        return self._by_skl2onnx(model, given, path, raw=True)

    def _through(self, pipeline, given, path):
        steps = [(name, each) for name, each in pipeline.steps if takes_part(each)]
        last_name, last = steps[-1]
        if len(steps) > 1:
            given = self._transform(steps[:-1], given, path)
        return last, given, inner_path(path, last_name)

    def _transform(self, steps, given, path):
        key = (tuple(id(each) for _, each in steps), given if isinstance(given, str) else id(given))
        if key not in self._transformed:
            self._transformed[key] = self._transform_anew(steps, given, path)
        return self._transformed[key]

    def _transform_anew(self, steps, given, path):
        for name, step in steps:
            place = inner_path(path, name)
            if hasattr(step, "steps"):
                inside = [(n, each) for n, each in step.steps if takes_part(each)]
                given = self._transform(inside, given, place) if inside else given
            else:
                given = self._one_step(step, given, place)
        return given

    def _one_step(self, step, given, path):
        names = given.names if isinstance(given, Patients) else None
        types, fed = self._fed(given, step)
        made = convertible(step, names, path)
        if names is None and not _converts(made, types):  # some mix 32 and 64 bits
            fed, types = self._in_32_bits(fed, types)
        try:
            graph = _converted(made, types)
        except Exception as error:
            for name, part in alone(made):
                if not _converts(part, types):
                    inner = dict(children(step))[name]
                    path = inner_path(path, name)
                    raise refused_step(path, inner, "cannot be converted") from error
            raise refused_step(path, step, "cannot be converted") from error
        [output] = self._writer.include(graph, fed).values()
        return self._writer.cast(output)

    def _fed(self, given, model):
        """Return skl2onnx's types of inputs, and what feeds each."""
        from skl2onnx.common.data_types import DoubleTensorType

        if isinstance(given, str):
            width = getattr(model, "n_features_in_", None)
            return [("x", DoubleTensorType([None, width]))], {"x": given}
        used = used_columns(model, given.names)
        names = [name for name in given.names if name in used]
        return [(n, given.types[n]([None, 1])) for n in names], {n: n for n in names}

    def _in_32_bits(self, fed, types):
        from onnx import TensorProto
        from skl2onnx.common.data_types import FloatTensorType

        value = self._writer.cast(fed["x"], TensorProto.FLOAT)
        return {"x": value}, [("x", FloatTensorType(types[0][1].shape))]

    def _tensor(self, given):
        return given if isinstance(given, str) else given.tensor(self._writer)

    def _table(self, assembled, given):
        """Return the columns as the notebook made them: encoded, then scaled."""
        w, columns = self._writer, {}
        for name in given.names:
            encoder = assembled.encoders.get(name)
            if encoder is not None:
                columns[name] = self._encoded(name, encoder)
            else:
                columns[name] = w.cast(name)
        if assembled.scaler is not None:
            scaled = w.joined([columns[name] for name in assembled.scaled])
            scaled = self._transform([("scaler", assembled.scaler)], scaled, "")
            for number, name in enumerate(assembled.scaled):
                columns[name] = w.columns(scaled, [number])
        return w.joined([columns[name] for name in given.names])

    def _encoded(self, name, encoder):
        if encoder.classes_.dtype.kind not in "OUS":
            raise refused_step(name, encoder, "encodes numbers: leave numbers as they are")
        numbers = self._writer.node(
            "LabelEncoder",
            [name],
            domain="ai.onnx.ml",
            keys_strings=[str(each) for each in encoder.classes_],
            values_floats=[float(each) for each in range(len(encoder.classes_))],
            default_float=-1.0,
        )
        return self._writer.cast(numbers)

    def _average(self, values, weights=None):
        w = self._writer
        shares = np.ones(len(values)) if weights is None else np.asarray(weights, np.float64)
        together = w.node("Mul", [w.joined(values), w.constant(shares[None, :])])
        return w.affine(w.total(together), 1.0 / shares.sum(), 0.0)

    def _named(self, model):
        chosen = [name for name, each in model.estimators if not isinstance(each, str)]
        return list(zip(chosen, [e for e in model.estimators_ if not isinstance(e, str)]))

    def _first_layer(self, model, given, path):
        parts = []
        for (name, each), method in zip(self._named(model), model.stack_method_):
            if method not in {"predict_proba", "decision_function"}:
                raise refused_step(
                    path, model, "stacks predictions: set stack_method to predict_proba"
                )
            found = self.probability if method == "predict_proba" else self.log_odds
            parts.append(found(each, given, inner_path(path, name)))
        if model.passthrough:
            parts.append(self._tensor(given))
        return self._writer.joined(parts)

    def _calibrated_one(self, calibrated, given, path):
        w = self._writer
        model = getattr(calibrated, "estimator", None) or calibrated.base_estimator
        calibrator = calibrated.calibrators[0]
        found = self.log_odds if hasattr(model, "decision_function") else self.probability
        value = found(model, given, path)
        kind = type(calibrator).__name__
        if kind == "_SigmoidCalibration":
            return w.node("Sigmoid", [w.affine(value, -calibrator.a_, -calibrator.b_)])
        if kind == "IsotonicRegression":
            return self._interpolated(value, calibrator.X_thresholds_, calibrator.y_thresholds_)
        if kind == "_TemperatureScaling":
            if found == self.probability:
                eps = 1e-12
                no = w.affine(value, -1.0, 1.0 + eps)
                logs = [w.node("Log", [each]) for each in (w.affine(value, 1.0, eps), no)]
                value = w.node("Sub", logs)
                return w.node("Sigmoid", [w.affine(value, calibrator.beta_, 0.0)])
            return w.node("Sigmoid", [w.affine(value, 2.0 * calibrator.beta_, 0.0)])
        raise refused_step(
            path,
            calibrator,
            "is no way of calibration that is known: use sigmoid, isotonic or temperature",
        )

    def _interpolated(self, value, x, y):
        """Interpolate linearly between the points, and stay level beyond them."""
        w = self._writer
        if len(x) == 1:
            return w.affine(value, 0.0, float(y[0]))
        low, high = np.asarray(x[:-1], np.float64)[None], np.asarray(x[1:], np.float64)[None]
        slope = np.diff(np.asarray(y, np.float64))[None] / (high - low)
        inside = w.node("Max", [value, w.constant(low)])
        inside = w.node("Min", [inside, w.constant(high)])
        gone = w.node("Sub", [inside, w.constant(low)])
        risen = w.total(w.node("Mul", [gone, w.constant(slope)]))
        return w.affine(risen, 1.0, float(y[0]))

    def _by_skl2onnx(self, model, given, path, raw=False):
        import copy

        made = copy.copy(model)
        if len(getattr(model, "classes_", ())) != len(("no stroke", "stroke")):
            raise refused_step(
                path, model, "has other than two classes: fit it on stroke and no stroke"
            )
        try:
            made.classes_ = np.array([0, 1])  # converters know no labels of true and false
        except AttributeError:
            made = model
        types, fed = self._fed(self._tensor(given), model)
        options = {"zipmap": False}
        if raw:
            options["raw_scores"] = True
        if not _converts(made, types, {id(made): options}):
            fed, types = self._in_32_bits(fed, types)
        try:
            graph = _converted(made, types, {id(made): options})
        except Exception as error:
            raise refused_step(path, model, "cannot be converted by skl2onnx") from error
        output = self._writer.include(graph, fed)["probabilities"]
        return self._writer.cast(self._writer.columns(output, [1]))


def _converted(model, types, options=None):
    from onnx.shape_inference import infer_shapes
    from skl2onnx import convert_sklearn

    opsets = {"": newest(), "ai.onnx.ml": 3}
    made = convert_sklearn(model, initial_types=types, target_opset=opsets, options=options)
    infer_shapes(made, check_type=True, strict_mode=True)  # some mix 32 and 64 bits
    return made


def _converts(model, types, options=None):
    try:
        _converted(model, types, options)
    except Exception:  # noqa: BLE001 - converters raise whatever they meet
        return False
    return True
