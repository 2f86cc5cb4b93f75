"""Tries a graph on random and boundary patients, in a process of its own.

The process is this module, run as
``python -m stroke.adapters.onnx.trial GRAPH FOLDER FILE_BYTES MEMORY_BYTES [MISSING...]``: patients
may lack the measurements MISSING. FOLDER's ``further.json``, if it is there, lists the features
that the graph's model declares. It writes ``probability.npy`` to FOLDER and prints
``{"features": [...]}`` or ``{"error": ...}`` as JSON.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from stroke.adapters.onnx.declared_features import read_further
from stroke.adapters.onnx.graph import Columns, GraphLimits
from stroke.adapters.onnx.model import OnnxRiskModel
from stroke.application.predictions.trial_patients import (
    TRIAL_PATIENTS,
    extreme_patients,
    trial_patients,
)
from stroke.domain.errors import InvalidModel, StrokeError
from stroke.domain.further import Further
from stroke.domain.patient import OPTIONAL

_FURTHER: Final = "further.json"
_ALONE: Final = 16
_EXPLAINED: Final = 128
_SAME: Final = 1e-6

RunConfined = Callable[[Sequence[str], Path], str]
"""Runs a command in a folder within limits and returns what it printed; else ``InvalidModel``."""


@dataclass(frozen=True, slots=True)
class Tried:
    """A graph that scores every trial patient; ``probability`` ``(N,)`` is in their order."""

    features: tuple[str, ...]
    probability: NDArray[np.float64]


class GraphTrial:
    """Tries graphs within the limits of ``run``; this process does not load them."""

    def __init__(self, run: RunConfined, limits: GraphLimits) -> None:
        self._run = run
        self._limits = limits

    def __call__(
        self, content: bytes, may_be_missing: Sequence[str] = (), further: Further = ()
    ) -> Tried:
        """Try the graph that ``content`` is, on patients who lack what ``may_be_missing`` as well.

        They have values of the ``further`` features, or lack those that may be missing.
        Raises ``InvalidModel`` when the contract is broken, when the graph fails or gives no
        probability for a plausible patient, when its answer depends on the other patients of a
        batch or differs between two runs, and when it needs more than the limits.
        """
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            graph = folder / "graph.onnx"
            graph.write_bytes(content)
            if further:
                parts = [each.as_data() for each in further]
                (folder / _FURTHER).write_text(json.dumps(parts))
            command = [sys.executable, "-I", "-m", __name__, str(graph), name]
            limits = [self._limits.file_bytes, self._limits.memory_bytes]
            try:
                answer = self._run([*command, *map(str, limits), *may_be_missing], folder)
                said: dict[str, Any] = json.loads(answer)
                if "error" in said:
                    raise InvalidModel(said["error"])
                return Tried(tuple(said["features"]), np.load(folder / "probability.npy"))
            except (ValueError, KeyError, OSError):
                raise InvalidModel("the trial of the graph gave no result") from None


def score_trial_patients(
    model: OnnxRiskModel, may_be_missing: Sequence[str] = ()
) -> NDArray[np.float64]:
    """Return the probabilities ``(N,)`` of the trial patients. Raises as ``GraphTrial`` says."""
    further = model.description.further
    extremes = extreme_patients(further)
    patients = trial_patients(TRIAL_PATIENTS, may_be_missing, further)
    model.score(_rows(extremes, slice(None, None, len(extremes["age"]) // _EXPLAINED)))
    lacking = np.isnan([patients[name] for name in OPTIONAL]).any(axis=0)
    if lacking.any():
        try:
            model.probability({name: values[lacking] for name, values in patients.items()})
        except InvalidModel as refusal:
            names = " or ".join(may_be_missing)
            raise InvalidModel(
                f"{refusal}, where {names} is missing: leave --may-be-missing out"
            ) from None
    probability = model.probability(patients)
    if not np.array_equal(probability, model.probability(patients)):
        raise InvalidModel("the graph gives the same patients another answer each time")
    for row in range(0, len(probability), len(probability) // _ALONE):
        alone = model.probability(_rows(patients, slice(row, row + 1)))
        if abs(float(alone[0]) - probability[row]) > _SAME:
            raise InvalidModel("the graph's answer depends on the other patients of the batch")
    return probability


def _rows(columns: Columns, rows: slice) -> dict[str, NDArray[Any]]:
    return {name: values[rows] for name, values in columns.items()}


def main() -> None:
    """Run as the module's docstring says."""
    graph, folder = map(Path, sys.argv[1:3])
    file_bytes, memory_bytes = map(int, sys.argv[3:5])
    may_be_missing = sys.argv[5:]
    try:
        # The process as a whole has a limit of time.
        listed = folder / _FURTHER
        further = read_further(listed) if listed.exists() else ()
        limits = GraphLimits(file_bytes, memory_bytes, 1e9)
        served = OnnxRiskModel(graph, limits, further=further)
        np.save(folder / "probability.npy", score_trial_patients(served, may_be_missing))
        said: dict[str, Any] = {"features": served.description.features}
    except MemoryError:
        said = {"error": "the graph needs too much memory (STROKE_MODEL_IMPORT_MEMORY_BYTES)"}
    except StrokeError as refusal:
        said = {"error": str(refusal)}
    print(json.dumps(said))  # noqa: T201


if __name__ == "__main__":
    main()
