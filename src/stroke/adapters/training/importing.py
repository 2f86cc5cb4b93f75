"""Imports a pickled pipeline: converts it elsewhere, believes only what the graph computes."""

from __future__ import annotations

import json
import math
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stroke.adapters.training import pickle_converter
from stroke.adapters.training.verification import compare, trial_patients, with_engineered
from stroke.application.predictions.trial_patients import TRIAL_PATIENTS
from stroke.domain.errors import ConversionMismatch, InvalidModel, ModelError
from stroke.domain.further import FeatureKind, Further

TOLERANCE: Final = 1e-6

Floats = NDArray[np.float64]
RunConfined = Callable[[Sequence[str], Path], str]
"""Runs a command in a folder within limits and returns what it printed; else ``InvalidModel``."""


# The first candidate is nearly always right; the others are made if it is not.
_CANDIDATES: Final = ((0, 1), (1, 4))
# The folder is first on the path, so that the interpreter finds the copied package there.
_START: Final = (
    "import runpy, sys; sys.path.insert(0, sys.argv.pop(1)); "
    "runpy.run_module('pickle_converter', run_name='__main__', alter_sys=True)"
)


@dataclass(frozen=True, slots=True)
class Pickled:
    """A pickle to import, and what only its author knows of it.

    ``positive`` is the class that is a stroke, ``part`` the name of one model of several in the
    file, ``preprocessor`` another pickle with what comes before the model, and ``python`` the
    interpreter that has the libraries of both (the running one otherwise).
    """

    file: Path
    positive: str | None = None
    part: str | None = None
    preprocessor: Path | None = None
    python: str | None = None

    @property
    def options(self) -> dict[str, str | None]:
        """The options of the converter."""
        before = self.preprocessor
        return {
            "positive": self.positive,
            "part": self.part,
            "preprocessor": None if before is None else str(before.resolve()),
        }


@dataclass(frozen=True, slots=True)
class ImportedModel:
    """A graph that computes what the pickled model computes, to ``difference`` at the worst."""

    graph: bytes
    features: tuple[str, ...]
    model_type: str
    libraries: dict[str, str]
    notes: tuple[str, ...]
    patients: int
    difference: float


def import_pickle(
    pickled: Pickled,
    *,
    run: RunConfined,
    score: Callable[[bytes], Floats],
    may_be_missing: Sequence[str] = (),
    further: Further = (),
) -> ImportedModel:
    """Convert the fitted model in a pickle, which runs the code that the pickle carries.

    ``run`` runs it within limits; ``score`` returns a graph's probabilities ``(N,)`` of
    ``trial_patients()``, of whom some lack what ``may_be_missing``, and all of whom have values of
    the ``further`` features. Raises ``InvalidModel`` when
    there is nothing to convert, when a step cannot be converted (it is named) or a limit is passed,
    and ``ConversionMismatch``, naming the worst case, when no graph is within 1e-6 of the original.
    """
    patients = with_engineered(trial_patients(TRIAL_PATIENTS, may_be_missing, further))
    refusals: list[ModelError] = []
    for first, last in _CANDIDATES:
        said, original, graphs = _converted(pickled, patients, (first, last), further, run)
        for graph in graphs:
            try:
                difference = compare(patients, original, score(graph), tolerance=TOLERANCE)
            except ModelError as refusal:
                refusals.append(refusal)
                continue
            return ImportedModel(
                graph=graph,
                features=tuple(said["features"]),
                model_type=said["model_type"],
                libraries=said["libraries"],
                notes=tuple(said["notes"]),
                patients=len(patients),
                difference=difference,
            )
    if said["reason"]:
        raise InvalidModel(f"skl2onnx cannot convert this pipeline: {said['reason']}")
    nearest = min(refusals, key=_difference)
    raise type(nearest)(
        f"{nearest}; one of its steps is not converted exactly: {', '.join(said['steps'])}"
    )


def _difference(refusal: ModelError) -> float:
    return refusal.difference if isinstance(refusal, ConversionMismatch) else math.inf


def _converted(
    pickled: Pickled,
    patients: pd.DataFrame,
    candidates: tuple[int, int],
    further: Further,
    run: RunConfined,
) -> tuple[dict[str, Any], Floats, list[bytes]]:
    """Return what the converter says, the original's probabilities, and some of its graphs."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        probes, options = folder / "probes.json", folder / "options.json"
        probes.write_text(json.dumps({c: patients[c].tolist() for c in patients.columns}))
        kinds = {
            "text": [each.name for each in further if each.is_text],
            # A gap has no integer.
            "flags": [
                each.name
                for each in further
                if each.kind is FeatureKind.FLAG and not each.may_be_missing
            ],
        }
        options.write_text(json.dumps({**pickled.options, **kinds, "candidates": candidates}))
        said = _run(pickled, folder, [probes, folder, options], run)
        original = np.array(json.loads((folder / "original.json").read_text()))
        graphs = [each.read_bytes() for each in sorted(folder.glob("candidate-*.onnx"))]
    return said, original, graphs


def _run(pickled: Pickled, folder: Path, arguments: list[Path], run: RunConfined) -> dict[str, Any]:
    package = Path(pickle_converter.__file__).parent
    shutil.copytree(package, folder / package.name, ignore=shutil.ignore_patterns("__pycache__"))
    python, file = pickled.python or sys.executable, pickled.file
    command = [python, "-c", _START, *map(str, [folder, file.resolve(), *arguments])]
    try:
        answer = run(command, folder)
        said: dict[str, Any] = json.loads(answer.splitlines()[-1])
    except (IndexError, ValueError):
        raise InvalidModel(f"{python} could not convert {file.name}") from None
    except InvalidModel as refusal:
        raise InvalidModel(f"{file.name}: {refusal}") from None
    if "error" in said:
        raise InvalidModel(f"{file.name}: {said['error']}")
    return said
