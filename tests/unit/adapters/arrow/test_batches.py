from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from builders.predictions import patient, patient_json
from fakes.predictions import FakeColumnarRiskModel, FakeRiskModel
from runner.examples import examples
from stroke.adapters.arrow.batches import BatchScoring, read_batch
from stroke.adapters.arrow.csv_cells import patient_of
from stroke.adapters.arrow.csv_header import Header
from stroke.adapters.arrow.screening import CHOICES
from stroke.domain.errors import InvalidData, InvalidPatient
from stroke.domain.features import ENGINEERED_FEATURES
from stroke.domain.patient import GENDERS, OPTIONAL, SMOKING_STATUSES

TYPES: dict[str, pa.DataType] = {
    **dict.fromkeys(("age", "avg_glucose_level", "bmi", "age_hypertension"), pa.float64()),
    **dict.fromkeys(("hypertension", "heart_disease"), pa.int64()),
}
PLAIN: dict[str, Any] = {**patient_json(), **dict.fromkeys(ENGINEERED_FEATURES)}


def batch_of(*changes: dict[str, Any], **types: pa.DataType) -> pa.RecordBatch:
    """Return a row per mapping of what differs from a plain patient."""
    rows = [{**PLAIN, **change} for change in changes]
    kinds = {name: TYPES.get(name, pa.string()) for name in PLAIN} | types
    columns = [pa.array([row[name] for row in rows], kind) for name, kind in kinds.items()]
    return pa.record_batch(columns, names=list(kinds))


def scored(
    *changes: dict[str, Any], may_be_missing: tuple[str, ...] = (), **types: pa.DataType
) -> tuple[list[dict[str, Any]], Any]:
    batch = batch_of(*changes, **types)
    model = FakeColumnarRiskModel(may_be_missing)
    rows, rejects = BatchScoring(batch.schema, model).score(batch)
    return rows.to_pylist(), rejects


def test_patients_with_gaps_get_the_scores_of_the_companions() -> None:
    changes: list[dict[str, Any]] = [
        {"bmi": None, "age": 80.0},
        {"avg_glucose_level": None},
        {"bmi": None, "avg_glucose_level": None, "hypertension": 1},
        {"age": 30.0},
    ]
    rows, rejects = scored(*changes, may_be_missing=OPTIONAL)
    assert rejects == []
    model = FakeRiskModel(OPTIONAL)
    for row, change in zip(rows, changes, strict=True):
        [assessed] = model.assess([patient(**change)])
        assert row["probability"] == pytest.approx(assessed.probability, abs=1e-12)
        assert row["risk_category"] == assessed.category
        assert {name: row[name] for name in PLAIN} == {**PLAIN, **change}


@pytest.mark.parametrize("mark", [float("nan"), None])
def test_no_number_in_a_column_of_numbers_is_a_gap(mark: float | None) -> None:
    [row], rejects = scored({"bmi": mark}, may_be_missing=("bmi",))
    assert rejects == []
    [assessed] = FakeRiskModel(("bmi",)).assess([patient(bmi=None)])
    assert row["probability"] == pytest.approx(assessed.probability, abs=1e-12)


@pytest.mark.parametrize("mark", ["", "N/A", "NULL", " nan ", None])
def test_a_mark_in_a_column_of_text_is_a_gap(mark: str | None) -> None:
    text = {name: None if value is None else str(value) for name, value in PLAIN.items()}
    kinds = dict.fromkeys(PLAIN, pa.string())
    [row], rejects = scored({**text, "bmi": mark}, may_be_missing=("bmi",), **kinds)
    assert (row["bmi"], rejects) == (mark, [])
    [reject] = scored({**text, "bmi": mark}, **kinds)[1]
    assert reject.reason == "bmi must be a number"


def test_measurements_that_become_numbers_are_null_where_they_were_missing() -> None:
    text = {name: None if value is None else str(value) for name, value in PLAIN.items()}
    batch = batch_of({**text, "bmi": "N/A"}, text, **dict.fromkeys(PLAIN, pa.string()))
    scoring = BatchScoring(batch.schema, FakeColumnarRiskModel(("bmi",)), numbers=True)
    rows = scoring.score(batch).rows
    assert rows.column("bmi").to_pylist() == [None, PLAIN["bmi"]]
    assert rows.column("bmi").null_count == 1


@pytest.mark.parametrize("may_be_missing", [(), ("bmi",), ("avg_glucose_level",)])
def test_what_the_model_needs_is_refused_where_it_is_missing(
    may_be_missing: tuple[str, ...],
) -> None:
    rows, rejects = scored(
        {"bmi": None, "avg_glucose_level": None}, {}, may_be_missing=may_be_missing
    )
    assert len(rows) == 1
    needed = [name for name in OPTIONAL if name not in may_be_missing]
    assert [reject.reason for reject in rejects] == [
        "; ".join(f"{name} must be a number" for name in needed)
    ]


