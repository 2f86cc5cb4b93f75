from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.predictions import FakeColumnarRiskModel
from stroke.adapters.arrow.csv_rows import cut
from stroke.adapters.arrow.scoring import lines
from stroke.application.predictions.columnar import Scores, strongest
from stroke.domain.risk import Contribution, RiskAssessment, RiskBands, RiskCategory

MODEL = FakeColumnarRiskModel().description
BANDS = RiskBands(medium=0.02, high=0.2)
FEATURES = ("age", "bmi", "gender", "hypertension")
ODDS = st.sampled_from([0.0, -0.0, 0.5, -0.5, 1.0, -2.0, 1e-300])


def scores_of(
    probability: list[float], log_odds: list[list[float]], features: tuple[str, ...] = FEATURES
) -> Scores:
    count = len(probability)
    baseline, variant = np.full(count, -3.0), np.zeros(count, np.int64)
    return Scores(np.array(probability), np.array(log_odds), features, baseline, variant)


def text(
    probability: list[float], log_odds: list[list[float]], ids: list[int] | None = None
) -> str:
    rows, _ = cut(b'a,b\r\nskipped\r\n\r\n"c\nd",e\r\n', 2, 2)
    scores = scores_of(probability, log_odds)
    kept = np.array([0, 2])[: len(probability)]
    return bytes(lines(rows, kept, scores, MODEL, newline=b"\r\n", ids=ids)).decode()


def test_each_row_keeps_its_text_and_gets_its_score() -> None:
    assert text([0.25, 0.001], [[1, 0, -2, 0.5], [0, 0, 0, -0.1]]) == (
        'a,b,0.25,High,gender;age;hypertension,fake-1\r\n"c\nd",e,0.001,Low,hypertension,fake-1\r\n'
    )


def test_stored_rows_get_their_ids() -> None:
    assert text([0.02], [[0, 0, 0, 0]], ids=[41]) == "a,b,0.02,Medium,,fake-1,41\r\n"


@given(st.floats(0, 1))
def test_a_probability_reads_back_as_the_same_number(probability: float) -> None:
    assert float(text([probability], [[1, 0, 0, 0]]).split(",")[2]) == probability


@given(st.floats(0, 1) | st.sampled_from([0.02, 0.2, np.nextafter(0.2, 0)]))
def test_categories_are_those_of_the_domain(probability: float) -> None:
    index = scores_of([probability], [[0, 0, 0, 0]]).categories(MODEL)[0]
    assert tuple(RiskCategory)[index] == BANDS.categorise(probability)


@given(st.lists(ODDS, min_size=0, max_size=6))
def test_the_strongest_factors_are_those_of_the_domain(log_odds: list[float]) -> None:
    names = [str(column) for column in range(len(log_odds))]
    contributions = [Contribution(n, 0, v) for n, v in zip(names, log_odds, strict=True)]
    contributions.sort(key=lambda c: -abs(c.log_odds))
    expected = RiskAssessment(0.5, RiskCategory.HIGH, tuple(contributions), 0.0).factors
    ranks = [int(rank[0]) for rank in strongest(np.array([log_odds]).reshape(1, -1))]
    assert [names[rank] for rank in ranks if rank < len(names)] == expected


@pytest.mark.parametrize("version", ["1,0", '1"0', "1\r0"])
def test_a_version_is_quoted_where_csv_needs_it(version: str) -> None:
    rows, _ = cut(b"a,b\n", 2, 2)
    scores = scores_of([0.5], [[1.0]], ("age",))
    model = type(MODEL)(**{n: getattr(MODEL, n) for n in MODEL.__slots__} | {"version": version})
    line = bytes(lines(rows, np.array([0]), scores, model, newline=b"\n"))
    read = pacsv.read_csv(
        pa.py_buffer(line),
        read_options=pacsv.ReadOptions(autogenerate_column_names=True),
        parse_options=pacsv.ParseOptions(newlines_in_values=True),
    )
    assert read.column(5).to_pylist() == [version]
