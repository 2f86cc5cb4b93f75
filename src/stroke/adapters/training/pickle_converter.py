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
    steps = found.steps if hasattr(found, "steps") else [("classifier", found)]
    return [step for step in steps if step[1] != "passthrough" and not resamples(step[1])]


def resamples(step):
    """SMOTE and its kind change training data only; they take no part in a prediction."""
    return hasattr(step, "fit_resample")


def input_columns(pipeline, known):
    """Return the columns that the pipeline was fitted with; refuse what no patient has."""
    names = getattr(pipeline, "feature_names_in_", None)
    if names is None:
        raise Refused("the pipeline does not say which columns it takes: fit it on a DataFrame")
    unknown = [str(name) for name in names if name not in known]
    if unknown:
        raise Refused("the pipeline takes unknown features: " + ", ".join(unknown))
    return [str(name) for name in names]


def candidates(pipeline, features):
    """Yield graphs, the most exact types of inputs first; which one is right is found by use."""
    from skl2onnx import convert_sklearn  # noqa: PLC0415
    from skl2onnx.common.data_types import (  # noqa: PLC0415
        DoubleTensorType,
        FloatTensorType,
        Int64TensorType,
        StringTensorType,
    )

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
            try:
                yield convert_sklearn(
                    pipeline,
                    initial_types=types,
                    options={id(pipeline.steps[-1][1]): {"zipmap": False}},
                ).SerializeToString()
            except Exception as error:  # noqa: BLE001 - converters raise whatever they meet
                print("%s: %s" % (type(error).__name__, error), file=sys.stderr)  # noqa: T201, UP031


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
    found = load(source)
    pipeline = Pipeline(fitted_pipeline(found))
    features = input_columns(pipeline, set(probes))
    original = probabilities(pipeline, features, probes)
    (folder / "original.json").write_text(json.dumps(original))
    for number, graph in enumerate(candidates(pipeline, features)):
        (folder / ("candidate-%d.onnx" % number)).write_bytes(graph)  # noqa: UP031
    return {
        "features": features,
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
