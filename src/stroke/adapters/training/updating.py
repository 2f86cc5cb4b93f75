"""Makes the artefact of an update by outcomes: graph, cross-validated figures and manifest."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Protocol

import numpy as np
import pandas as pd
from sklearn.model_selection import RepeatedStratifiedKFold

from stroke.adapters.training.artefact import content_version, further_part
from stroke.adapters.training.cross_validated import cross_validated
from stroke.adapters.training.data import LabelledPatients
from stroke.adapters.training.fairness import fairness
from stroke.adapters.training.population import comparison_tables
from stroke.adapters.training.recalibrated_graph import (
    CONTRIBUTIONS,
    INTERVAL,
    LEVERAGE,
    PROBABILITIES,
    PROBABILITY,
    design_of,
    outputs_of,
    recalibrated,
)
from stroke.adapters.training.spline_regression import FOLDS, MODEL_TYPE, REPEATS, STEPS
from stroke.adapters.training.trainer import trained
from stroke.adapters.training.uncertainty import NORMAL
from stroke.adapters.training.unseen import unseen_sample
from stroke.adapters.training.verification import compare, run_graph, with_engineered
from stroke.application.models.answers_of_update import RECALIBRATED
from stroke.application.models.recalibration import Evidence, line_for, moved, probability_of
from stroke.application.quality.calibration import Floats, logit
from stroke.application.quality.performance import Minimums, measures
from stroke.domain.drift import SCORE
from stroke.domain.model_update import Method, RecalibrationLine, Update
from stroke.domain.patient import OPTIONAL
from stroke.domain.performance import MEASURES
from stroke.domain.risk import RiskBands

TOLERANCE: Final = 1e-9
WIDENED: Final = "the parent's, widened by the variance of the update (delta method)"
NO_INTERVAL: Final = (
    "none: the parent gives no interval, and that of the update alone would be far too narrow"
)
OF_THE_REFIT: Final = "of the refit itself"


class Trainer(Protocol):
    """Fits a model to patients; ``progress`` is called ``STEPS`` times."""

    def __call__(
        self, data: LabelledPatients, *, name: str, progress: Callable[[], None]
    ) -> tuple[bytes, dict[str, Any]]:
        """Return its graph, and its manifest as JSON has it."""


_SEED: Final = 20260103
_DIGITS: Final = 10
# Beyond it a probability says too little of the log-odds behind it to foretell the new one.
_NEARLY_CERTAIN: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Parent:
    """The model to update: its graph, and its manifest as JSON has it."""

    graph: bytes
    manifest: Mapping[str, Any]

    @property
    def can_be_refitted(self) -> bool:
        """Whether `stroke model train` makes this kind of model."""
        return str(self.manifest["model_type"]).removesuffix(RECALIBRATED) == MODEL_TYPE

    def design(self, features: pd.DataFrame) -> Floats | None:
        """Return what a refit gives coefficients to ``(N, k)``, None for another kind."""
        found: Floats | None = design_of(self.graph, features) if self.can_be_refitted else None
        return found


@dataclass(frozen=True, slots=True)
class Grounds:
    """What an update is made of: its patients, what the parent says of them, and what was chosen.

    ``site`` is the one that a shrunk update is for: ``patients`` are then those of all sites.
    """

    patients: LabelledPatients
    evidence: Evidence
    update: Update
    alpha: float
    site: str | None = None

    @property
    def shrunk_site(self) -> str | None:
        """The site whose intercept is drawn towards that of all, if one is."""
        return None if self.update.shrinkage is None else self.site


def steps(update: Update) -> int:
    """Return how often ``updated`` calls its ``progress``."""
    return STEPS if update.method is Method.REFIT else FOLDS * REPEATS


def updated(
    parent: Parent,
    grounds: Grounds,
    *,
    name: str,
    keep_bands: bool = False,
    progress: Callable[[], None] = lambda: None,
    train: Trainer = trained,
) -> tuple[bytes, dict[str, Any]]:
    """Return the graph and the manifest of the updated model.

    A refit is what ``train`` makes of the patients: what `stroke model train` makes. Otherwise the
    parent's graph is wrapped, and the manifest keeps what does not depend on the line. Risk
    categories begin where the same patients are in them, or with ``keep_bands`` at the same risks.
    Raises ``InvalidModel`` for a graph that cannot be wrapped.
    """
    origin = _origin(parent, grounds)
    if grounds.update.method is Method.REFIT:
        graph, manifest = train(grounds.patients, name=name, progress=progress)
        bands = RiskBands(**manifest["bands"])
        return graph, manifest | {
            "updated": origin
            | {"interval": OF_THE_REFIT, "before": _before(grounds, bands, parent)}
        }
    line = grounds.update.line
    graph = recalibrated(parent.graph, line)
    version, sha256 = content_version(name, graph)
    kept = RecalibrationLine() if keep_bands else line
    known = parent.manifest
    made: dict[str, Any] = {
        **known,
        "name": name,
        "version": version,
        "sha256": sha256,
        "model_type": str(known["model_type"]).removesuffix(RECALIBRATED) + RECALIBRATED,
        "bands": _moved_bands(known["bands"], kept),
        "histograms": _moved_histograms(known.get("histograms") or {}, line),
        "interval_check": None,  # it was of the parent's refits
        "comparison": _comparison(known.get("comparison"), graph, line, grounds.patients),
        **further_part(grounds.patients.further),
    }
    if described := known.get("contributions"):
        made["contributions"] = {
            **described,
            "intercept": _moved(line, described["intercept"]),
        }
    unseen = _unseen(grounds, progress)
    bands = RiskBands(**made["bands"])
    made |= _measured(grounds, unseen, bands)
    made["companions"] = [
        _companion({"bands": known["bands"], **_set(each)}, line, kept, grounds, unseen)
        for each in known.get("companions") or ()
    ]
    interval = WIDENED if INTERVAL in outputs_of(graph) else NO_INTERVAL
    made["updated"] = origin | {
        "intercept": line.intercept,
        "slope": line.slope,
        "covariance": [list(row) for row in line.covariance],
        "interval": interval,
        "before": _before(grounds, RiskBands(**known["bands"]), parent),
    }
    return graph, made


def verify_probabilities(
    line: RecalibrationLine, before: Floats, after: Floats, patients: pd.DataFrame
) -> float:
    """Return how far the new probabilities ``(N,)`` are from the moved ones at the most.

    Where the parent is all but certain the new probability must be at least as far out as that of
    the last patient who is not. Raises ``ConversionMismatch``, naming the worst patient.
    """
    least, most = _NEARLY_CERTAIN, 1 - _NEARLY_CERTAIN
    ends = probability_of(moved(line, logit(np.array([least, most]))))
    wanted = probability_of(moved(line, logit(before)))
    wanted = np.where(before <= least, np.minimum(after, ends[0]), wanted)
    wanted = np.where(before >= most, np.maximum(after, ends[1]), wanted)
    return compare(patients, wanted, after, tolerance=TOLERANCE)


def verify_parts(
    parent: bytes, graph: bytes, line: RecalibrationLine, patients: pd.DataFrame
) -> None:
    """Raise ``ConversionMismatch`` unless contributions, interval and leverage are right.

    What the parent does not give is not looked at. Where the parent or an end of its interval is
    all but certain, the new interval must hold the new risk.
    """
    patients = with_engineered(patients)
    given = outputs_of(graph)
    for name, factor in ((CONTRIBUTIONS, line.slope), (LEVERAGE, 1.0)):
        if name in given:
            before, after = (
                run_graph(each, [name], patients)[0].astype(np.float64) for each in (parent, graph)
            )
            for column in range(after.shape[1]):
                compare(patients, factor * before[:, column], after[:, column], tolerance=TOLERANCE)
    if INTERVAL in given:
        answer = next(name for name in PROBABILITIES if name in outputs_of(parent))
        risk, ends = (
            each.reshape(len(patients), -1).astype(np.float64)
            for each in run_graph(parent, [answer, INTERVAL], patients)
        )
        after, new = run_graph(graph, [INTERVAL, PROBABILITY], patients)
        wanted = _interval(line, logit(risk[:, -1]), logit(ends))
        known = np.column_stack([risk[:, -1], ends])
        far = (known <= _NEARLY_CERTAIN) | (known >= 1 - _NEARLY_CERTAIN)
        held = np.column_stack([np.minimum(after[:, :1], new), np.maximum(after[:, 1:], new)])
        wanted = np.where(far.any(axis=1, keepdims=True), held, wanted)
        for end in (0, 1):
            compare(patients, wanted[:, end], after[:, end], tolerance=TOLERANCE)


def _interval(line: RecalibrationLine, log_odds: Floats, ends: Floats) -> Floats:
    half = line.slope * (ends[:, 1] - ends[:, 0]) / 2
    (first, both), (_, last) = line.covariance
    variance = first + 2 * both * log_odds + last * log_odds**2
    half = np.sqrt(half**2 + NORMAL**2 * np.maximum(variance, 0))
    at = moved(line, log_odds)
    return probability_of(np.column_stack([at - half, at + half]))


def _origin(parent: Parent, grounds: Grounds) -> dict[str, Any]:
    update = grounds.update
    return {
        "parent": parent.manifest["version"],
        "parent_sha256": parent.manifest["sha256"],
        "method": update.method.value,
        "data_sha256": grounds.patients.sha256,
        "patients": update.patients,
        "strokes": update.strokes,
        "site": grounds.site,
        "alpha": grounds.alpha,
        "tests": [asdict(test) for test in update.tests],
        "left_out": list(update.left_out),
        "shrinkage": None if update.shrinkage is None else asdict(update.shrinkage),
    }


def _judged(grounds: Grounds) -> Any:
    """Return which patients the model is for: all, or those of a shrunk site."""
    if grounds.shrunk_site is None:
        return np.ones(len(grounds.evidence), np.bool_)
    return grounds.evidence.site == grounds.shrunk_site


def _unseen(grounds: Grounds, progress: Callable[[], None]) -> Floats | None:
    """Return each patient's mean probability over lines that had not seen them.

    The method is not chosen anew: 5 times 5-fold. None where too few patients could be judged by
    it.
    """
    evidence, update = grounds.evidence, grounds.update
    if not Minimums().are_met(evidence.outcome[_judged(grounds)]):
        return None
    method = update.method if update.shrinkage is None else update.shrinkage.method
    folds = RepeatedStratifiedKFold(n_splits=FOLDS, n_repeats=REPEATS, random_state=_SEED)
    total = np.zeros(len(evidence))
    for seen, unseen in folds.split(total, evidence.outcome):
        line = line_for(method, evidence.at(seen), grounds.shrunk_site)
        total[unseen] += probability_of(moved(line, evidence.log_odds[unseen]))
        progress()
    mean: Floats = total / REPEATS
    return mean


def _measured(grounds: Grounds, unseen: Floats | None, bands: RiskBands) -> dict[str, Any]:
    """Return metrics, gaps and curves; nothing where nothing could be judged."""
    if unseen is None:
        return {"metrics": {}, "fairness": [], "cross_validated": None}
    rows = _judged(grounds)
    data = grounds.patients.at(rows)
    return {
        "metrics": _metrics(data, unseen[rows], bands),
        "fairness": fairness(data, unseen[rows], bands),
        "cross_validated": cross_validated(data, unseen[rows], bands),
    }


def _before(grounds: Grounds, bands: RiskBands, parent: Parent) -> dict[str, Any]:
    """Return the parent's measures on the same patients, if it has not learned from these data."""
    rows = _judged(grounds)
    data = grounds.patients.at(rows)
    # They would look better than they are.
    learned = {
        (parent.manifest.get(name) or {}).get(key)
        for name, key in (("training", "sha256"), ("updated", "data_sha256"))
    }
    if data.sha256 in learned or not Minimums().are_met(data.outcome):
        return {}
    return _metrics(data, probability_of(grounds.evidence.log_odds[rows]), bands)


