"""Patients in Arrow batches, as Parquet files and Spark give them: scored, or sent back.

The same rules as for CSV: vectorised where a row is plain, and the domain where it is not.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from stroke.adapters.arrow.csv_cells import patient_of
from stroke.adapters.arrow.csv_header import Header
from stroke.adapters.arrow.csv_rows import Mask
from stroke.adapters.arrow.scoring import (
    CATEGORIES,
    context_columns,
    explained_features,
    variant_names,
)
from stroke.adapters.arrow.screening import (
    FLAGS,
    LENGTHS,
    NUMBERS,
    RANGES,
    Columns,
    code_of,
    further_codes,
    numbers_in,
    screen,
    unfit,
)
from stroke.application.predictions.batch_scoring import BatchScorer, RejectedPlace, ScoredBatch
from stroke.application.predictions.cells import PERSONAL
from stroke.application.predictions.columnar import (
    ColumnarRiskModel,
    Scores,
    factor_choices,
    factor_codes,
)
from stroke.application.predictions.scored_columns import ADDED, SUPPORT, VARIANT, added_names
from stroke.domain.errors import InvalidData, InvalidPatient
from stroke.domain.further import FeatureKind, FurtherFeature

_NUMBER_TYPES: Final = dict.fromkeys(RANGES, pa.float64()) | dict.fromkeys(FLAGS, pa.int64())


class BatchScoring(BatchScorer):
    """Scores batches of ``schema``. Safe to use from several threads.

    The columns of the input stay as they are; probability, risk_category, contributing_factors
    and model_version come after them, with ``variants`` model_variant, with ``context`` interval,
    support and comparison, and with ``contributions``
    the log-odds of each feature and their baseline. With ``numbers`` measurements become numbers,
    whatever they were. Raises ``InvalidData`` for a schema that has no patients.
    """

    def __init__(
        self,
        schema: pa.Schema,
        model: ColumnarRiskModel,
        *,
        contributions: bool = False,
        numbers: bool = False,
        variants: bool = False,
        context: bool = False,
    ) -> None:
        self._model = model
        self._features = explained_features(model)
        self._contributions = contributions
        self._variants = variants
        self._context = context
        added = added_names(
            self._features if contributions else None, variants=variants, context=context
        )
        self._header = Header.of(
            schema.names,
            added=added,
            may_be_missing=model.description.may_be_missing,
            further=model.description.further,
        )
        for name, at in self._header.positions.items():
            _check_type(name, schema.field(at).type, self._header)
        self._factors = pa.array(factor_choices(self._features), pa.string())
        self._types = _NUMBER_TYPES | {
            each.name: pa.int64() if each.kind is FeatureKind.FLAG else pa.float64()
            for each in self._header.further
            if not each.is_text
        }
        self._retyped = [n for n in self._header.positions if numbers and n in self._types]
        for name in self._retyped:
            at = self._header.positions[name]
            schema = schema.set(at, pa.field(schema.field(at).name, self._types[name]))
        self._schema = pa.schema([*schema, *map(_field, added)], metadata=schema.metadata)
        self.nothing = pa.RecordBatch.from_pylist([], self._schema)

    @property
    def schema(self) -> pa.Schema:
        return self._schema

    def score(self, batch: pa.RecordBatch) -> ScoredBatch:
        """Score the rows of ``batch``."""
        return self.score_and_count(batch)[0]

    def score_and_count(self, batch: pa.RecordBatch) -> tuple[ScoredBatch, dict[str, int]]:
        """Score the rows of ``batch``; say how many of them each variant of the model scored."""
        read = read_batch(batch, self._header)
        fit = ~read.suspect
        rejects = []
        for index in np.flatnonzero(read.suspect).tolist():
            cells = {n: batch.column(p)[index].as_py() for n, p in self._header.positions.items()}
            try:
                found = patient_of(cells, self._header.may_be_missing, self._header.further)
                read.put(index, found)
            except InvalidPatient as error:
                rejects.append(RejectedPlace(index, str(error)))
            else:
                fit[index] = True
        kept = batch if fit.all() else batch.filter(pa.array(fit))
        rows, variants = self.add_scores(kept, read, fit)
        return ScoredBatch(rows, rejects), variants

    def add_scores(
        self, kept: pa.RecordBatch, read: Columns, fit: Mask
    ) -> tuple[pa.RecordBatch, dict[str, int]]:
        """Return the rows ``kept``, which are the ``fit`` ones of those ``read``, with scores.

        The counts are those of the variants that scored them.
        """
        if not kept.num_rows:
            return self.nothing, {}
        columns = list(kept.columns)
        for name in self._retyped:
            numbers = pa.array(read.numbers[name][fit], from_pandas=True)  # NaN becomes NULL
            columns[self._header.positions[name]] = numbers.cast(self._types[name])
        scores = self._model.score(read.features(fit), context=self._context)
        rows = pa.record_batch([*columns, *self._added(scores)], schema=self._schema)
        return rows, scores.by_variant(self._model.description)

    def _added(self, scores: Scores) -> list[pa.Array]:
        description = self._model.description
        categories = pa.array(scores.categories(description))
        factors = factor_codes(scores, np.zeros(len(scores.probability), np.int64))
        added = [
            pa.array(scores.probability),
            pa.array(CATEGORIES, pa.string()).take(categories),
            self._factors.take(pa.array(factors)),
            pa.repeat(pa.scalar(description.version), len(factors)),
        ]
        if self._variants:
            added.append(variant_names(scores, description))
        if self._context:
            added += context_columns(scores.context, len(factors))
        if self._contributions:
            added += [pa.array(np.ascontiguousarray(part)) for part in scores.log_odds.T]
            added.append(pa.array(scores.baseline_log_odds))
        return added


def _field(name: str) -> pa.Field:
    text = name in (*ADDED, VARIANT, *SUPPORT) and name != "probability"
    return pa.field(name, pa.string() if text else pa.float64())


def read_batch(batch: pa.RecordBatch, header: Header) -> Columns:
    """Read the columns of a batch; those of ``header`` hold what ``BatchScoring`` takes."""
    declared = {each.name: each for each in header.further}
    present = {
        name: _values(name, batch.column(at), declared.get(name))
        for name, at in header.positions.items()
    }
    if "age_hypertension" in present:
        # NULL claims nothing; NaN does, and wrongly.
        unclaimed = batch.column(header.positions["age_hypertension"]).is_null()
        with np.errstate(invalid="ignore"):  # infinities are suspect
            derived = present["age"] * present["hypertension"]
        np.copyto(
            present["age_hypertension"], derived, where=unclaimed.to_numpy(zero_copy_only=False)
        )
    suspect = np.zeros(batch.num_rows, np.bool_)
    return screen(present, suspect, header.may_be_missing, header.further)


def _values(name: str, cells: pa.Array, declared: FurtherFeature | None) -> NDArray[Any]:
    """Return a column as ``screen`` takes it."""
    if declared is not None and declared.is_text:
        return further_codes(declared, cells.cast(pa.string()).dictionary_encode("encode"))
    if name in NUMBERS or declared is not None:
        is_flag = name in FLAGS or (declared is not None and declared.kind is FeatureKind.FLAG)
        return _numbers(cells, is_flag=is_flag)
    texts = cells.cast(pa.string())
    if name in PERSONAL:
        return unfit(texts.fill_null(""), LENGTHS[name])
    coded = texts.dictionary_encode(null_encoding="encode")
    codes = np.array([code_of(name, text) for text in coded.dictionary.to_pylist()], np.int64)
    found: NDArray[Any] = codes[coded.indices.to_numpy()]
    return found


def _numbers(cells: pa.Array, *, is_flag: bool) -> NDArray[np.float64]:
    if _is_text(cells.type):
        return numbers_in(cells.cast(pa.string()), is_flag=is_flag)
    if pa.types.is_boolean(cells.type):
        cells = cells.cast(pa.uint8())
    elif is_flag and pa.types.is_decimal(cells.type):
        # As the nearest float, 0.99999999999999999999 would be 1.
        cells = pc.if_else(pc.equal(cells, pc.round(cells)), cells, None)
    numbers = cells.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return np.array(numbers)  # our own, to write to


def _check_type(name: str, kind: pa.DataType, header: Header) -> None:
    declared = next((each for each in header.further if each.name == name), None)
    numeric = name in NUMBERS or (declared is not None and not declared.is_text)
    is_flag = name in FLAGS or (declared is not None and declared.kind is FeatureKind.FLAG)
    number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    fits = _is_text(kind) or pa.types.is_null(kind)
    if numeric:
        fits |= number or (is_flag and pa.types.is_boolean(kind))
    if not fits:
        wanted = "numbers" if numeric else "text"
        raise InvalidData(f"the column {name} holds {kind}, not {wanted}")


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _is_text(kind.value_type)
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )
