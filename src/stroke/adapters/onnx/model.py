"""The served model: an ONNX graph and its manifest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from stroke.adapters.onnx.comparison import Comparisons
from stroke.adapters.onnx.declared_features import DeclaredFeature
from stroke.adapters.onnx.further_columns import completed, values_getter
from stroke.adapters.onnx.graph import Certainty, Columns, Graph, GraphLimits
from stroke.adapters.onnx.manifest import GRAPH, IMPORTED_BANDS, MANIFEST, Manifest, read_manifest
from stroke.adapters.onnx.manifest_parts import Bands
from stroke.adapters.onnx.shapley import MOST_EXPLAINED, shapley_values
from stroke.adapters.onnx.support import SupportRules
from stroke.application.predictions.columnar import (
    ColumnarRiskModel,
    Risks,
    ScoreContext,
    Scores,
)
from stroke.application.predictions.patient_columns import columns_of
from stroke.application.predictions.ports import RiskModel
from stroke.domain.comparison import UNCHANGEABLE, Comparison
from stroke.domain.errors import InvalidModel, InvalidPatient, ModelNotFound
from stroke.domain.features import DERIVED_FROM, RAW_FEATURES
from stroke.domain.further import Further, values_of
from stroke.domain.patient import OPTIONAL, Patient, extended, lacking
from stroke.domain.risk import (
    Contribution,
    Interval,
    ModelDescription,
    RiskAssessment,
    RiskCategory,
)
from stroke.domain.support import Support

_CATEGORIES: Final = tuple(RiskCategory)
# A foreign model may answer 0 or 1 exactly, whose log-odds are infinite: they count as this far.
_CERTAIN: Final = 1e-12
_SOURCES: Final = {
    "age_group": ("age",),
    "age_hypertension": ("age", "hypertension"),
    **{name: (source,) for name, source in DERIVED_FROM.items()},
}
# A named tuple's own name is a function in Python: for all features of all patients it is slow.
_contribution: Final = partial(tuple.__new__, Contribution)
_interval: Final = partial(tuple.__new__, Interval)
_NOT_HELD: Final = "the graph gives a probability that lies out of its interval"


class OnnxRiskModel(RiskModel, ColumnarRiskModel):
    """Serves the artefact at ``path``: a folder with graph and manifest, or a bare ``.onnx`` file.

    ``signed`` gives the sha256 that graph and manifest must have, by the names of their files.
    ``further`` are the features that a bare graph may take beyond the known ones. Raises
    ``ModelNotFound``, or ``InvalidModel`` saying which part of the contract is broken.
    """

    def __init__(
        self,
        path: Path,
        limits: GraphLimits | None = None,
        *,
        signed: Mapping[str, str] | None = None,
        further: Further = (),
    ) -> None:
        limits = limits or GraphLimits()
        content = read_graph(path / GRAPH if path.is_dir() else path, limits)
        sha256 = hashlib.sha256(content).hexdigest()
        signed = signed or {}
        if signed.get(GRAPH, sha256) != sha256:
            raise InvalidModel(f"{path}: the graph is not the one that was signed")
        manifest = read_manifest(path, sha256=signed.get(MANIFEST)) if path.is_dir() else None
        if manifest is not None and manifest.sha256 != sha256:
            raise InvalidModel(f"{path}: the graph is not the one that the manifest describes")
        if manifest is not None:
            further = manifest.description.further
        self._graph = Graph(content, limits, further)
        self.manifest = manifest or _manifest_of_bare_graph(path, sha256, self._graph, further)
        if set(self.manifest.features) != set(self._graph.features):
            raise InvalidModel(f"{path}: the graph takes other features than the manifest says")
        self._description = self.manifest.description
        self._variants = self._description.variants
        self._place = _places([variant.missing for variant in self._variants])
        self._further = self._description.further
        self._patient = {name: self.manifest.reference_patient[name] for name in RAW_FEATURES}
        self._reference = self._patient | {each.name: each.reference for each in self._further}
        self._explain_by_graph()
        self._read_tables()
        self._check_reference_patient()

    @property
    def description(self) -> ModelDescription:
        return self._description

    def assess(self, patients: Sequence[Patient]) -> list[RiskAssessment]:
        if not patients:
            return []  # not every graph runs on no rows
        scores, certainty = self._run(columns_of(patients, self._further), certain=True)
        strongest = np.argsort(-np.abs(scores.log_odds), axis=1, kind="stable").tolist()
        names = scores.features
        values_of = values_getter(names, self._further)
        missing_of = [variant.missing for variant in self._variants]
        accuracy_of = [variant.accuracy for variant in self._variants]
        probability, parts = scores.probability.tolist(), scores.log_odds.tolist()
        baseline, variant = scores.baseline_log_odds.tolist(), scores.variant.tolist()
        nothing: list[None] = [None] * len(patients)
        interval: Iterable[Interval | None] = nothing
        support: Sequence[Support | None] = nothing
        comparison: Sequence[Comparison | None] = nothing
        if certainty is not None:
            interval = map(_interval, certainty.interval.tolist())
            if self._support is not None:
                support = self._support.of_patients(patients, certainty.leverage.tolist())
        if self._comparisons is not None:
            comparison = self._comparisons.of_patients(
                patients, probability, self._kept_of(baseline, parts), variant
            )
        try:
            return [
                RiskAssessment(
                    of_one,
                    _CATEGORIES[category],
                    tuple([_contribution((names[i], values[i], added[i])) for i in order]),
                    base,
                    missing_of[chosen],
                    accuracy_of[chosen],
                    ends,
                    supported,
                    compared,
                )
                for (
                    values,
                    of_one,
                    category,
                    added,
                    order,
                    base,
                    chosen,
                    ends,
                    supported,
                    compared,
                ) in zip(
                    map(values_of, patients),
                    probability,
                    scores.categories(self._description).tolist(),
                    parts,
                    strongest,
                    baseline,
                    variant,
                    interval,
                    support,
                    comparison,
                    strict=True,
                )
            ]
        except ValueError:
            raise InvalidModel(_NOT_HELD) from None

    def score(self, columns: Columns, *, context: bool = False) -> Scores:
        scores, certainty = self._run(columns, certain=context)
        if not context:
            return scores
        if certainty is not None:
            low, high = certainty.interval.T
            held = (low >= 0) & (low <= scores.probability) & (scores.probability <= high)
            if not (held & (high <= 1)).all():
                raise InvalidModel(_NOT_HELD)
        return replace(scores, context=self._context(columns, scores, certainty))

    def risks(self, columns: Columns) -> Risks:
        if self._further:
            columns = completed(columns, self._further)
        variant = self._variant(columns)
        return Risks(self._graph.probability(columns), variant)

    def _run(self, columns: Columns, *, certain: bool) -> tuple[Scores, Certainty | None]:
        """Return the scores without their context, and if wanted how sure the graph is of them."""
        if self._further:
            columns = completed(columns, self._further)
        variant = self._variant(columns)
        certainty: Certainty | None = None
        if certain and self._graph.is_certain:
            probability, contributions, certainty = self._graph.run_with_certainty(columns)
        else:
            probability, contributions = self._graph.run(columns)
        if contributions is not None and self._of_feature is not None:
            parts = contributions @ self._of_feature if self._summed else contributions
            names, baseline = self._explained, self._intercepts[variant]
        else:
            names = self._explained
            parts = shapley_values(self._log_odds, columns, self._reference, names)
            baseline = np.full(len(probability), self._reference_log_odds)
        return Scores(probability, parts, names, baseline, variant), certainty

    def _context(
        self, columns: Columns, scores: Scores, certainty: Certainty | None
    ) -> ScoreContext:
        """Return what is known beside the scores."""
        support: list[Support] | None = None
        if certainty is not None and self._support is not None:
            support = self._support.of_columns(columns, certainty.leverage)
        comparison: NDArray[np.float64] | None = None
        if self._comparisons is not None:
            gender, age = self._kept
            kept = scores.baseline_log_odds + (scores.log_odds[:, gender] + scores.log_odds[:, age])
            for place in self._stays:
                kept = kept + scores.log_odds[:, place]
            comparison = self._comparisons.of_columns(
                columns, scores.probability, kept, scores.variant
            )
        return ScoreContext(None if certainty is None else certainty.interval, support, comparison)

    def _kept_of(self, baseline: Sequence[float], parts: Sequence[Sequence[float]]) -> list[float]:
        """Return the log-odds of what nobody can change, the baseline included.

        Nobody has said which of the model's further features can be changed: they stay.
        """
        gender, age = self._kept
        kept = [
            base + (added[gender] + added[age]) for base, added in zip(baseline, parts, strict=True)
        ]
        for place in self._stays:  # in this order, so that sums have the same bits as those above
            kept = [base + added[place] for base, added in zip(kept, parts, strict=True)]
        return kept

    def _variant(self, columns: Columns) -> NDArray[np.int64]:
        """Return which variant each patient needs. Raises ``InvalidPatient`` if there is none."""
        code = np.zeros(len(columns[OPTIONAL[0]]), np.int64)
        for place, name in enumerate(OPTIONAL):
            code |= np.isnan(columns[name]).astype(np.int64) << place
        variant: NDArray[np.int64] = self._place[code]
        if (variant < 0).any():
            missing = [name for name in OPTIONAL if np.isnan(columns[name]).any()]
            raise InvalidPatient(lacking(missing, self._description.may_be_missing))
        return variant

    def probability(self, columns: Columns) -> NDArray[np.float64]:
        """Return the probabilities ``(N,)`` of raw features, ``(N,)`` each, and no contributions.

        Raises ``InvalidModel`` when the graph gives none.
        """
        return self._graph.probability(columns)

    def _explain_by_graph(self) -> None:
        """Prepare the sums of the graph's own contributions, if the manifest describes them."""
        described = self.manifest.contributions
        self._of_feature: NDArray[np.float64] | None = None
        if described is None or not self._graph.explains:
            self._explained = explained_by_sets(self._graph.features, self._further)
            return
        self._explained = tuple(dict.fromkeys(described.columns))
        of_companions = [each.intercept for each in self.manifest.companions]
        self._intercepts = np.array([described.intercept, *of_companions], np.float64)
        self._of_feature = np.array(
            [[float(column == f) for f in self._explained] for column in described.columns]
        )
        self._summed = self._explained != described.columns

    def _read_tables(self) -> None:
        """Prepare what the manifest says of the training data.

        The reference's risk is a sum of contributions, so it needs those of the graph.
        """
        tables = self.manifest
        self._support = None if tables.support is None else SupportRules(tables.support)
        explained = self._of_feature is not None and set(UNCHANGEABLE) <= set(self._explained)
        self._comparisons: Comparisons | None = None
        self._kept = (-1, -1)
        declared = {each.name for each in self._further}
        self._stays = [at for at, name in enumerate(self._explained) if name in declared]
        if tables.comparison is not None and explained:
            self._comparisons = Comparisons(tables.comparison)
            first, second = UNCHANGEABLE
            self._kept = (self._explained.index(first), self._explained.index(second))

    def _check_reference_patient(self) -> None:
        """Score one patient, so that a graph that cannot is refused now and not at noon.

        The patient is scored by each variant: with all measurements, and without some.
        """
        whole = extended(Patient(**self._patient), values_of(self._further, self._reference))
        reference = columns_of(
            [replace(whole, **dict.fromkeys(variant.missing)) for variant in self._variants],  # type: ignore[arg-type]
            self._further,
        )
        try:
            if self._of_feature is None:
                self._reference_log_odds = float(self._log_odds(reference)[0])
            scores = self.score(reference, context=True)
        except (ValueError, TypeError, IndexError) as error:
            raise InvalidModel("the graph does not score the reference patient") from error
        logit = scores.baseline_log_odds + scores.log_odds.sum(axis=1)
        if not (np.abs(_logit(scores.probability) - logit) <= 1e-6).all():  # noqa: PLR2004
            raise InvalidModel("the graph's contributions do not sum to its probability")

    def _log_odds(self, columns: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
        probability = self.probability(columns)
        log_odds: NDArray[np.float64] = _logit(probability)
        return log_odds


def explained_by_sets(features: Sequence[str], further: Further) -> tuple[str, ...]:
    """Return the features whose Shapley values explain a graph that takes ``features``.

    Without ``further`` features that is always the raw ones. Raises ``InvalidModel`` where there
    are too many.
    """
    if not further:
        return RAW_FEATURES
    taken = {*features, *(source for name in features for source in _SOURCES.get(name, ()))}
    explained = tuple(
        name for name in (*RAW_FEATURES, *(each.name for each in further)) if name in taken
    )
    if len(explained) > MOST_EXPLAINED:
        raise InvalidModel(
            f"the graph takes {len(explained)} features and gives no contributions: without them "
            f"at most {MOST_EXPLAINED} can be explained"
        )
    return explained


def _places(variants: Sequence[Sequence[str]]) -> NDArray[np.int64]:
    """Return the place of the variant for each set of missing measurements, -1 where none is.

    Bit ``i`` of a set's number says that ``OPTIONAL[i]`` is missing.
    """
    places = np.full(1 << len(OPTIONAL), -1)
    for at, missing in enumerate(variants):
        places[sum(1 << OPTIONAL.index(name) for name in missing)] = at
    return places


def _logit(probability: Any) -> Any:
    clipped = np.clip(probability, _CERTAIN, 1 - _CERTAIN)
    return np.log(clipped) - np.log1p(-clipped)


def read_graph(path: Path, limits: GraphLimits) -> bytes:
    """Return the content of a file that ``Graph`` checks: one byte too many at the most.

    Raises ``ModelNotFound``.
    """
    try:
        with path.open("rb") as file:
            return file.read(limits.file_bytes + 1)
    except OSError as error:
        raise ModelNotFound(f"no graph at {path}") from error


def _manifest_of_bare_graph(path: Path, sha256: str, graph: Graph, further: Further) -> Manifest:
    return Manifest(
        name=path.stem[:40],
        version=f"{path.stem[:40]}-{sha256[:12]}",
        model_type="onnx",
        sha256=sha256,
        features=graph.features,
        bands=Bands(medium=IMPORTED_BANDS.medium, high=IMPORTED_BANDS.high),
        further_features=tuple(map(DeclaredFeature.of, further)),
    )
