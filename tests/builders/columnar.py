"""CSV text for the tests of bulk scoring."""

from __future__ import annotations

import csv
import io
from typing import Any

from builders.predictions import patient_json
from stroke.adapters.arrow.csv_header import Header
from stroke.domain.further import Further

FIELDS = tuple(patient_json())


def header(*names: str, may_be_missing: tuple[str, ...] = (), further: Further = ()) -> Header:
    text = ",".join(names).encode()
    return Header.parse(text, store=False, may_be_missing=may_be_missing, further=further)


def csv_row(cells: list[str]) -> str:
    text = io.StringIO()
    csv.writer(text).writerow(cells)
    return text.getvalue().removesuffix("\r\n")


def csv_text(*changes: dict[str, Any], extra: tuple[str, ...] = (), newline: str = "\n") -> bytes:
    """Return a file with one row per mapping of what differs from a plain patient."""
    names = [*FIELDS, *extra]
    rows = [csv_row(names)]
    for change in changes:
        row = {**patient_json(), **dict.fromkeys(extra, ""), **change}
        rows.append(csv_row([str(row[name]) for name in names]))
    return (newline.join(rows) + newline).encode()
