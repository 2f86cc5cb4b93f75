"""Columns of features that a model declares for itself: vectorised as the domain judges them."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.columnar import FIELDS, csv_row, csv_text, header
from builders.further import OF_ALL_KINDS
from builders.predictions import patient_json
from fakes.predictions import FakeColumnarRiskModel
from stroke.adapters.arrow.batches import BatchScoring
from stroke.adapters.arrow.bulk import BulkScoring
from stroke.adapters.arrow.csv_cells import judged, patient_of
from stroke.adapters.arrow.csv_columns import judge_rows
from stroke.adapters.arrow.csv_rows import cut
from stroke.domain.errors import InvalidData, InvalidPatient
from stroke.domain.patient import Patient

OWN = tuple(each.name for each in OF_ALL_KINDS)
WORDS = ("none", "some")
MODEL = FakeColumnarRiskModel(further=OF_ALL_KINDS)
CELLS = st.sampled_from(
    [
        *("", "90", "96.5", " 96.5 ", "39.9", "200", "201", "9e1", "inf", "nan", "N/A", "x"),
        *("0", "1", "1.0", "yes", "No", "2", "0.5", "true"),
        *("none", "None", " none ", "some", "SOME", "null", "'=x", "é"),
    ]
)


def as_columns(patient: Patient) -> list[Any]:
    """Return the patient's own values, as columns have what is missing."""
    gaps = {"waist": np.nan, "alcohol": ""}
    return [gaps[name] if value is None else value for name, value in patient.further]


@given(st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=6), st.booleans())
def test_rows_of_csv_are_read_as_the_domain_judges_them(
    rows: list[tuple[str, str, str]], quoted: bool
) -> None:
    names = (*FIELDS, *OWN)
    known = header(*names, further=OF_ALL_KINDS)
    plain = [str(value) for value in patient_json().values()]
    texts = [csv_row([*plain, *row]) for row in rows]
    if quoted:
        texts = [",".join(f'"{cell}"' for cell in (*plain, *row)) for row in rows]
    block, _ = cut(("\n".join(texts) + "\n").encode(), 2, len(names))

    found = judge_rows(block, known)
    features = found.read.features(found.fit)

    wanted, fit = [], []
    for text in texts:
        try:
            row = judged(text.encode(), known.positions, known.width, (), OF_ALL_KINDS)
        except (InvalidPatient, InvalidData):
            fit.append(False)
        else:
            fit.append(True)
            wanted.append(as_columns(row.patient))
    assert found.fit.tolist() == fit
    for at, name in enumerate(OWN):
        np.testing.assert_array_equal(features[name], np.array([row[at] for row in wanted]))


@given(
    waist=st.none() | st.floats(30, 210) | st.sampled_from(["90", "x", ""]),
    diabetes=st.none() | st.sampled_from([0, 1, 2, True, False, "yes", ""]),
    alcohol=st.none() | st.sampled_from(["none", "some", "None", "x", ""]),
)
def test_rows_of_batches_are_read_as_the_domain_judges_them(
    waist: Any, diabetes: Any, alcohol: Any
) -> None:
    row = {**patient_json(), "waist": waist, "diabetes": diabetes, "alcohol": alcohol}
    batch = pa.RecordBatch.from_pylist([row])
    reasons = []
    try:
        patient_of(row, (), OF_ALL_KINDS)
    except InvalidPatient as error:
        reasons.append(str(error))
    scored = BatchScoring(batch.schema, MODEL, contributions=True).score(batch)
    assert [each.reason for each in scored.rejects] == reasons
    for found in scored.rows.to_pylist():
        known = {"waist": waist not in (None, ""), "diabetes": True, "alcohol": alcohol in WORDS}
        assert {name: found[f"log_odds_{name}"] for name in OWN} == {
            name: 0.1 if is_known else 0.0 for name, is_known in known.items()
        }


def test_a_file_without_a_column_that_the_model_needs_is_refused_by_its_name() -> None:
    with pytest.raises(InvalidData, match="columns missing from the header: diabetes"):
        BulkScoring(BytesIO(csv_text({})), model=MODEL)


def test_a_column_that_may_be_missing_may_be_away_and_names_are_spelled_in_any_way() -> None:
    text = csv_text({"Diabetes": "yes"}, extra=("Diabetes",))
    out: list[bytes] = []
    done = BulkScoring(BytesIO(text), model=MODEL, contributions=True).run(
        lambda part: out.append(bytes(part)), lambda _: None, lambda _: None
    )
    assert (done.scored, done.rejected) == (1, 0)
    names, cells = (line.split(b",") for line in b"".join(out).splitlines())
    scored = dict(zip(names, cells, strict=True))
    assert (scored[b"log_odds_diabetes"], scored[b"log_odds_waist"]) == (b"0.1", b"0")


def test_stored_rows_have_the_values() -> None:
    text = csv_text(
        {"waist": "96.5", "diabetes": "1", "alcohol": "none"},
        extra=("waist", "diabetes", "alcohol"),
    )
    stored: list[Patient] = []

    def store(patients: Any) -> list[int]:
        stored.extend(patients)
        return list(range(1, len(patients) + 1))

    BulkScoring(BytesIO(text), model=MODEL, store=store).run(
        lambda _: None, lambda _: None, lambda _: None
    )
    assert [each.further for each in stored] == [
        (("waist", 96.5), ("diabetes", 1), ("alcohol", "none"))
    ]
