"""How files write values: marks for "no value", numbers, flags, names of columns, cells of CSV.

These are the only rules of this kind. Every reader of files follows them, whatever the file is
(CSV, Parquet, a dump) and whichever command reads it. What a value must be to be a patient's is
not decided here but in the domain; docs/files.md shows the rules.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Final, NamedTuple

from stroke.domain.errors import InvalidData, RowsUnaccounted
from stroke.domain.features import ENGINEERED_FEATURES, RAW_FEATURES
from stroke.domain.further import FeatureKind, FurtherFeature
from stroke.domain.patient import flag_of

PERSONAL: Final = ("name", "country", "province")

PATIENT_COLUMNS: Final = (*RAW_FEATURES, *PERSONAL, *ENGINEERED_FEATURES)
"""Columns of a file of patients."""

NO_VALUE: Final = frozenset(
    {
        "",
        *("null", "\\n"),  # databases
        *("na", "<na>", "nan", "-nan", "nat", "none"),  # R and pandas
        *("n/a", "#n/a", "#nv", "#null!"),  # spreadsheets; NV is German
        *("-", "--", "?", "."),  # people, and SAS
    }
)
"""What stands for "no value", in lower case."""

FLAG_WORDS: Final[Mapping[str, int]] = {
    **dict.fromkeys(("yes", "y", "true", "t"), 1),
    **dict.fromkeys(("no", "n", "false", "f"), 0),
    **dict.fromkeys(("ja", "j", "wahr"), 1),
    **dict.fromkeys(("nein", "falsch"), 0),
    **dict.fromkeys(("oui", "vrai", "si", "sí", "verdadero"), 1),
    **dict.fromkeys(("non", "faux", "falso"), 0),
}
"""Words for the flags 1 and 0, in lower case."""

NOT_KNOWN: Final = "Unknown"
"""The smoking status that a patient without one has."""

NUMERIC: Final = frozenset(
    {
        *("age", "avg_glucose_level", "bmi", "hypertension", "heart_disease", "age_hypertension"),
        *("id", "prediction_id", "probability", "stroke", "baseline_log_odds"),
    }
)
"""Columns that hold numbers (flags are numbers too)."""

TEXTS: Final = frozenset({*PERSONAL, "source", "model_version", "idempotency_key"})
"""Columns of free text: only there a mark in quotes is text."""

BLANKS: Final = " \t\u00a0\u202f\u2007\ufeff"
"""What does not count around a value: blanks, among them those that do not break a line."""

_OTHER_ENDS: Final = frozenset("\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029")
"""What ends a line elsewhere: a table that has it between its rows would be all header."""

_SEPARATORS: Final = (
    "the first line must be the header, and its cells must be separated by commas, semicolons, "
    "tabs or vertical bars"
)

_NUMBER: Final = re.compile(
    r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+|inf|nan)(?:e[+-]?[0-9]+)?", re.ASCII | re.IGNORECASE
)
_WHOLE: Final = re.compile(r"([+-]?[0-9]{1,19})(?:\.0*)?", re.ASCII)
_APART: Final = re.compile(r"[\s_\-.\u00a0\u202f\u2007\ufeff]+")
# Either a quoted cell, after whose closing quote text may follow, or a bare one.
_CELL: Final = re.compile(r'(?:"((?:[^"]|"")*+)"([^,]*+)|([^,]*+))(,|\Z)', re.DOTALL)


def check_account(*, read: int, kept: int, rejected: int) -> None:
    """Raise ``RowsUnaccounted`` unless every row that was read is kept or rejected."""
    if read != kept + rejected:
        raise RowsUnaccounted(read, kept, rejected)


class Cell(NamedTuple):
    """The text of a cell without its quotes, if it was quoted, and where it ends in its row."""

    text: str
    quoted: bool
    end: int


def trimmed(text: str) -> str:
    """Return ``text`` without the blanks around it."""
    return text.strip(BLANKS)


def is_no_value(text: str) -> bool:
    """Return whether ``text`` is a mark for "no value"."""
    return trimmed(text).casefold() in NO_VALUE


def number_of(text: str) -> float | str:
    """Return the number that ``text`` is, in plain or scientific notation, or else ``text``."""
    bare = trimmed(text)
    if _NUMBER.fullmatch(bare) is None:
        return text
    try:
        return float(bare)
    except ValueError:  # "inf" with an exponent
        return text


def measurement(value: object) -> object:
    """Return what a cell of a measurement says: a number, None for no value, else ``value``."""
    if isinstance(value, str):
        return None if is_no_value(value) else number_of(value)
    if isinstance(value, Decimal):
        value = float(value)
    return None if value != value else value  # noqa: PLR0124 -- NaN is no value


def flag(value: object) -> object:
    """Return the flag that a cell says, None for no value, else ``value``, which is no flag.

    What is a flag says ``domain.patient.flag_of``; here are the words and booleans for it.
    """
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, str):
        bare = trimmed(value).casefold()
        if bare in NO_VALUE:
            return None
        if bare in FLAG_WORDS:
            return FLAG_WORDS[bare]
        value = number_of(value)
    elif value != value:  # noqa: PLR0124 -- NaN is no value
        return None
    found = flag_of(value)
    return value if found is None else found


def choice(value: object) -> object:
    """Return the text of a cell that holds one of a few words, or None for no value."""
    if isinstance(value, str):
        bare = trimmed(value)
        return None if bare.casefold() in NO_VALUE else bare
    return value


def smoking_status(value: object) -> object:
    """Return the smoking status that a cell says: ``Unknown`` where there is no value."""
    said = choice(value)
    return NOT_KNOWN if said is None else said


def further_cell(feature: FurtherFeature, cells: Mapping[str, object]) -> object:
    """Return what a row's ``cells`` say of a feature that a model declares; None for no value.

    A word of its own is a value, also where it is a mark for "no value" elsewhere ("none").
    """
    value = cells.get(feature.name)
    if feature.kind is FeatureKind.FLAG:
        return flag(value)
    if feature.kind is FeatureKind.NUMBER:
        return measurement(value)
    if isinstance(value, str) and (bare := trimmed(value)) in feature.categories:
        return bare
    return choice(value)


def whole_number(text: str) -> int | None:
    """Return the whole number that ``text`` is; data frames with a gap write ``12.0`` for 12."""
    found = _WHOLE.fullmatch(trimmed(text))
    return None if found is None else int(found.group(1))


def key_of(name: str) -> str:
    """Return what two spellings of a column's name share: ``Heart Disease`` and heart_disease."""
    return _APART.sub("", name).casefold()


