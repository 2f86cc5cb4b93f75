"""Imports a pickled pipeline: converts it elsewhere, believes only what the graph computes."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from stroke.adapters.training import pickle_converter
from stroke.adapters.training.verification import (
    compare,
    probe_patients,
    run_graph,
    with_engineered,
)
from stroke.domain.errors import ConversionMismatch, InvalidModel

TOLERANCE: Final = 1e-6
PROBES: Final = 5_000


@dataclass(frozen=True, slots=True)
class ImportedModel:
    """A graph that computes what the pickled pipeline computes, to ``difference`` at the worst."""

    graph: bytes
    features: tuple[str, ...]
    model_type: str
    libraries: dict[str, str]
    patients: int
    difference: float


def import_pickle(source: Path, *, python: str | None = None) -> ImportedModel:
    """Convert the fitted pipeline in ``source``, which runs the code that the pickle carries.

    ``python`` names the interpreter that has the libraries it was made with; the running one
    otherwise. Raises ``InvalidModel`` when there is nothing to convert, and
    ``ConversionMismatch``, naming the worst case, when no graph is within 1e-6 of the original.
    """
    patients = with_engineered(probe_patients(PROBES))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        probes = folder / "probes.json"
        probes.write_text(json.dumps({c: patients[c].tolist() for c in patients.columns}))
        said = _run(python or sys.executable, source, probes, folder)
        original = np.array(json.loads((folder / "original.json").read_text()))
        graphs = [each.read_bytes() for each in sorted(folder.glob("candidate-*.onnx"))]
    if not graphs:
        raise InvalidModel(f"skl2onnx cannot convert this pipeline: {said['reason']}")
    refusals: list[ConversionMismatch] = []
    for graph in graphs:
        try:
            difference = compare(
                patients,
                original,
                _positive(run_graph(graph, ["probabilities"], patients)[0]),
                tolerance=TOLERANCE,
            )
        except ConversionMismatch as refusal:
            refusals.append(refusal)
            continue
        return ImportedModel(
            graph=graph,
            features=tuple(said["features"]),
            model_type=said["model_type"],
            libraries=said["libraries"],
            patients=len(patients),
            difference=difference,
        )
    raise min(refusals, key=lambda refusal: refusal.difference)


def _positive(probabilities: Any) -> Any:
    return probabilities[:, -1].astype(np.float64)


def _run(python: str, source: Path, probes: Path, folder: Path) -> dict[str, Any]:
    try:
        done = subprocess.run(  # noqa: S603 - the user names the interpreter
            [python, pickle_converter.__file__, str(source), str(probes), str(folder)],
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError as error:
        raise InvalidModel(f"{python} cannot be run") from error
    try:
        said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        raise InvalidModel(f"{python} could not convert {source.name}") from None
    if "error" in said:
        raise InvalidModel(f"{source.name}: {said['error']}")
    return said