def _metrics(data: LabelledPatients, risk: Floats, bands: RiskBands) -> dict[str, Any]:
    found = measures(unseen_sample(data, risk, bands))
    return {
        name: {part: float(value) for part, value in found[measure]._asdict().items()}
        for measure, each in MEASURES.items()
        if (name := each.in_manifest) is not None and measure in found
    }


def _companion(
    known: Mapping[str, Any],
    line: RecalibrationLine,
    kept: RecalibrationLine,
    grounds: Grounds,
    unseen: Floats | None,
) -> dict[str, Any]:
    """Return a companion whose log-odds were moved, with figures where enough patients were its.

    What was lost in AUC stays: a line keeps every ranking.
    """
    bands = _moved_bands(known["bands"], kept)
    made: dict[str, Any] = {"missing": list(known["missing"]), "bands": bands}
    if known.get("intercept") is not None:
        made["intercept"] = _moved(line, known["intercept"])
    if known.get("compared") is not None:
        made["compared"] = known["compared"]
    if unseen is not None:
        rows = _judged(grounds) & _who_lack(grounds.patients.features, known["missing"])
        if Minimums().are_met(grounds.patients.outcome[rows]):
            made["metrics"] = _metrics(grounds.patients.at(rows), unseen[rows], RiskBands(**bands))
    return made