def known_names(names: Sequence[str], known: Iterable[str]) -> list[str]:
    """Return the ``names`` of a header, each as stroke spells it if it is a ``known`` one."""
    spelled = {key_of(name): name for name in known}
    return [spelled.get(key_of(name), name) for name in names]


def check_line_ends(names: Iterable[str]) -> None:
    """Raise ``InvalidData`` if a header has what ends lines elsewhere: its rows would be in it."""
    if ends := sorted({f"U+{ord(mark):04X}" for name in names for mark in _OTHER_ENDS & {*name}}):
        raise InvalidData(
            f"the header has {', '.join(ends)}, which ends no line here: write LF or CR LF at the "
            "ends of lines"
        )


def check_columns(names: Sequence[str], needed: Iterable[str], known: Iterable[str]) -> None:
    """Raise ``InvalidData`` if a ``needed`` column is not there, or a ``known`` one is twice."""
    missing = [name for name in needed if name not in names]
    if missing:
        torn = len(names) == 1 or any(mark in name for name in names for mark in ";\t|")
        hint = f" ({_SEPARATORS})" if torn and len(missing) > 1 else ""
        raise InvalidData(f"columns missing from the header: {', '.join(missing)}{hint}")
    twice = [name for name in known if names.count(name) > 1]
    if twice:
        raise InvalidData(f"columns that stand twice in the header: {', '.join(twice)}")


def split(row: str) -> list[Cell]:
    """Return the cells of ``row``, separated by commas; raises ``InvalidData``.

    A row has no line end.
    """
    cells, position = [], 0
    while True:
        cell = _CELL.match(row, position)
        if cell is None:
            raise InvalidData("a quote is opened and never closed")
        quoted, after, bare = cell.group(1, 2, 3)
        if "\r" in (bare or after or ""):
            raise InvalidData("has a carriage return outside quotes")
        text = bare if quoted is None else quoted.replace('""', '"') + after
        cells.append(Cell(text, quoted is not None, cell.start(4)))
        if not cell.group(4):
            return cells
        position = cell.end()


