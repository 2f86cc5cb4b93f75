"""What a row of columns must hold to be a patient, checked for all rows at once.

Vectorised with numpy. A row without a mark is a patient of the domain; a marked one may be, and
``cells`` has the last word.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from stroke.adapters.arrow.csv_rows import Indices, Mask
from stroke.application.predictions.cells import (
    BLANKS,
    FLAG_WORDS,
    NO_VALUE,
    NOT_KNOWN,
    PERSONAL,
    further_cell,
    is_no_value,
    trimmed,
)
from stroke.domain.features import (
    AGE_GROUPS,
    BMI_CATEGORIES,
    GLUCOSE_CATEGORIES,
    RAW_FEATURES,
    Bands,
)
from stroke.domain.further import FeatureKind, Further, FurtherFeature
from stroke.domain.patient import (
    AGE,
    AVG_GLUCOSE_LEVEL,
    BMI,
    COUNTRY_LENGTH,
    GENDERS,
    NAME_LENGTH,
    PROVINCE_LENGTH,
    SMOKING_STATUSES,
    Patient,
)

Floats = NDArray[np.float64]

RANGES: Final = {"age": AGE, "avg_glucose_level": AVG_GLUCOSE_LEVEL, "bmi": BMI}
FLAGS: Final = ("hypertension", "heart_disease")
CHOICES: Final = {"gender": GENDERS, "smoking_status": SMOKING_STATUSES}
BANDS: Final = {
    "age_group": ("age", AGE_GROUPS),
    "bmi_category": ("bmi", BMI_CATEGORIES),
    "glucose_category": ("avg_glucose_level", GLUCOSE_CATEGORIES),
}
NUMBERS: Final = (*RANGES, *FLAGS, "age_hypertension")
LENGTHS: Final = dict(zip(PERSONAL, (NAME_LENGTH, COUNTRY_LENGTH, PROVINCE_LENGTH), strict=True))

NUMERIC_TEXT: Final = r"^(?:[0-9]+\.?[0-9]*|\.[0-9]+)$"
"""Texts that are read as numbers without a second look."""

NULLS: Final = sorted(
    {spelled for mark in NO_VALUE for spelled in (mark, mark.upper(), mark.title(), "NaN")}
)
"""Marks for "no value" in the spellings that are read without a second look."""

_MARKS: Final = pa.array(sorted(NO_VALUE), pa.string())
_FLAG_WORDS: Final = pa.array(FLAG_WORDS, pa.string())
_FLAG_TEXTS: Final = pa.array([str(flag) for flag in FLAG_WORDS.values()], pa.string())
_CONTROL: Final = r"[\x{0}-\x{1f}\x{7f}-\x{9f}]"
_FIRST_PRINTABLE, _DELETE, _LEAD_OF_C1 = 0x20, 0x7F, 0xC2


@dataclass(frozen=True, slots=True)
class Columns:
    """The raw and the ``further`` features of ``len(suspect)`` rows, by name.

    ``numbers`` holds NaN where there is no value, infinity where a cell is no number, and
    ``codes`` (indices into ``CHOICES``) -1 where there is no usable value. Such rows are
    ``suspect``, but for values that may be missing. Codes of a further feature are places among its
    categories, and the number of them where there is no value.
    """

    numbers: Mapping[str, Floats]
    codes: Mapping[str, Indices]
    suspect: Mask
    further: Further = ()

    def put(self, index: int, patient: Patient) -> None:
        """Let row ``index`` be ``patient``."""
        own = dict(patient.further)
        for name, values in self.numbers.items():
            value = own.get(name) if name not in RAW_FEATURES else getattr(patient, name)
            values[index] = np.nan if value is None else value
        for name in CHOICES:
            self.codes[name][index] = CHOICES[name].index(getattr(patient, name))
        for each in self.further:
            if each.is_text:
                word = own.get(each.name)
                place = len(each.categories) if word is None else each.categories.index(str(word))
                self.codes[each.name][index] = place

    def features(self, chosen: Mask) -> dict[str, NDArray[Any]]:
        """Return the features of the ``chosen`` rows as a model takes them."""
        taken: dict[str, NDArray[Any]] = {}
        for name in RAW_FEATURES:
            if name in self.codes:
                # Every row shares its choice's one str object.
                taken[name] = np.array(CHOICES[name], object)[self.codes[name][chosen]]
            else:
                taken[name] = self.numbers[name][chosen]
        for each in self.further:
            if each.is_text:
                words = np.array([*each.categories, ""], object)
                taken[each.name] = words[self.codes[each.name][chosen]]
            else:
                taken[each.name] = self.numbers[each.name][chosen]
        return taken


def screen(
    present: Mapping[str, NDArray[Any]],
    suspect: Mask,
    may_be_missing: Container[str] = (),
    further: Further = (),
) -> Columns:
    """Return the columns ``present``, and mark rows next to the already ``suspect``.

    Numbers are floats, NaN for no value (only those in ``may_be_missing`` need none) and infinity
    for what is no number. Texts are given by their codes in ``CHOICES``, -1 for
    none; ``BANDS`` by the number of the label, counted from 1, 0 for none; and 1 stands for a
    personal text that may be unfit.
    """
    for name, plausible in RANGES.items():
        fits = (present[name] >= plausible.low) & (present[name] <= plausible.high)
        if name in may_be_missing:
            fits |= np.isnan(present[name])
        suspect |= ~fits
    for name in FLAGS:
        suspect |= ~((present[name] == 0) | (present[name] == 1))
    for name in CHOICES:
        suspect |= present[name] < 0
    for name in PERSONAL:
        if name in present:
            suspect |= present[name] != 0
    suspect |= _disagree(present)
    numbers = {name: present[name] for name in (*RANGES, *FLAGS)}
    codes = {name: present[name] for name in CHOICES}
    for each in further:
        values, fits = _screened(each, present.get(each.name), len(suspect))
        (codes if each.is_text else numbers)[each.name] = values
        suspect |= ~fits
    return Columns(numbers, codes, suspect, further)


def _screened(
    feature: FurtherFeature, values: NDArray[Any] | None, count: int
) -> tuple[NDArray[Any], Mask]:
    """Return a column of a further feature, and which of its ``count`` values are fit.

    Where it may be missing the header may have no column for it.
    """
    if feature.is_text:
        nothing = len(feature.categories)
        codes = np.full(count, nothing) if values is None else values.astype(np.int64)
        most = nothing if feature.may_be_missing else nothing - 1
        return codes, (codes >= 0) & (codes <= most)
    numbers = np.full(count, np.nan) if values is None else values
    fits = (numbers >= feature.low) & (numbers <= feature.high)
    if feature.kind is FeatureKind.FLAG:
        fits &= (numbers == 0) | (numbers == 1)
    if feature.may_be_missing:
        fits |= np.isnan(numbers)
    return numbers, fits


def further_codes(feature: FurtherFeature, coded: pa.DictionaryArray) -> Indices:
    """Return the codes of a column of texts: see ``Columns``; -1 for what needs a second look."""
    ambiguous = any(map(is_no_value, feature.categories))  # CSV gives no text for such a word

    def code(text: str | None) -> int:
        if text is None and ambiguous:
            return -1
        said = further_cell(feature, {feature.name: text})
        if said is None:
            return len(feature.categories)
        return feature.categories.index(str(said)) if said in feature.categories else -1

    codes = np.array([code(text) for text in coded.dictionary.to_pylist()], np.int64)
    found: Indices = codes[coded.indices.to_numpy()]
    return found


def labels_of(name: str) -> tuple[str, ...]:
    """Return the texts whose places are the codes of a column."""
    return CHOICES[name] if name in CHOICES else ("", *BANDS[name][1].labels)


def code_of(name: str, text: str | None) -> int:
    """Return the code of a text, or of none, in a column of ``CHOICES`` or ``BANDS``.

    It is -1 where the text is not one of the column's.
    """
    labels = labels_of(name)
    if text is None or is_no_value(text):
        said = NOT_KNOWN if name == "smoking_status" else ""
    else:
        said = trimmed(text)
    return labels.index(said) if said in labels else -1


def numbers_in(texts: pa.StringArray, *, is_flag: bool) -> Floats:
    """Return the numbers that ``texts`` are, words for flags among them.

    NaN stands for no value, and infinity for all others. A text of more than one kind of writing
    (``4.5e1``) may be infinity too: its row is suspect, then.
    """
    bare = pc.utf8_trim_whitespace(texts)
    if is_flag:
        words = pc.index_in(pc.utf8_lower(bare), value_set=_FLAG_WORDS)
        flags = _FLAG_TEXTS.take(words)
        bare = pc.coalesce(flags, bare)
    usable = pc.match_substring_regex(bare, NUMERIC_TEXT)
    missing = pc.is_in(pc.utf8_lower(pc.utf8_trim(texts, BLANKS)), value_set=_MARKS)
    numbers = pc.if_else(usable, bare, pc.if_else(missing, None, "inf")).cast(pa.float64())
    found: Floats = numbers.to_numpy(zero_copy_only=False)
    return np.array(found)  # our own, to write to


def unfit(cells: pa.StringArray, length: int) -> Mask:
    """Return which texts are too long or hold control characters."""
    _, offsets, data = cells.buffers()
    view = np.frombuffer(data or b"", np.uint8)
    ends = np.frombuffer(offsets, np.int32, len(cells) + 1, cells.offset * 4)
    unfit: Mask = np.diff(ends) > length  # bytes: no fewer than characters
    if unfit.any():
        unfit = pc.greater(pc.utf8_length(cells), length).to_numpy(zero_copy_only=False)
    if ((view < _FIRST_PRINTABLE) | (view == _DELETE) | (view == _LEAD_OF_C1)).any():
        control = pc.match_substring_regex(cells, _CONTROL)
        unfit = unfit | control.to_numpy(zero_copy_only=False)
    return unfit


def _disagree(present: Mapping[str, NDArray[Any]]) -> Mask:
    """Return where an engineered column is not what ``domain.features`` derives."""
    wrong: Mask = np.zeros(len(present["age"]), np.bool_)
    for name, (source, bands) in BANDS.items():
        if name in present:
            claimed = present[name]  # 0 claims nothing, the labels count from 1
            agrees = (claimed == _band(bands, present[source]) + 1) & ~np.isnan(present[source])
            wrong |= (claimed != 0) & ~agrees
    if "age_hypertension" in present:
        claim = present["age_hypertension"]
        with np.errstate(invalid="ignore", over="ignore"):  # infinities are suspect, like NaN
            derived = present["age"] * present["hypertension"]
            # Stricter than the domain by a hair, whose verdict counts.
            near = np.abs(claim - derived) <= 0.99e-6 * np.abs(derived)
        wrong |= ~near
    return wrong


def _band(bands: Bands, values: Floats) -> Indices:
    return np.searchsorted(bands.cuts, values, side="right")