def test_each_row_gets_the_score_that_the_model_gives_its_patient() -> None:
    changes: list[dict[str, Any]] = [{"age": 80.0, "hypertension": 1}, {"age": 3.0}]
    rows, rejects = scored(*changes)
    expected = FakeRiskModel().assess([patient(**change) for change in changes])
    for row, change, assessed in zip(rows, changes, expected, strict=True):
        assert {name: row[name] for name in PLAIN} == {**PLAIN, **change}
        assert row["probability"] == pytest.approx(assessed.probability, abs=1e-12)
        assert row["risk_category"] == assessed.category
        assert row["contributing_factors"] == ";".join(assessed.factors)
        assert row["model_version"] == "fake-1"
    assert rejects == []


def test_contributions_come_on_request_and_sum_to_the_logit() -> None:
    batch = batch_of({"age": 80.0, "hypertension": 1})
    scoring = BatchScoring(batch.schema, FakeColumnarRiskModel(), contributions=True)
    [row] = scoring.score(batch).rows.to_pylist()
    parts = row["log_odds_age"], row["log_odds_hypertension"], row["baseline_log_odds"]
    logit = np.log(row["probability"] / (1 - row["probability"]))
    assert sum(parts) == pytest.approx(logit, abs=1e-12)
    assert parts == (pytest.approx(1.75), 0.4, -3.0)


def test_bad_rows_are_left_out_and_named_by_place() -> None:
    rows, rejects = scored(
        {"bmi": None}, {}, {"age": float("nan")}, {"gender": None}, {"hypertension": 2}, {"age": 5}
    )
    assert [row["age"] for row in rows] == [45.5, 5.0]
    assert rejects == [
        (0, "bmi must be a number"),
        (2, "age must be a number"),
        (3, "gender must be one of 'Male', 'Female', 'Other'"),
        (4, "hypertension must be 0 or 1"),
    ]


def test_a_batch_of_bad_rows_alone_has_no_scores() -> None:
    batch = batch_of({"bmi": None})
    scoring = BatchScoring(batch.schema, FakeColumnarRiskModel())
    rows, rejects = scoring.score(batch)
    assert (rows.num_rows, len(rejects)) == (0, 1)
    assert rows.schema == scoring.schema


@pytest.mark.parametrize(
    ("column", "kind", "value"),
    [
        ("age", pa.float32(), 80.0),
        ("age", pa.int16(), 80),
        ("age", pa.decimal128(5, 2), Decimal("80.00")),
        ("age", pa.string(), "80"),
        ("age", pa.large_string(), " +8e1 "),
        ("hypertension", pa.bool_(), True),
        ("hypertension", pa.float64(), 1.0),
        ("hypertension", pa.string(), "1.0"),
        ("hypertension", pa.string(), "Yes"),
        ("hypertension", pa.large_string(), " TRUE "),
        ("hypertension", pa.dictionary(pa.int8(), pa.string()), "ja"),
        ("hypertension", pa.decimal128(5, 2), Decimal("1.00")),
        ("gender", pa.string(), "Male  "),
        ("gender", pa.dictionary(pa.int8(), pa.string()), "Male"),
        ("gender", pa.large_string(), "Male"),
        ("name", pa.string_view(), "Ānna"),
        ("name", pa.null(), None),
    ],
)
def test_columns_of_any_fitting_type_are_read_and_kept(
    column: str, kind: pa.DataType, value: object
) -> None:
    [row], rejects = scored({column: value}, **{column: kind})
    assert rejects == []
    assert row[column] == value
    as_patient = {"age": 80.0, "hypertension": 1, "gender": "Male", "name": "Ānna"}
    [assessed] = FakeRiskModel().assess([patient(**{column: as_patient[column]})])
    assert row["probability"] == pytest.approx(assessed.probability, abs=1e-12)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (pa.float64(), 0.999999999999999),
        (pa.float64(), 1e-300),
        (pa.decimal128(38, 30), Decimal("0.999999999999999999999999")),
        (pa.string(), "0.999999999999999"),
        (pa.string(), "maybe"),
    ],
)
def test_what_is_nearly_a_flag_is_none(kind: pa.DataType, value: object) -> None:
    rows, rejects = scored({"hypertension": value}, hypertension=kind)
    assert (rows, rejects) == ([], [(0, "hypertension must be 0 or 1")])


def test_a_patient_without_a_smoking_status_has_an_unknown_one() -> None:
    rows, rejects = scored({"smoking_status": None}, {"smoking_status": "NA"}, {})
    assert rejects == []
    assert [row["smoking_status"] for row in rows] == [None, "NA", "never smoked"]


