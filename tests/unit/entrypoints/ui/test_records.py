from __future__ import annotations

from typing import Any

import pytest

from builders.further import OF_ALL_KINDS
from stroke.domain.prediction import PredictionRecord
from stroke.entrypoints.ui.languages import languages
from stroke.entrypoints.ui.records import Stored, in_100, interval_in_100
from stroke.entrypoints.ui.words import NOTHING

ENGLISH = languages()["en"]


def stored(**columns: Any) -> Stored:
    return Stored(PredictionRecord(1, **columns), ENGLISH)


@pytest.mark.parametrize(
    ("probability", "low", "high", "estimate", "interval"),
    [
        (0.18, 0.12, 0.26, "18 in 100", "12 to 26"),
        (0.002, 0.0011, 0.0042, "2 in 1,000", "1 to 4"),
        (0.0001, 0.0, 0.0004, "fewer than 1 in 1,000", "< 1 to < 1"),
    ],
)
def test_an_estimate_and_its_interval_count_the_same_number_of_people(
    probability: float, low: float, high: float, estimate: str, interval: str
) -> None:
    data = {"interval": {"low": low, "high": high}}
    row = stored(probability=probability, prediction_data=data)
    assert row.in_words == estimate
    assert row.interval_in_words == interval


@pytest.mark.parametrize(
    ("probability", "column"),
    [
        (0.0, "< 0.1"),
        (0.0004, "< 0.1"),
        (0.0005, "0.1"),
        (0.018, "1.8"),
        (0.023, "2.3"),
        (0.0994, "9.9"),
        (0.0996, "10"),
        (0.1816, "18"),
        (0.9999, "99"),
        (1.0, "100"),
    ],
)
def test_a_column_has_a_decimal_where_two_bands_would_round_to_one_number(
    probability: float, column: str
) -> None:
    assert in_100(probability, ENGLISH) == column
    assert interval_in_100(probability, 1.0, ENGLISH) == f"{column} to 100"


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        "text",
        {"interval": 5, "support": 7, "log_odds": [1]},
        {"interval": {"low": "a", "high": None}, "log_odds": {"age": "b", "bmi": None}},
        {"interval": {"low": 0.9, "high": 0.1}, "support": {"level": "<b>"}},
    ],
)
def test_a_row_that_holds_any_json_is_shown_without_what_it_lacks(data: Any) -> None:
    row = stored(probability=7.5, prediction_data=data)
    assert (row.in_words, row.in_100, row.interval, row.interval_in_words) == (
        NOTHING,
        NOTHING,
        "",
        "",
    )
    assert (row.support, row.parts, row.name, row.made, row.place) == ("", [], NOTHING, NOTHING, "")
    assert [value for _, value in row.measurements] == ["not measured"] * 7


def test_the_explanation_is_shown_as_it_is_stored_strongest_first() -> None:
    data = {"age": 50.0, "bmi": None, "log_odds": {"bmi": 0.01, "age": -1.5}}
    row = stored(age=51.0, prediction_data=data)
    assert row.parts == [
        ("Age", "50 years", "lowers strongly", "\N{MINUS SIGN}1.50"),
        ("BMI", "not measured", "hardly matters", "+0.01"),
    ]


def test_a_row_without_an_explanation_shows_the_features_of_its_models_own() -> None:
    data = {"waist": 96.5, "diabetes": 1, "alcohol": ["of", "another", "program"]}
    row = Stored(PredictionRecord(1, prediction_data=data), ENGLISH, OF_ALL_KINDS)
    shown = dict(row.measurements)
    assert (shown["waist"], shown["diabetes"]) == ("96.5 cm", "yes")
    assert shown["alcohol"] == "['of', 'another', 'program']"
    assert dict(stored(prediction_data=data).measurements).keys() == shown.keys() - data.keys()
