"""Trains the default kind of model and writes its artefact, verified row by row."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from stroke.adapters.training.artefact import (
    artefact_files,
    check_free,
    content_version,
    library_versions,
    write_artefact,
)
from stroke.adapters.training.data import LabelledPatients
from stroke.adapters.training.evaluation import BOOTSTRAP_SAMPLES
from stroke.adapters.training.graph import Line, to_onnx
from stroke.adapters.training.histograms import reference_histograms
from stroke.adapters.training.spline_regression import MODEL_TYPE, FittedModel, fit, risk
from stroke.adapters.training.verification import compare, run_graph, trial_patients
from stroke.application.predictions.trial_patients import TRIAL_PATIENTS
from stroke.application.quality.calibration import Floats, logit
from stroke.domain.errors import ConversionMismatch
from stroke.domain.features import RAW_FEATURES
from stroke.domain.patient import OPTIONAL
from stroke.domain.risk import RiskBands

TOLERANCE: Final = 1e-9


def train(
    data: LabelledPatients,
    folder: Path,
    *,
    name: str,
    replace: bool = False,
    samples: int = BOOTSTRAP_SAMPLES,
    progress: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Fit, cross-validate, export, verify, then write ``folder``; return the manifest.

    The same data and library versions give the same graph, byte for byte. Raises
    ``ConversionMismatch`` (and writes nothing) when the graph is not the fitted model.
    """
    check_free(folder, replace=replace)  # now, and not after a minute's work
    fitted = fit(data, samples=samples, progress=progress)
    companions = {missing: each.line for missing, each in fitted.companions.items()}
    graph = to_onnx(fitted.pipeline[0], fitted.full, companions, name)
    verify_export(fitted, graph, pd.concat([data.features, trial_patients(TRIAL_PATIENTS)]))
    manifest = _manifest(name, data, fitted, graph)
    write_artefact(folder, artefact_files(graph, manifest), replace=replace)
    return manifest


def verify_export(fitted: FittedModel, graph: bytes, patients: pd.DataFrame) -> None:
    """Raise ``ConversionMismatch`` unless the graph's probabilities and contributions are right.

    ``patients`` are scored as they are where they lack nothing, and once more as if they lacked
    what each companion is there for.
    """
    lines: dict[tuple[str, ...], Line] = {(): fitted.full}
    lines |= {missing: companion.line for missing, companion in fitted.companions.items()}
    for missing, line in lines.items():
        taken = patients.dropna(subset=[name for name in OPTIONAL if name not in missing])
        taken = taken.assign(**dict.fromkeys(missing, np.nan))
        wanted = (
            risk(line, fitted.pipeline[0].transform(taken))
            if missing
            else fitted.pipeline.predict_proba(taken)[:, 1]
        )
        _verify_variant(graph, taken, wanted, line.intercept)


def _verify_variant(graph: bytes, patients: pd.DataFrame, wanted: Floats, intercept: float) -> None:
    probability, contributions = run_graph(graph, ["probability", "contributions"], patients)
    compare(patients, wanted, probability[:, 0], tolerance=TOLERANCE)
    gap = float(np.abs(contributions.sum(axis=1) + intercept - logit(probability[:, 0])).max())
    if not gap <= TOLERANCE:
        raise ConversionMismatch(f"contributions miss the logit of the probability by {gap:.3g}")


def _manifest(
    name: str, data: LabelledPatients, fitted: FittedModel, graph: bytes
) -> dict[str, Any]:
    version, sha256 = content_version(name, graph)
    return {
        "manifest_version": 1,
        "name": name,
        "version": version,
        "model_type": MODEL_TYPE,
        "sha256": sha256,
        "features": list(RAW_FEATURES),
        "bands": _bands(fitted.bands),
        "reference_patient": fitted.reference_patient,
        "contributions": {
            "columns": list(RAW_FEATURES),
            "intercept": fitted.full.intercept,
        },
        "metrics": fitted.metrics,
        "training": data.facts,
        "libraries": library_versions("numpy", "onnx", "pandas", "scikit-learn", "scipy"),
        "histograms": reference_histograms(
            data.features, fitted.pipeline.predict_proba(data.features)[:, 1]
        ),
        "companions": [
            {
                "missing": list(missing),
                "bands": _bands(each.bands),
                "intercept": each.line.intercept,
                "metrics": each.metrics,
                **({} if each.compared is None else {"compared": each.compared}),
                **({} if each.lacking is None else {"lacking": each.lacking}),
            }
            for missing, each in fitted.companions.items()
        ],
    }


def _bands(bands: RiskBands) -> dict[str, float]:
    return {"medium": bands.medium, "high": bands.high}
