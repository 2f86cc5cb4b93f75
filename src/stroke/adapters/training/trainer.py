"""Trains the default kind of model and writes its artefact, verified row by row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pandas as pd

from stroke.adapters.training.artefact import (
    PROVENANCE,
    artefact_files,
    content_version,
    further_part,
    library_versions,
    provenance,
)
from stroke.adapters.training.data import LabelledPatients
from stroke.adapters.training.evaluation import BOOTSTRAP_SAMPLES
from stroke.adapters.training.graph import Spread, to_onnx
from stroke.adapters.training.histograms import reference_histograms
from stroke.adapters.training.population import (
    comparison_tables,
    population_counts,
    reference_people,
    support_tables,
)
from stroke.adapters.training.spline_regression import MODEL_TYPE, FittedModel, fit, risk
from stroke.adapters.training.uncertainty import REFITS, interval, leverages
from stroke.adapters.training.verification import compare, run_graph, trial_patients
from stroke.application.predictions.trial_patients import TRIAL_PATIENTS
from stroke.application.quality.calibration import Floats, logit
from stroke.domain.comparison import REFERENCE_VALUES
from stroke.domain.errors import ConversionMismatch
from stroke.domain.features import RAW_FEATURES
from stroke.domain.patient import OPTIONAL
from stroke.domain.risk import RiskBands

TOLERANCE: Final = 1e-9


def train(
    data: LabelledPatients,
    write: Callable[[dict[str, bytes]], object],
    *,
    name: str,
    samples: int = BOOTSTRAP_SAMPLES,
    refits: int = REFITS,
    progress: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Fit, cross-validate, export, verify, then ``write`` the files; return the manifest.

    ``samples`` and ``refits`` are the sizes of the bootstraps: see ``fit``.

    The same data and library versions give the same graph, byte for byte. Raises
    ``ConversionMismatch`` (and writes nothing) when the graph is not the fitted model.
    """
    graph, manifest = trained(data, name=name, samples=samples, refits=refits, progress=progress)
    files = artefact_files(graph, manifest)
    files[PROVENANCE] = provenance("labelled data", data.sha256)
    write(files)
    return manifest


def trained(
    data: LabelledPatients,
    *,
    name: str,
    samples: int = BOOTSTRAP_SAMPLES,
    refits: int = REFITS,
    progress: Callable[[], None] = lambda: None,
) -> tuple[bytes, dict[str, Any]]:
    """Fit, cross-validate, export and verify; return the graph and its manifest.

    Raises ``ConversionMismatch`` when the graph is not the fitted model.
    """
    fitted = fit(data, samples=samples, refits=refits, progress=progress)
    companions = {missing: each.line for missing, each in fitted.companions.items()}
    graph = to_onnx(fitted.pipeline[0], fitted.full, companions, name, fitted.spread)
    tried = trial_patients(TRIAL_PATIENTS, further=data.further)
    verify_export(fitted, graph, pd.concat([data.features, tried]))
    return graph, _manifest(name, data, fitted, graph)


def verify_export(fitted: FittedModel, graph: bytes, patients: pd.DataFrame) -> None:
    """Raise ``ConversionMismatch`` unless the graph's probabilities and contributions are right.

    ``patients`` are scored as they are where they lack nothing, and once more as if they lacked
    what each companion is there for.
    """
    for missing, line in fitted.lines.items():
        taken = patients.dropna(subset=[name for name in OPTIONAL if name not in missing])
        taken = taken.assign(**dict.fromkeys(missing, np.nan))
        wanted = (
            risk(line, fitted.pipeline[0].transform(taken))
            if missing
            else fitted.pipeline.predict_proba(taken)[:, 1]
        )
        _verify_variant(graph, taken, wanted, line.intercept)
        if fitted.spread is not None:
            _verify_spread(graph, fitted, fitted.spread, taken, missing)


def _verify_spread(
    graph: bytes,
    fitted: FittedModel,
    spread: Spread,
    patients: pd.DataFrame,
    missing: tuple[str, ...],
) -> None:
    matrix = fitted.pipeline[0].transform(patients)
    ends, leverage = run_graph(graph, ["interval", "leverage"], patients)
    wanted = interval(fitted.lines[missing], spread.factors[missing], matrix)
    for end in (0, 1):
        compare(patients, wanted[:, end], ends[:, end], tolerance=TOLERANCE)
    compare(patients, leverages(spread.hat, matrix), leverage[:, 0], tolerance=TOLERANCE)


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

    def score(patients: pd.DataFrame) -> Floats:
        return run_graph(graph, ["probability"], patients)[0][:, 0]

    return {
        "manifest_version": 1,
        "name": name,
        "version": version,
        "model_type": MODEL_TYPE,
        "sha256": sha256,
        "features": list(data.names),
        "bands": _bands(fitted.bands),
        "reference_patient": fitted.reference_patient,
        "contributions": {
            "columns": list(data.names),
            "intercept": fitted.full.intercept,
        },
        "metrics": fitted.metrics,
        "training": {**data.facts, "counts": population_counts(data)},
        "libraries": library_versions("numpy", "onnx", "pandas", "scikit-learn", "scipy"),
        "histograms": reference_histograms(
            data.features, fitted.pipeline.predict_proba(data.features)[:, 1], data.further
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
        "interval_check": fitted.interval_check,
        "fairness": fitted.fairness,
        "cross_validated": fitted.cross_validated,
        "support": support_tables(
            data.features, run_graph(graph, ["leverage"], data.features)[0][:, 0]
        ),
        "comparison": comparison_tables(
            data.features, score, _reference_log_odds(graph, fitted, data.features)
        ),
        **further_part(data.further),
    }


def _reference_log_odds(graph: bytes, fitted: FittedModel, features: pd.DataFrame) -> list[float]:
    """Return what the reference values contribute in each variant of the model, in log-odds."""
    changed = [list(RAW_FEATURES).index(name) for name in REFERENCE_VALUES]
    person = reference_people(features)
    return [
        float(
            run_graph(graph, ["contributions"], person.assign(**dict.fromkeys(missing, np.nan)))[0][
                0, changed
            ].sum()
        )
        for missing in fitted.lines
    ]


def _bands(bands: RiskBands) -> dict[str, float]:
    return {"medium": bands.medium, "high": bands.high}
