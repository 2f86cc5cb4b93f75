"""Turns a pickled scikit-learn pipeline into ONNX graphs: a script, run by the interpreter that
has the libraries the pickle was made with. It imports nothing of stroke.

    python pickle_converter.py PICKLE PROBES.json OUTPUT_FOLDER

PROBES.json maps each known feature to a list of values. Writes ``candidate-*.onnx`` and
``original.json`` (the pipeline's probabilities of the probes) to OUTPUT_FOLDER, and prints one
JSON object: ``{"features": [...], "model_type": ..., "libraries": {...}}`` or ``{"error": ...}``.
"""

import json
import pickle
import sys
import warnings
from pathlib import Path

TEXT = {"gender", "smoking_status", "age_group", "bmi_category", "glucose_category"}
FLAGS = {"hypertension", "heart_disease"}


class Refused(Exception):
    """The pickle holds nothing that can be converted; the message says why."""


def load(path):
    """Unpickle, by joblib where that wrote the file."""
    try:
        import joblib  # noqa: PLC0415

        return joblib.load(path)
    except ImportError:
        with path.open("rb") as file:
            return pickle.load(file)  # noqa: S301


def load_as_made(path):
    """Unpickle, or refuse a pickle of other library versions: it may compute something else."""
    from sklearn.exceptions import InconsistentVersionWarning  # noqa: PLC0415

    with warnings.catch_warnings():
        warnings.simplefilter("error", InconsistentVersionWarning)
        try:
            return load(path)
        except InconsistentVersionWarning as made:
            made_with, have = made.original_sklearn_version, made.current_sklearn_version
            raise Refused(
                f"it was made with scikit-learn {made_with}, this is {have}: name an interpreter "
                "that has it with --python"
            ) from None


def fitted_pipeline(found):
    """Return the steps of the fitted pipeline inside ``found``, without resampling steps."""
    for attribute in ("best_estimator_", "best_pipeline_"):
        if hasattr(found, attribute):
            return fitted_pipeline(getattr(found, attribute))
    if isinstance(found, dict):
        inside = [value for value in found.values() if hasattr(value, "predict_proba")]
        if len(inside) == 1:
            return fitted_pipeline(inside[0])
    if hasattr(found, "param_grid") or hasattr(found, "param_distributions"):
        raise Refused("the search was not fitted: it has no best_estimator_")
    if not hasattr(found, "predict_proba"):
        raise Refused("no fitted classifier with predict_proba in it")
    return [step for step in flattened([("classifier", found)]) if not resamples(step[1])]


def flattened(steps):
    """Return the steps of pipelines within pipelines, one after another."""
    for name, step in steps:
        if hasattr(step, "steps"):
            for inner, each in flattened(step.steps):
                yield "%s_%s" % (name, inner), each  # noqa: UP031
        elif step is not None and not isinstance(step, str):  # else "passthrough"
            yield name, step


def resamples(step):
    """SMOTE and its kind change training data only; they take no part in a prediction."""
    return hasattr(step, "fit_resample")


def input_columns(steps, known):
    """Return the columns that the first step uses; refuse what no patient has."""
    first = steps[0][1]
    names = getattr(first, "feature_names_in_", None)
    if names is None:
        raise Refused("the pipeline does not say which columns it takes: fit it on a DataFrame")
    names = [str(name) for name in names]
    used = set(names)
    if hasattr(first, "transformers_"):  # a ColumnTransformer may drop some
        used = set()
        for _, transformer, columns in first.transformers_:
            if isinstance(transformer, str) and transformer == "drop":
                continue
            taken = [columns] if isinstance(columns, str) else list(columns)
            used |= {each if isinstance(each, str) else names[each] for each in taken}
    unknown = sorted(used - known)
    if unknown:
        raise Refused("the pipeline takes unknown features: " + ", ".join(unknown))
    return [name for name in names if name in used]


def as_trees_see_it(pipeline):
    """Return the pipeline with scikit-learn's own cast to 32 bits before trees written out."""
    from skl2onnx.sklapi import CastTransformer  # noqa: PLC0415

    last = pipeline.steps[-1][1]
    if len(pipeline.steps) == 1 or not (hasattr(last, "tree_") or hasattr(last, "estimators_")):
        return None
    import numpy as np  # noqa: PLC0415

    cast = CastTransformer(dtype=np.float32).fit(np.zeros((2, 2)))
    return type(pipeline)([*pipeline.steps[:-1], ("cast", cast), pipeline.steps[-1]])


def candidates(pipeline, features, reasons):
    """Yield graphs, the most exact types of inputs first; which one is right is found by use.

    Why there is no graph of some types is added to ``reasons``.
    """
    from skl2onnx import convert_sklearn  # noqa: PLC0415
    from skl2onnx.common.data_types import (  # noqa: PLC0415
        DoubleTensorType,
        FloatTensorType,
        Int64TensorType,
        StringTensorType,
    )

    tried = [each for each in (as_trees_see_it(pipeline), pipeline) if each is not None]
    for variant in tried:
        for number in (DoubleTensorType, FloatTensorType):
            for flag in (number, Int64TensorType):
                types = [
                    (
                        name,
                        StringTensorType([None, 1])
                        if name in TEXT
                        else (flag if name in FLAGS else number)([None, 1]),
                    )
                    for name in features
                ]
                options = {id(variant.steps[-1][1]): {"zipmap": False}}
                try:
                    graph = convert_sklearn(variant, initial_types=types, options=options)
                except Exception as error:  # noqa: BLE001 - converters raise whatever they meet
                    reasons.append("%s: %s" % (type(error).__name__, error))  # noqa: UP031
                else:
                    yield graph.SerializeToString()


def probabilities(pipeline, features, probes):
    """Return the original's probabilities of a stroke."""
    import pandas as pd  # noqa: PLC0415

    classes = [float(each) for each in pipeline.classes_]
    if classes != [0.0, 1.0]:
        raise Refused("the classes must be 0 and 1")
    frame = pd.DataFrame({name: probes[name] for name in features})
    for name in FLAGS & set(features):
        frame[name] = frame[name].astype("int64")
    return [float(row[1]) for row in pipeline.predict_proba(frame)]


def convert(source, probes_file, folder):
    """Do all of it; return what is printed."""
    from importlib.metadata import version  # noqa: PLC0415

    from sklearn.pipeline import Pipeline  # noqa: PLC0415

    probes = json.loads(probes_file.read_text())
    steps = fitted_pipeline(load_as_made(source))
    features = input_columns(steps, set(probes))
    pipeline = Pipeline(steps)
    reasons = []
    original = probabilities(pipeline, features, probes)
    (folder / "original.json").write_text(json.dumps(original))
    for number, graph in enumerate(candidates(pipeline, features, reasons)):
        (folder / ("candidate-%d.onnx" % number)).write_bytes(graph)  # noqa: UP031
    return {
        "features": features,
        "reason": " ".join(reasons[0].split())[:300] if reasons else "",
        "model_type": "imported " + type(pipeline.steps[-1][1]).__name__,
        "libraries": {name: version(name) for name in ("scikit-learn", "skl2onnx", "numpy")},
    }


def main():
    """Run as the module's docstring says."""
    source, probes, folder = map(Path, sys.argv[1:4])
    try:
        result = convert(source, probes, folder)
    except Refused as refusal:
        result = {"error": str(refusal)}
    except Exception as error:  # noqa: BLE001 - unpickling runs foreign code
        result = {"error": "%s: %s" % (type(error).__name__, error)}  # noqa: UP031
    print(json.dumps(result))  # noqa: T201


if __name__ == "__main__":
    main()