def _set(known: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is known, without the names of what is not."""
    return {name: value for name, value in known.items() if value is not None}


def _who_lack(features: pd.DataFrame, missing: Sequence[str]) -> Any:
    absent = features[list(OPTIONAL)].isna()
    return (absent == [name in missing for name in OPTIONAL]).all(axis=1).to_numpy()


def _comparison(
    known: Mapping[str, Any] | None,
    graph: bytes,
    line: RecalibrationLine,
    patients: LabelledPatients,
) -> dict[str, Any] | None:
    """Return the tables of averages anew: those whom the parent was trained on are not here."""
    if known is None:
        return None

    def score(people: pd.DataFrame) -> Floats:
        probability: Floats = run_graph(graph, [PROBABILITY], people)[0][:, 0]
        return probability

    reference = [line.slope * each for each in known["reference_log_odds"]]
    return comparison_tables(patients.features, score, reference)


def _moved_bands(bands: Mapping[str, float], line: RecalibrationLine) -> dict[str, float]:
    if line.is_identity:
        return dict(bands)
    return {name: _portable(_moved_risk(line, value)) for name, value in bands.items()}


def _moved_histograms(histograms: Mapping[str, Any], line: RecalibrationLine) -> dict[str, Any]:
    """Return the histograms with the score's cuts moved: its shares stay."""
    return {
        name: {**each, "cuts": [_portable(_moved_risk(line, cut)) for cut in each["cuts"]]}
        if name == SCORE
        else each
        for name, each in histograms.items()
    }


def _moved_risk(line: RecalibrationLine, risk: float) -> float:
    return float(probability_of(moved(line, logit(np.array([risk]))))[0])


def _moved(line: RecalibrationLine, log_odds: float) -> float:
    return line.intercept + line.slope * log_odds


def _portable(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
