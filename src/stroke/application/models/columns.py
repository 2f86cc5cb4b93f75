"""Features of stored patients in Arrow batches: read, judged, and as a model takes them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from stroke.domain.features import RAW_FEATURES
from stroke.domain.further import Further, FurtherFeature
from stroke.domain.patient import AGE, AVG_GLUCOSE_LEVEL, BMI, GENDERS, SMOKING_STATUSES
from stroke.domain.risk import ModelDescription

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]
Mask = NDArray[np.bool_]
Features = dict[str, NDArray[Any]]

CHOICES: Final[dict[str, tuple[str, ...]]] = {
    "gender": GENDERS,
    "smoking_status": SMOKING_STATUSES,
}

LACKING: Final = "lacks a measurement that the model needs"
IMPLAUSIBLE: Final = "holds a value that no patient has"

_RANGES: Final = {"age": AGE, "avg_glucose_level": AVG_GLUCOSE_LEVEL, "bmi": BMI}
_FLAGS: Final = ("hypertension", "heart_disease")
_NONE: Final = -1  # no text at all
_UNKNOWN: Final = -2  # a text that is none of the choices
_DATA: Final = "prediction_data"


class Coded:
    """Texts of a batch as codes of their distinct values."""

    def __init__(self, texts: Sequence[str | None], codes: Whole) -> None:
        self.texts = texts
        self.codes = codes

    @classmethod
    def of(
        cls, column: pa.Array, reading: Callable[[str], str | None] = lambda text: text
    ) -> Coded:
        coded = column.cast(pa.string()).dictionary_encode(null_encoding="encode")
        texts = [None if each is None else reading(each) for each in coded.dictionary.to_pylist()]
        return cls(texts, coded.indices.to_numpy().astype(np.int64))

    def at(self, rows: Whole | Mask) -> Coded:
        return Coded(self.texts, self.codes[rows])

    def is_equal_to(self, text: str) -> Mask:
        wanted = np.array([each == text for each in self.texts], np.bool_)
        found: Mask = wanted[self.codes]
        return found

    def equal(self, others: NDArray[Any]) -> Mask:
        found: Mask = np.array(self.texts, object)[self.codes] == others
        return found


def with_progress(
    batches: Iterable[pa.RecordBatch], on_progress: Callable[[int], None]
) -> Iterator[pa.RecordBatch]:
    """Give all ``batches``; ``on_progress`` gets the number of rows after each that was used."""
    read = 0
    for batch in batches:
        yield batch
        read += batch.num_rows
        on_progress(read)


def read_features(rows: pa.RecordBatch) -> Features:
    """Return the raw features of rows: numbers as floats, texts as places among their choices."""
    read: Features = {}
    for name in RAW_FEATURES:
        if name not in CHOICES:
            read[name] = floats(rows, name)
            continue
        texts = Coded.of(rows.column(name))
        choices = CHOICES[name]
        places = [
            _NONE if text is None else choices.index(text) if text in choices else _UNKNOWN
            for text in texts.texts
        ]
        read[name] = np.array(places, np.int64)[texts.codes]
    return read


def read_further(rows: pa.RecordBatch, further: Further) -> Features:
    """Return the features of rows that a model declares for itself, as ``read_features`` does.

    They are in the rows' ``prediction_data`` if there is such a column, and else in columns of
    their own. A value that is none of the feature's is infinite, or ``_UNKNOWN``.
    """
    if not further:
        return {}
    names = rows.schema.names
    documents: list[Any] = []
    if _DATA in names:
        documents = [_document(text) for text in rows.column(_DATA).to_pylist()]
    read: Features = {}
    for each in further:
        values: list[Any] = [None] * rows.num_rows
        if documents:
            values = [document.get(each.name) for document in documents]
        elif each.name in names and _DATA not in names:
            values = rows.column(each.name).to_pylist()
        kind = np.int64 if each.is_text else np.float64
        read[each.name] = np.array([_place(each, value) for value in values], kind)
    return read


def _document(text: object) -> Mapping[str, Any]:
    try:
        found = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):  # an imported row may hold anything
        return {}
    return found if isinstance(found, Mapping) else {}


def _place(feature: FurtherFeature, value: Any) -> float:
    """Return a number, or a category's place; what stands for no value or none of its values."""
    if value is None or value != value:  # noqa: PLR0124 -- NaN is no value
        return _NONE if feature.is_text else np.nan
    if feature.reason(value) is not None:
        return _UNKNOWN if feature.is_text else np.inf
    return feature.categories.index(value) if feature.is_text else float(value)


def as_the_model_takes(read: Features, further: Further = ()) -> Features:
    """Return what a model takes; every row shares its choice's one str object."""
    texts = CHOICES | {
        each.name: (*each.categories, "")  # _NONE is the last place
        for each in further
        if each.is_text
    }
    return {
        name: np.array(texts[name], object)[values] if name in texts else values
        for name, values in read.items()
    }


def floats(rows: pa.RecordBatch, name: str) -> Floats:
    numbers = rows.column(name).cast(pa.float64(), safe=False)
    return numbers.to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]


def unfit(read: Features, model: ModelDescription) -> tuple[Mask, Mask]:
    """Return which rows lack what ``model`` needs, and which hold an implausible value."""
    lacking: Mask = np.zeros(len(read["age"]), np.bool_)
    wrong: Mask = np.zeros(len(read["age"]), np.bool_)
    gaps = {name: np.isnan(read[name]) for name in (*_RANGES, *_FLAGS)}
    for name, plausible in _RANGES.items():
        inside = (read[name] >= plausible.low) & (read[name] <= plausible.high)
        wrong |= ~inside & ~gaps[name]
    for name in _FLAGS:
        wrong |= ~gaps[name] & (read[name] != 0) & (read[name] != 1)
    for name, gap in gaps.items():
        if name not in model.may_be_missing:
            lacking |= gap
    for name in CHOICES:
        lacking |= read[name] == _NONE
        wrong |= read[name] == _UNKNOWN
    for each in model.further:
        values = read[each.name]
        wrong |= values == _UNKNOWN if each.is_text else np.isinf(values)
        if not each.may_be_missing:
            lacking |= values == _NONE if each.is_text else np.isnan(values)
    return lacking, wrong