_BLANK_BEFORE_QUOTE: Final = re.compile(r'[^\S\r\n]+"')


def without_surplus(cells: list[Cell], width: int) -> list[Cell]:
    """Return the ``width`` cells that the header names; blank cells after them do not count.

    Raises ``InvalidData`` for a row that has fewer cells, or more that hold something.
    """
    surplus = cells[width:]
    if len(cells) < width or any(trimmed(cell.text) for cell in surplus):
        raise InvalidData(wrong_width([cell.text for cell in cells], width))
    return cells[:width]


TWO_MARKS: Final = "writes a decimal comma where rows before it have points, or the reverse"
"""What is wrong with a row; it stands in place of its cells where a file is rewritten as CSV."""


def wrong_width(texts: Sequence[str], width: int) -> str:
    """Return what is wrong with a row of these cells where the header has ``width``."""
    if list(texts) == [TWO_MARKS]:
        return TWO_MARKS
    said = f"has {len(texts)} cells, the header has {width}"
    if any(_BLANK_BEFORE_QUOTE.match(text) for text in texts):
        return f"{said}: a blank stands before a quote, which then opens no cell"
    return said


def value_of(name: str, cell: Cell) -> str | None:
    """Return what a cell of CSV in the column ``name`` says: its text, or None for no value.

    A text column keeps what stands in quotes as it is, a mark for "no value" too. Blanks around
    anything else do not count.
    """
    text = restored(cell.text)
    if cell.quoted and (name in TEXTS or name not in _KNOWN):
        return text
    bare = trimmed(text)
    return None if bare.casefold() in NO_VALUE else bare


_KNOWN: Final = NUMERIC | TEXTS | {*RAW_FEATURES, *ENGINEERED_FEATURES, "timestamp", "date"}


# --- texts that a spreadsheet would run ---
#
# A cell that begins with =, +, -, @, a tab or a carriage return can make a spreadsheet call a
# program or a web address when somebody opens the file. So every export writes an apostrophe before
# it, which spreadsheets read as "this is text", and every reader takes that apostrophe away again.
# A text that has such apostrophes already gets one more: what was written is what is read. Numbers
# and marks for "no value" are no formulas.

UNSEEN: Final = (
    "\\x00-\\x20\\x7f-\u00a0\u00ad\u061c\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f\u2000-\u200f"
    "\u2028-\u202f\u205f-\u206f\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    "\U000e0000-\U000e0fff"
)
"""Blanks, control characters and what has no width, for a class of a regular expression.

The latter is what Unicode calls ``Default_Ignorable_Code_Point``, but for musical symbols and
shorthand.
"""

SIGNS: Final = (
    "=+\\-@\u207a\u207c\u208a\u208c\ufb29\ufe62\ufe63\ufe66\ufe6b\uff0b\uff0d\uff1d\uff20"
)
"""The signs that begin a formula, and whatever Unicode's form NFKC makes one of them."""

FORMULA: Final = f"(?:[{UNSEEN}]*[{SIGNS}]|[\\t\\r\\n])"
"""How a formula begins, as a regular expression of Python, RE2 and Java.

What is not seen before it counts, and so do the wide and small signs of East Asian keyboards.
"""

NUMBER_CELL: Final = f"(?i)^[{BLANKS}]*{_NUMBER.pattern}[{BLANKS}]*$"
"""A cell that is a number, as a regular expression of Python and Java."""

_BARE: Final = re.compile(FORMULA)
_MARKED: Final = re.compile(f"'*{FORMULA}")
_RESTORABLE: Final = re.compile(f"'+{FORMULA}")


def neutral(text: str) -> str:
    """Return ``text`` as a file has it: with one more apostrophe where it begins like a formula."""
    if _MARKED.match(text) is None or _is_harmless(text):
        return text
    return f"'{text}"


def restored(text: str) -> str:
    """Return the text that ``neutral`` was given, for what it returned."""
    return text[1:] if _RESTORABLE.match(text) else text


def copied(text: str) -> str:
    """Return the text of one file's cell as another file has it: not changed a second time."""
    if _BARE.match(text) is None or _is_harmless(text):
        return text
    return f"'{text}"


def _is_harmless(text: str) -> bool:
    return is_no_value(text) or isinstance(number_of(text), float)