def test_columns_are_found_by_names_that_are_spelled_otherwise() -> None:
    batch = batch_of({"age": 80.0})
    named = [name.title().replace("_", " ") for name in batch.schema.names]
    rows, rejects = BatchScoring(
        batch.rename_columns(named).schema, FakeColumnarRiskModel(), numbers=True
    ).score(batch.rename_columns(named))
    assert rejects == []
    assert rows.column("Age").to_pylist() == [80.0]
    assert rows.schema.field("Heart Disease").type == pa.int64()


@pytest.mark.parametrize(
    ("column", "kind", "message"),
    [
        ("age", pa.bool_(), "the column age holds bool, not numbers"),
        ("bmi", pa.date32(), r"the column bmi holds date32\[day\], not numbers"),
        ("gender", pa.int64(), "the column gender holds int64, not text"),
    ],
)
def test_a_column_of_another_type_is_refused(column: str, kind: pa.DataType, message: str) -> None:
    schema = batch_of().schema
    schema = schema.set(schema.get_field_index(column), pa.field(column, kind))
    with pytest.raises(InvalidData, match=message):
        BatchScoring(schema, FakeColumnarRiskModel())


def test_columns_that_scoring_adds_are_refused_in_the_input() -> None:
    schema = batch_of().schema.append(pa.field("baseline_log_odds", pa.float64()))
    BatchScoring(schema, FakeColumnarRiskModel())
    with pytest.raises(InvalidData, match="rename them: baseline_log_odds"):
        BatchScoring(schema, FakeColumnarRiskModel(), contributions=True)


NUMBERS = st.none() | st.floats(allow_subnormal=False) | st.floats(0, 120) | st.just(45.5)
FLAGS = st.none() | st.integers(-1, 2)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "gender": st.none() | st.sampled_from([*GENDERS, "male", ""]),
    "smoking_status": st.none() | st.sampled_from(SMOKING_STATUSES) | st.text(max_size=3),
    "hypertension": FLAGS,
    "heart_disease": FLAGS,
    "name": st.none() | st.text(max_size=4) | st.sampled_from(["é" * 100, "é" * 101, "x\x85"]),
    "country": st.none() | st.text(max_size=51),
    "province": st.none() | st.just("Québec"),
    "age_group": st.sampled_from([None, "", "Young adult", "Very old", "old"]),
    "bmi_category": st.sampled_from([None, "", "Healthy Weight", "Overweight"]),
    "glucose_category": st.sampled_from([None, "", "Normal"]),
    "age_hypertension": st.sampled_from([None, 0.0, 45.5, 45.50001]) | NUMBERS,
}


@st.composite
def rows(draw: st.DrawFn) -> dict[str, Any]:
    """What a row spoils of a plain patient."""
    spoilt = draw(st.lists(st.sampled_from(list(PLAIN)), max_size=3, unique=True))
    return {name: draw(VALUES.get(name, NUMBERS)) for name in spoilt}


@given(st.lists(rows(), min_size=1, max_size=6), st.sampled_from([(), ("bmi",), OPTIONAL]))
@example([{"age": float("inf"), "age_hypertension": float("nan")}], ())
@settings(max_examples=examples(300))
def test_the_columns_and_the_domain_agree_on_every_row(
    changes: list[dict[str, Any]], may_be_missing: tuple[str, ...]
) -> None:
    batch = batch_of(*changes)
    header = Header.of(batch.schema.names, may_be_missing=may_be_missing)
    columns = read_batch(batch, header)
    for index, row in enumerate(batch.to_pylist()):
        if columns.suspect[index]:
            continue
        judged = patient_of(row, may_be_missing)
        for name, values in columns.numbers.items():
            value = getattr(judged, name)
            assert math.isnan(values[index]) if value is None else values[index] == value
        for name, codes in columns.codes.items():
            assert CHOICES[name][codes[index]] == getattr(judged, name)


def test_good_rows_are_not_looked_at_twice() -> None:
    claims = {"age_group": "Young adult", "bmi_category": "", "age_hypertension": 0.0}
    batch = batch_of({}, claims, {"name": None}, {"bmi": None})
    suspect = read_batch(batch, Header.of(batch.schema.names)).suspect
    assert suspect.tolist() == [False, False, False, True]
    tolerant = Header.of(batch.schema.names, may_be_missing=("bmi",))
    assert not read_batch(batch, tolerant).suspect.any()


def test_no_reason_quotes_a_value() -> None:
    secret = "4815162342"
    kinds = dict.fromkeys(PLAIN, pa.string())
    for column in PLAIN:
        if column in ("name", "country", "province"):
            continue
        row = {name: None if value is None else str(value) for name, value in PLAIN.items()}
        [reject] = scored({**row, column: secret}, **kinds)[1]
        assert column in reject.reason
        assert secret not in reject.reason
        with pytest.raises(InvalidPatient):
            patient_of({**row, column: secret})
