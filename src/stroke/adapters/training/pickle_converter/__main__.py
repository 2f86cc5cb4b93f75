"""Runs as ``python -m pickle_converter PICKLE PROBES.json FOLDER OPTIONS.json``.

PROBES.json maps each known feature to a list of values. OPTIONS.json may name the class that is a
stroke (``positive``), one model of several (``part``) and a file with what comes before the model
(``preprocessor``); which features of the model's own are texts and flags (``text``, ``flags``); it
says which of the candidates to make (``candidates``: from, to). Writes ``candidate-*.onnx`` and
``original.json``, the model's probabilities of the probes, to FOLDER, and prints one JSON object:
what is known of the model, or ``{"error": ...}``.
"""

import json
import sys
from itertools import islice
from pathlib import Path

from .assembling import assembled, listed_names
from .columns import FLAGS, TEXT, names_of, used_columns
from .finding import find_model, load, parts_of, positive_class
from .refusals import Refused


def candidates(model, names, positive, reasons):
    """Yield graphs, the most exact types of inputs first; which one is right is found by use.

    Why there is no graph of some types is added to ``reasons``.
    """
    from onnx import TensorProto
    from skl2onnx.common.data_types import (
        DoubleTensorType,
        FloatTensorType,
        Int64TensorType,
        StringTensorType,
    )

    from .heads import Heads, Patients
    from .own_converters import register
    from .writing import Writer

    register()
    numbers = {
        DoubleTensorType: TensorProto.DOUBLE,
        FloatTensorType: TensorProto.FLOAT,
        Int64TensorType: TensorProto.INT64,
        StringTensorType: TensorProto.STRING,
    }
    for number in (DoubleTensorType, FloatTensorType):
        for flag in (number, Int64TensorType):
            types = {
                name: StringTensorType if name in TEXT else flag if name in FLAGS else number
                for name in names
            }
            used = used_columns(model, names)
            writer = Writer()
            try:
                probability = Heads(writer).probability(model, Patients(names, types))
                if positive == 0:
                    probability = writer.affine(probability, -1.0, 1.0)
                inputs = {name: numbers[types[name]] for name in names if name in used}
                yield writer.model(inputs, probability)
            except Refused as refusal:
                reasons.append(str(refusal))


def original_probabilities(model, names, used, probes, positive):
    """Return the original's probabilities of a stroke."""
    import pandas as pd

    count = len(probes["age"])
    # A column that is not used may be one that no patient has: an id.
    frame = pd.DataFrame({name: probes.get(name, [0] * count) for name in names})
    for name in FLAGS & set(names):
        frame[name] = frame[name].astype("int64")
    try:
        return [float(row[positive]) for row in model.predict_proba(frame)]
    except ValueError as error:
        if "unknown categories" in str(error) or "unseen labels" in str(error):
            raise Refused(
                "it fails for categories that patients have (%s): fit it with "
                "handle_unknown='ignore', or on patients of every category" % error
            ) from None
        if "NaN" in str(error):
            raise Refused(
                "it fails for patients who lack a measurement: put a SimpleImputer before the "
                "classifier and fit both, or leave --may-be-missing out"
            ) from None
        text = sorted(TEXT & used)
        if text and "could not convert string to float" in str(error):
            raise Refused(
                "the model takes %s as numbers: they were encoded outside of it. Put a "
                "ColumnTransformer with OneHotEncoder or OrdinalEncoder and the classifier into "
                "one Pipeline, fit that, and import it" % " and ".join(text)
            ) from None
        raise


def notes_on(model):
    """Return what to say of a threshold that a wrapper sets: a risk category is not a threshold."""
    from .columns import inner_models

    threshold = getattr(model, "best_threshold_", getattr(model, "threshold", None))
    if isinstance(threshold, float):
        return ["its threshold %.4g decides nothing here: set --medium and --high" % threshold]
    return [note for inner in inner_models(model)[:1] for note in notes_on(inner)]


def steps_of(model):
    """Return the steps' names with their classes, for a message."""
    from .columns import children, inner_models, takes_part

    steps = []
    for name, step in children(model):
        if takes_part(step):
            steps += steps_of(step) if children(step) else [name + " (" + type(step).__name__ + ")"]
    for inner in inner_models(model)[:1]:
        steps += steps_of(inner)
    return steps or [type(model).__name__]


def classifier_of(model):
    """Return the innermost classifier's class name, for the description."""
    from .columns import inner_models

    if hasattr(model, "steps"):
        return classifier_of(model.steps[-1][1])
    if hasattr(model, "scaled"):
        return classifier_of(model.model)
    kind = type(model).__name__
    inner = inner_models(model)
    wraps = hasattr(model, "calibrated_classifiers_") or kind in {
        "VotingClassifier",
        "StackingClassifier",
    }
    if inner and not wraps:
        return classifier_of(inner[0])
    return kind


def convert(source, probes_file, folder, options):
    """Do all of it; return what is printed."""
    from importlib.metadata import PackageNotFoundError, version

    probes = json.loads(probes_file.read_text())
    TEXT.update(options.get("text", []))
    FLAGS.update(options.get("flags", []))
    found = load(source)
    model, beside = find_model(found, options.get("part"))
    if options.get("preprocessor"):
        before = parts_of(load(Path(options["preprocessor"])), "preprocessor")
        beside = [each for each in before if hasattr(each[1], "transform")] + beside
    names = listed_names(found, getattr(model, "n_features_in_", 0))
    notes = notes_on(model)
    model = assembled(model, beside, names)
    names = names_of(model)
    used = used_columns(model, names)
    unknown = sorted(used - set(probes))
    if unknown:
        raise Refused(
            "the pipeline takes unknown features: %s (--features declares those of its own)"
            % ", ".join(unknown)
        )
    positive = positive_class(model.classes_, options.get("positive"))
    original = original_probabilities(model, names, used, probes, positive)
    (folder / "original.json").write_text(json.dumps(original))
    reasons = []
    chosen = islice(candidates(model, names, positive, reasons), *options["candidates"])
    for number, graph in enumerate(chosen):
        (folder / ("candidate-%d.onnx" % number)).write_bytes(graph)
    libraries = {}
    for name in ("scikit-learn", "skl2onnx", "numpy", "xgboost", "lightgbm", "catboost"):
        try:
            libraries[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        "features": [name for name in names if name in used],
        "reason": " ".join(reasons[0].split())[:400] if reasons else "",
        "model_type": "imported " + classifier_of(model),
        "libraries": libraries,
        "notes": notes,
        "steps": steps_of(model),
    }


def main():
    """Run as the module's docstring says."""
    source, probes, folder, options = map(Path, sys.argv[1:5])
    try:
        result = convert(source, probes, folder, json.loads(options.read_text()))
    except Refused as refusal:
        result = {"error": str(refusal)}
    except MemoryError:
        result = {"error": "it needs too much memory (STROKE_MODEL_IMPORT_MEMORY_BYTES)"}
    except Exception as error:  # noqa: BLE001 - unpickling runs foreign code
        result = {"error": "%s: %s" % (type(error).__name__, " ".join(str(error).split())[:300])}
    print(json.dumps(result))  # noqa: T201


if __name__ == "__main__":
    main()
