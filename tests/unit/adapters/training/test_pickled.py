"""What the converter makes of a pickle before any graph: its columns, its labels, its parts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from runner.examples import examples
from stroke.adapters.training.pickle_converter.assembling import listed_names
from stroke.adapters.training.pickle_converter.columns import (
    convertible,
    transformers_by_name,
    used_columns,
)
from stroke.adapters.training.pickle_converter.finding import find_model, positive_class
from stroke.adapters.training.pickle_converter.refusals import Refused

NAMES = ["age", "bmi", "id", "avg_glucose_level", "hypertension"]
TABLE = pd.DataFrame(np.random.default_rng(0).random((20, len(NAMES))), columns=NAMES)
OUTCOME = np.arange(20) % 2

places = st.integers(-len(NAMES), len(NAMES) - 1)
selections = st.one_of(
    st.lists(places, min_size=1, max_size=4, unique_by=lambda place: place % len(NAMES)),
    st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True),
    st.lists(st.booleans(), min_size=len(NAMES), max_size=len(NAMES)).filter(any),
    st.lists(st.booleans(), min_size=len(NAMES), max_size=len(NAMES)).filter(any).map(np.array),
    st.builds(slice, st.none() | places, st.none() | places).filter(
        lambda chosen: NAMES[chosen]  # scikit-learn fits no empty slice
    ),
    st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)).map(
        lambda ends: slice(*sorted(ends, key=NAMES.index))
    ),
    st.sampled_from(NAMES).map(lambda name: [name]),
)


@settings(max_examples=examples(60))
@given(selections)
def test_however_columns_are_named_they_are_those_that_scikit_learn_takes(chosen: Any) -> None:
    fitted = ColumnTransformer([("some", StandardScaler(), chosen)]).fit(TABLE)
    taken = [each.partition("__")[2] for each in fitted.get_feature_names_out()]
    [(_, columns), *_] = transformers_by_name(fitted, NAMES)
    assert columns == taken
    assert used_columns(fitted, NAMES) == set(taken)
    del fitted._transformer_to_input_indices  # as before scikit-learn kept them
    [(_, again), *_] = transformers_by_name(fitted, NAMES)
    assert again == columns


def test_a_copy_that_can_be_converted_leaves_the_original_as_it_was() -> None:
    fitted = ColumnTransformer([("some", StandardScaler(), slice(0, 2))]).fit(TABLE)
    copied = convertible(fitted, NAMES)
    assert copied.transformers_[0][2] == ["age", "bmi"]
    np.testing.assert_array_equal(
        fitted.transform(TABLE), StandardScaler().fit_transform(TABLE[["age", "bmi"]])
    )


@pytest.mark.parametrize(
    ("classes", "place"),
    [
        ([0, 1], 1),
        ([0.0, 1.0], 1),
        ([-1, 1], 1),
        (["0", "1"], 1),
        ([False, True], 1),
        (["False", "True"], 1),
        (["No", "Yes"], 1),
        (["YES", "no "], 0),
        (["n", "y"], 1),
        (["no stroke", "stroke"], 1),
        (["Negative", "Positive"], 1),
    ],
)
def test_labels_that_say_what_they_are_need_no_option(classes: list[Any], place: int) -> None:
    assert positive_class(np.array(classes), None) == place


@pytest.mark.parametrize("classes", [[1, 2], ["a", "b"], ["yes", "stroke"], ["no", "none"]])
def test_other_labels_need_one(classes: list[Any]) -> None:
    with pytest.raises(Refused, match="--positive-label"):
        positive_class(np.array(classes), None)
    assert positive_class(np.array(classes), f" {classes[0]} ".upper()) == 0
    assert positive_class(np.array(classes), str(classes[1])) == 1
    with pytest.raises(Refused, match="no class is 'other'"):
        positive_class(np.array(classes), "other")


def test_more_classes_than_two_are_refused() -> None:
    with pytest.raises(Refused, match="3 classes"):
        positive_class(np.array([0, 1, 2]), None)


def test_a_model_and_the_steps_beside_it_are_found_at_any_depth() -> None:
    model, scaler = LogisticRegression().fit(TABLE, OUTCOME), MinMaxScaler().fit(TABLE)
    for found in (
        {"deep": {"model": model}, "scaler": scaler, "threshold": 0.3},
        [scaler, (model,)],
        (model, [scaler, "notes"]),
    ):
        chosen, beside = find_model(found, None)
        assert chosen is model
        assert [step for _, step in beside] == [scaler]
    with pytest.raises(Refused, match=r"several models \(a, b\.0\).*--part"):
        find_model({"a": model, "b": [model]}, None)
    assert find_model({"a": scaler, "b": [model, model]}, "b.1")[0] is model
    with pytest.raises(Refused, match="no model is called 'c'"):
        find_model({"a": model}, "c")


def test_a_list_of_column_names_is_found_if_there_is_one() -> None:
    assert listed_names({"model": 1, "columns": NAMES}, len(NAMES)) == NAMES
    assert listed_names({"a": NAMES, "b": NAMES[::-1]}, len(NAMES)) is None
    assert listed_names({"columns": NAMES}, 2) is None
