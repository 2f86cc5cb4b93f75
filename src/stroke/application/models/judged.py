"""Patients with a known outcome, from batches of a file or of stored predictions."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from stroke.application.models.columns import (
    CHOICES,
    IMPLAUSIBLE,
    LACKING,
    Coded,
    Features,
    Whole,
    as_the_model_takes,
    read_features,
    read_further,
    unfit,
    with_progress,
)
from stroke.application.models.ids import KnownOutcomes, SeenIds
from stroke.application.predictions.columnar import ColumnarRiskModel
from stroke.application.quality.calibration import Floats, Labels
from stroke.domain.features import RAW_FEATURES
from stroke.domain.risk import ModelDescription

NO_OUTCOME: Final = "has no outcome"


class JudgedRows(NamedTuple):
    """Rows that count, ``(N,)`` each. ``features`` are as ``read_features`` gives them.

    ``further`` has, for each model, the features that it declares for itself.
    """

    ids: Whole
    features: Features
    stroke: NDArray[np.int8]
    site: NDArray[Any]
    further: tuple[Features, ...]


class RowsWithOutcome:
    """Takes batches, and gives the rows with an outcome whom all of ``models`` can score.

    ``known`` are outcomes by the rows' ids. A column ``stroke`` in the batches is taken instead,
    and a column ``site`` with it.
    """

    def __init__(
        self, models: Sequence[ModelDescription], known: KnownOutcomes | None = None
    ) -> None:
        self._models = models
        self._known = known or KnownOutcomes()
        self._seen = SeenIds()
        self.passed_over: Counter[str] = Counter()
        """How many rows do not count, by the reason."""

    def take(self, batch: pa.RecordBatch) -> JudgedRows | None:
        """Return the rows of a batch that count, None where there is none."""
        if "op" in batch.schema.names:
            made = pc.is_in(batch.column("op"), value_set=pa.array(["c", "r"]))
            batch = batch.filter(made)
            ids = batch.column("prediction_id").to_numpy()
            batch = batch.filter(pa.array(self._seen.first_time(ids)))
        ids = batch.column("prediction_id").to_numpy()
        stroke, site = self._outcomes(batch, ids)
        read = read_features(batch)
        own = [read_further(batch, model.further) for model in self._models]
        open_ = stroke < 0
        wrong, lacking = np.zeros_like(open_), np.zeros_like(open_)
        for model, further in zip(self._models, own, strict=True):
            lacks, is_wrong = unfit(read | further, model)
            lacking, wrong = lacking | lacks, wrong | is_wrong
        for reason, found in (
            (NO_OUTCOME, open_),
            (IMPLAUSIBLE, wrong & ~open_),
            (LACKING, lacking & ~wrong & ~open_),
        ):
            if count := int(found.sum()):
                self.passed_over[reason] += count
        fit = ~(open_ | wrong | lacking)
        if not fit.any():
            return None
        read, *own = ({name: each[fit] for name, each in some.items()} for some in (read, *own))
        return JudgedRows(ids[fit], read, stroke[fit], site[fit], tuple(own))

    def _outcomes(self, batch: pa.RecordBatch, ids: Whole) -> tuple[NDArray[np.int8], NDArray[Any]]:
        """Return 1, 0 or -1 (not known) and the site of each row."""
        site = self._known.sites(ids)
        if "stroke" in batch.schema.names:
            if "site" in batch.schema.names:
                named = Coded.of(pc.fill_null(batch.column("site"), ""))
                site = np.array(named.texts, object)[named.codes]  # one text for all of a site
            flags = batch.column("stroke").cast(pa.int8())
            return pc.fill_null(flags, -1).to_numpy(zero_copy_only=False), site
        return self._known.of(ids), site


@dataclass(frozen=True, slots=True)
class JudgedPatients:
    """All patients that count, ``(N,)`` each, in the order of a file or of their ids.

    ``columns`` are as a model takes them; ``log_odds`` are what ``model`` says of them.
    ``sha256`` is of these rows: the same rows give the same one, in whatever order they came.
    """

    columns: Features
    outcome: Labels
    site: NDArray[Any]
    log_odds: Floats
    sha256: str
    passed_over: dict[str, int]

    def __len__(self) -> int:
        return len(self.outcome)


def gathered(
    rows: RowsWithOutcome,
    batches: Iterable[pa.RecordBatch],
    model: ColumnarRiskModel,
    on_progress: Callable[[int], None] = lambda _: None,
) -> JudgedPatients:
    """Return the patients of ``batches``, scored by ``model``: some 100 bytes for each.

    ``rows`` are those whom ``model`` alone can score. ``on_progress`` gets the number of rows read
    so far.
    """
    further = model.description.further
    coded_names = {*CHOICES, *(each.name for each in further if each.is_text)}
    parts: list[Features] = []
    taken: list[JudgedRows] = []
    log_odds: list[Floats] = []
    for batch in with_progress(batches, on_progress):
        if (part := rows.take(batch)) is not None:
            [own] = part.further
            parts.append(part.features | own)
            taken.append(part)
            scores = model.score(as_the_model_takes(parts[-1], further))
            log_odds.append(scores.baseline_log_odds + scores.log_odds.sum(axis=1))
    ids = np.concatenate([each.ids for each in taken]) if taken else np.zeros(0, np.int64)
    order = np.argsort(ids, kind="stable")
    names = (*RAW_FEATURES, *(each.name for each in further))
    coded = {name: _joined([each[name] for each in parts], order) for name in names}
    outcome = _joined([each.stroke for each in taken], order).astype(np.int64)
    return JudgedPatients(
        as_the_model_takes(
            {n: v.astype(np.int64) if n in coded_names else v for n, v in coded.items()}, further
        ),
        outcome,
        _joined([each.site for each in taken], order),
        _joined(log_odds, order),
        _digest(ids[order], coded, outcome),
        dict(sorted(rows.passed_over.items())),
    )


def _joined(parts: Sequence[NDArray[Any]], order: Whole) -> NDArray[Any]:
    return np.concatenate(parts)[order] if parts else np.zeros(0)


def _digest(ids: Whole, coded: Features, outcome: Labels) -> str:
    """Return one sha256 of ids, measurements and outcomes; no single patient can be read of it."""
    digest = hashlib.sha256()
    for values in (ids, *coded.values(), outcome):
        digest.update(values.astype("<f8").tobytes())
    return digest.hexdigest()
