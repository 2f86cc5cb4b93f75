"""Scores of many patients as cells of CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from itertools import product
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from stroke.adapters.arrow.csv_rows import Indices, Rows
from stroke.adapters.arrow.formulas import copied_rows
from stroke.application.predictions.columnar import (
    FACTOR_SEPARATOR,
    ColumnarRiskModel,
    ScoreContext,
    Scores,
    factor_codes,
)
from stroke.application.predictions.scored_columns import COMPARED, INTERVAL, SUPPORT
from stroke.domain.features import RAW_FEATURES
from stroke.domain.patient import Patient
from stroke.domain.risk import TOP_FACTORS, ModelDescription, RiskCategory
from stroke.domain.support import Support

Floats = NDArray[np.float64]

_ANYONE: Final = Patient("Female", 45.0, 0, 0, 90.0, 28.0, "never smoked")
CATEGORIES: Final = tuple(RiskCategory)  # Low, Medium, High


def explained_features(model: ColumnarRiskModel) -> tuple[str, ...]:
    """Return the features whose contributions ``model`` gives, as it says with any score."""
    values = {name: getattr(_ANYONE, name) for name in RAW_FEATURES}
    values |= {each.name: each.reference for each in model.description.further}
    return model.score(
        {
            name: np.array([value], object if isinstance(value, str) else np.float64)
            for name, value in values.items()
        }
    ).features


def lines(
    rows: Rows,
    kept: Indices,
    scores: Scores,
    model: ModelDescription,
    *,
    newline: bytes,
    ids: list[int] | None = None,
    contributions: bool = False,
    variants: bool = False,
    context: bool = False,
) -> pa.Buffer:
    """Return the ``kept`` rows' text with neutral cells, each with its score and ``newline``.

    The cells added are probability (shortest text that reads back as the same number), risk
    category, the names of the strongest factors joined by ``;``, the model's version, with
    ``variants`` the name of its variant, with ``context`` that, with ``contributions``
    those and their baseline, and with ``ids`` the stored prediction's id.
    """
    last = not (ids is not None or contributions or variants or context)
    endings = _endings(scores.features, model.version, newline if last else b"")
    cells = [
        copied_rows(_texts(rows).take(pa.array(2 * kept)), rows, kept),
        _shortest(scores.probability),
        endings.take(pa.array(factor_codes(scores, scores.categories(model)))),
    ]
    if variants:
        cells.append(variant_names(scores, model))
    if context:
        cells += [
            pc.fill_null(pc.cast(each, pa.string()), "")
            for each in context_columns(scores.context, len(kept))
        ]
    if contributions:
        cells += [_shortest(np.ascontiguousarray(part)) for part in scores.log_odds.T]
        cells.append(_shortest(scores.baseline_log_odds))
    if ids is not None:
        cells.append(pa.array([str(number) for number in ids], pa.string()))
    if not last:
        cells[-1] = pc.binary_join_element_wise(cells[-1], newline.decode(), "")
    return _content(pc.binary_join_element_wise(*cells, ","))


def context_columns(context: ScoreContext, count: int) -> list[pa.Array]:
    """Return the columns of ``CONTEXT`` for ``count`` patients; NULL for what is not known."""
    nothing = pa.nulls(count, pa.float64())
    interval, comparison = context.interval, context.comparison
    numbers = [
        *([nothing] * len(INTERVAL) if interval is None else _known(interval)),
        *([nothing] * len(COMPARED) if comparison is None else _known(comparison)),
    ]
    return [
        *numbers[: len(INTERVAL)],
        *_support_columns(context.support, count),
        *numbers[len(INTERVAL) :],
    ]


def _known(numbers: Floats) -> list[pa.Array]:
    """Return the columns of a table, NULL for NaN."""
    return [pa.array(np.ascontiguousarray(each), from_pandas=True) for each in numbers.T]


def _support_columns(support: Sequence[Support] | None, count: int) -> list[pa.Array]:
    """Return levels and reasons. Rows share few values of support, whose words are made once."""
    if support is None:
        return [pa.nulls(count, pa.string())] * len(SUPPORT)
    found = {id(each): each for each in support}
    place = {key: at for at, key in enumerate(found)}
    rows = pa.array([place[id(each)] for each in support], pa.int32())
    levels = pa.array([each.level.value for each in found.values()], pa.string())
    reasons = pa.array([each.codes for each in found.values()], pa.string())
    return [levels.take(rows), reasons.take(rows)]


def variant_names(scores: Scores, model: ModelDescription) -> pa.StringArray:
    """Return the name of the variant that scored each patient."""
    names = pa.array([variant.name for variant in model.variants], pa.string())
    return names.take(pa.array(scores.variant))


def _shortest(numbers: Floats) -> pa.StringArray:
    """Return the shortest texts that read back as the same numbers."""
    return pc.cast(pa.array(numbers), pa.string())


def _endings(features: tuple[str, ...], version: str, newline: bytes) -> pa.StringArray:
    """Return the end of a line for every category and every choice of strongest factors."""
    names = (*features, "")
    endings = []
    for category, *factors in product(CATEGORIES, *[names] * TOP_FACTORS):
        joined = FACTOR_SEPARATOR.join(name for name in factors if name)
        endings.append(_csv_cells(category, joined, version) + newline.decode())
    return pa.array(endings, pa.string())


def _csv_cells(*cells: str) -> str:
    text = io.StringIO()
    csv.writer(text).writerow(cells)
    return text.getvalue().removesuffix("\r\n")


def _texts(rows: Rows) -> pa.StringArray:
    """Return rows and what lies between them, in turn: row ``i`` is at ``2 * i``."""
    offsets = np.empty(2 * len(rows), np.int32)
    offsets[0::2], offsets[1::2] = rows.starts, rows.ends
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(rows.data)]
    return pa.Array.from_buffers(pa.string(), max(len(offsets) - 1, 0), buffers)


def _content(texts: pa.StringArray) -> pa.Buffer:
    """Return all ``texts``, end to end, without a copy."""
    _, offsets, data = texts.buffers()
    if data is None or not len(texts):
        return pa.py_buffer(b"")
    return data.slice(0, int(np.frombuffer(offsets, np.int32, len(texts) + 1)[-1]))
