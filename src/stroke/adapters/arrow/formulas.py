"""The rule of ``application.predictions.cells`` for whole rows and columns at a time."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stroke.adapters.arrow.csv_rows import BOM, Indices, Rows
from stroke.application.predictions.cells import FORMULA, copied, neutral, restored, split

# Where a cell may begin like a formula: a first byte of one, or of what is not seen before it, that
# follows no letter or digit, and is not the sign of a plain number. Most blocks have none, and are
# not looked at cell by cell. The second line has the other bytes of such characters in UTF-8.
_SUSPECT: Final = re.compile(
    rb"[=+\-@\t\r\xc2\xd8\xe1\xe2\xe3\xef\xf3](?<![A-Za-z0-9\x80-\xff].)"
    rb"(?:(?<=[=+\-@\t\r\xef])|(?<=\xc2)[\x80-\xa0\xad]|(?<=\xd8)\x9c|(?<=\xe1)[\x85\x9a\x9e\xa0]"
    rb"|(?<=\xe2)[\x80-\x82]|(?<=\xe3)(?:\x80\x80|\x85\xa4)|(?<=\xf3)\xa0)"
    rb'(?!(?<=[+\-])(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?(?:[",\r\n]|\Z))',
    re.DOTALL,
)
_QUOTED: Final = re.compile('[",\r\n]')


def copied_rows(texts: pa.StringArray, rows: Rows, kept: Indices) -> pa.StringArray:
    """Return ``texts``, which are those of the ``kept`` rows, with neutral cells only."""
    hits = np.fromiter((hit.start() for hit in _SUSPECT.finditer(rows.data)), np.int64)
    if not len(hits):
        return texts
    suspects = np.unique(np.searchsorted(rows.starts, hits, "right") - 1)
    places = np.flatnonzero(np.isin(kept, suspects))
    changed = {}
    for place in places.tolist():
        row = rows.row(int(kept[place])).decode("utf-8", "surrogateescape")
        if (other := copied_row(row)) != row:
            changed[place] = other.encode("utf-8", "surrogateescape")
    if not changed:
        return texts
    mask = np.zeros(len(texts), np.bool_)
    mask[list(changed)] = True
    replaced = pc.replace_with_mask(
        texts.cast(pa.binary()), pa.array(mask), pa.array(list(changed.values()), pa.binary())
    )
    return pc.cast(replaced, pa.string(), safe=False)


def copied_header(header: bytes) -> bytes:
    """Return a header row with neutral names only."""
    bare = header.removeprefix(BOM)
    row = copied_row(bare.decode("utf-8", "surrogateescape"))
    return header[: len(header) - len(bare)] + row.encode("utf-8", "surrogateescape")


def copied_row(row: str) -> str:
    """Return ``row``, which has no line end, as it is but for cells that begin like a formula."""
    pieces, start = [], 0
    for cell in split(row):
        text = copied(cell.text)
        raw = row[start : cell.end]
        pieces.append(raw if text == cell.text else _written(text, quoted=cell.quoted))
        start = cell.end + 1
    return ",".join(pieces)


def neutral_batch(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return ``batch`` as CSV has it: the texts that begin like a formula are neutral."""
    return _mapped(batch, f"^'*{FORMULA}", neutral)


def restored_batch(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return ``batch``, which CSV had, with the texts that ``neutral_batch`` was given."""
    return _mapped(batch, f"^'+{FORMULA}", restored)


def neutral_names(names: list[str]) -> str:
    """Return a header of CSV with a line end."""
    header = io.StringIO()
    csv.writer(header, lineterminator="\n").writerow(map(neutral, names))
    return header.getvalue()


def _mapped(batch: pa.RecordBatch, pattern: str, change: Callable[[str], str]) -> pa.RecordBatch:
    for at, field in enumerate(batch.schema):
        plain = pa.types.is_string(field.type) or pa.types.is_large_string(field.type)
        coded = pa.types.is_dictionary(field.type) or pa.types.is_string_view(field.type)
        if not (plain or coded):
            continue
        try:
            texts = batch.column(at) if plain else batch.column(at).cast(pa.string())
        except pa.ArrowException:  # a dictionary of something else
            continue
        found = pc.match_substring_regex(texts, pattern).fill_null(False)
        if not pc.any(found).as_py():
            continue
        others = pa.array([change(text) for text in texts.filter(found).to_pylist()], texts.type)
        changed = pc.replace_with_mask(texts, found, others)
        batch = batch.set_column(at, field, changed.cast(field.type))
    return batch


def _written(text: str, *, quoted: bool) -> str:
    if quoted or _QUOTED.search(text):
        return '"' + text.replace('"', '""') + '"'
    return text
