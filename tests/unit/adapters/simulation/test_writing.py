from __future__ import annotations

import csv
import hashlib
import io
import json

import pytest

from stroke.adapters.simulation.writing import FIELDS, Format, text
from stroke.domain.patient import OPTIONAL, Patient


def written(count: int, form: Format, *, seed: int = 7, at_a_time: int = 100) -> str:
    return b"".join(text(count, seed, form, at_a_time=at_a_time)).decode()


@pytest.mark.parametrize(
    ("form", "sha256"),
    [
        (Format.CSV, "ae2b3b3770b3fef343e1438aee6a24c198c1de3bf325118a7863bde6644cf98d"),
        (Format.NDJSON, "7920a950c38cca47a4b77994df43e76d914e3f5f61af21988791b95b1fdadef6"),
    ],
)
def test_a_seed_gives_the_same_bytes_on_every_machine(form: Format, sha256: str) -> None:
    assert hashlib.sha256(written(10_000, form).encode()).hexdigest() == sha256


@pytest.mark.parametrize("form", Format)
def test_fewer_patients_are_the_beginning_of_more(form: Format) -> None:
    assert written(250, form, at_a_time=64).startswith(written(120, form, at_a_time=7))


def test_the_csv_has_the_fields_of_the_api_in_order() -> None:
    rows = list(csv.reader(io.StringIO(written(50, Format.CSV))))
    assert rows[0] == list(FIELDS) == list(Patient.__slots__)
    assert {len(row) for row in rows} == {10}
    assert len(rows) == 51


def test_a_line_of_ndjson_is_a_request_body() -> None:
    lines = written(50, Format.NDJSON).splitlines()
    assert len([Patient(**json.loads(line)) for line in lines]) == 50


def test_both_formats_hold_the_same_patients() -> None:
    table = list(csv.DictReader(io.StringIO(written(50, Format.CSV))))
    objects = [json.loads(line) for line in written(50, Format.NDJSON).splitlines()]
    assert table == [{field: str(value) for field, value in row.items()} for row in objects]


def test_no_patients_make_a_header_or_nothing() -> None:
    assert written(0, Format.CSV) == ",".join(FIELDS) + "\n"
    assert written(0, Format.NDJSON) == ""


@pytest.mark.parametrize("form", Format)
def test_a_gap_is_an_empty_cell_or_null_and_nothing_else_changes(form: Format) -> None:
    before = written(50, form)
    gaps = b"".join(text(50, 7, form, missing=0.5)).decode()
    assert b"".join(text(50, 7, form, missing=0.0)).decode() == before
    lines = gaps.splitlines()
    if form is Format.CSV:
        found = [
            {n: None if n in OPTIONAL and not v else v for n, v in row.items()}
            for row in csv.DictReader(lines)
        ]
        whole = list(csv.DictReader(before.splitlines()))
    else:
        found, whole = (
            [json.loads(line) for line in lines],
            [json.loads(line) for line in before.splitlines()],
        )
    assert {name for row in found for name, value in row.items() if value is None} == set(OPTIONAL)
    for row, complete in zip(found, whole, strict=True):
        assert {**complete, **{n: None for n, v in row.items() if v is None}} == row
