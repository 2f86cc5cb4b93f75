from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stroke.domain.drift import FLOOR, BinCounts, ReferenceHistogram, drift, stability_index

AGES = ReferenceHistogram((0.25, 0.5, 0.25), cuts=(40.0, 60.0))
GENDERS = ReferenceHistogram((0.6, 0.4, 0.0), labels=("Female", "Male"))
COUNTS = st.lists(st.integers(0, 10_000), min_size=3, max_size=3)


@pytest.mark.parametrize(
    ("value", "place"), [(-1.0, 0), (39.999, 0), (40.0, 1), (59.9, 1), (60.0, 2), (1e9, 2)]
)
def test_a_bin_holds_what_lies_from_its_cut_on(value: float, place: int) -> None:
    assert AGES.place(value) == place


def test_a_category_that_training_never_met_has_a_bin_of_its_own() -> None:
    assert [GENDERS.place(each) for each in ("Female", "Male", "Other", "")] == [0, 1, 2, 2]
    assert GENDERS.names == ["Female", "Male", "anything else"]
    assert AGES.names == ["below 40", "40 to 60", "from 60"]


def test_flags_are_categories_whatever_number_they_are() -> None:
    flags = ReferenceHistogram((0.9, 0.1, 0.0), labels=("0", "1"))
    assert [flags.place(0), flags.place(1)] == [0, 1]


@pytest.mark.parametrize(
    "broken",
    [
        {"shares": (1.0,)},
        {"shares": (0.5, 0.5), "cuts": (1.0,), "labels": ("a",)},
        {"shares": (0.5, 0.5), "cuts": (1.0, 2.0)},
        {"shares": (0.5, 0.25, 0.25), "cuts": (2.0, 1.0)},
        {"shares": (0.5, 0.25, 0.25), "labels": ("a", "a")},
        {"shares": (0.5, 0.4), "cuts": (1.0,)},
        {"shares": (1.5, -0.5), "cuts": (1.0,)},
    ],
)
def test_a_histogram_that_is_none_is_refused(broken: dict[str, tuple[float, ...]]) -> None:
    with pytest.raises(ValueError, match=r"histogram|cuts|label|shares"):
        ReferenceHistogram(**broken)  # type: ignore[arg-type]


def test_the_index_is_what_its_formula_says() -> None:
    expected = (0.3 - 0.25) * math.log(0.3 / 0.25) + (0.2 - 0.25) * math.log(0.2 / 0.25)
    assert stability_index(AGES.shares, [30, 50, 20]) == pytest.approx(expected, rel=1e-12)


def test_an_empty_bin_counts_as_the_floor() -> None:
    index = stability_index((0.5, 0.5), [10, 0])
    assert index == pytest.approx(0.5 * math.log(2) + (FLOOR - 0.5) * math.log(FLOOR / 0.5))


def test_of_nothing_there_is_no_index() -> None:
    assert stability_index((0.5, 0.5), [0, 0]) is None


@given(COUNTS.filter(any))
def test_the_index_is_never_below_zero_but_for_the_floor(counts: list[int]) -> None:
    index = stability_index(AGES.shares, counts)
    assert index is not None
    assert index > -3 * FLOOR


@given(st.integers(1, 1000))
def test_equal_shares_have_an_index_of_zero(times: int) -> None:
    assert stability_index(AGES.shares, [times, 2 * times, times]) == pytest.approx(0, abs=1e-12)


@given(COUNTS, COUNTS, COUNTS)
def test_counts_of_parts_add_up_in_any_order(a: list[int], b: list[int], c: list[int]) -> None:
    one, two, three = BinCounts(a, 1), BinCounts(b, 2), BinCounts(c, 3)
    assert (one + two) + three == one + (two + three) == three + two + one


def test_what_is_missing_is_counted_apart() -> None:
    counted = BinCounts.of(AGES)
    counted.add(AGES, [30.0, None, 50.0, math.nan, 70.0, 41.0])
    assert (counted.counts, counted.unknown, counted.samples) == ([1, 2, 1], 2, 4)


def test_few_predictions_say_nothing() -> None:
    found = drift("age", AGES, BinCounts([100, 0, 0]))
    assert found.is_beyond(0.25, 100)
    assert not found.is_beyond(0.25, 101)
    assert not found.is_beyond(100.0, 100)
    assert not drift("age", AGES, BinCounts([0, 0, 0])).is_beyond(0, 0)


WITH_GAPS = ReferenceHistogram((0.25, 0.5, 0.25), cuts=(40.0, 60.0), missing=0.04)


def gaps(missing: int, *, of: ReferenceHistogram = WITH_GAPS, known: int = 1000) -> float:
    psi = drift("bmi", of, BinCounts([known // 4, known // 2, known // 4], missing)).psi
    assert psi is not None
    return psi


def test_missing_values_are_a_bin_of_their_own_where_a_patient_may_lack_them() -> None:
    found = drift("bmi", WITH_GAPS, BinCounts([250, 500, 250], 250))
    assert found.histogram.names[-1] == "missing"
    assert found.histogram.expected == pytest.approx([0.24, 0.48, 0.24, 0.04])
    assert found.shares == pytest.approx([0.2, 0.4, 0.2, 0.2])
    assert found.samples == 1250
    assert found.psi == pytest.approx(
        (0.8 - 0.96) * math.log(0.8 / 0.96) + (0.2 - 0.04) * math.log(0.2 / 0.04)
    )


def test_as_many_gaps_as_in_training_are_no_drift() -> None:
    assert gaps(40, known=960) == pytest.approx(0, abs=1e-12)


def test_patients_who_lack_nothing_have_not_drifted_from_those_of_whom_some_did() -> None:
    assert gaps(0) < 0.05


@pytest.mark.parametrize("trained", [0.0, 0.04])
def test_a_fifth_without_a_value_is_a_major_shift(trained: float) -> None:
    histogram = ReferenceHistogram((0.25, 0.5, 0.25), cuts=(40.0, 60.0), missing=trained)
    assert gaps(250, of=histogram) > 0.25


@given(st.integers(0, 400), st.integers(0, 400))
def test_more_gaps_than_in_training_never_count_for_less(one: int, other: int) -> None:
    fewer, more = sorted((one, other))
    assert gaps(40 + fewer, known=960) <= gaps(40 + more, known=960) + 1e-12


def test_where_no_patient_may_lack_it_a_missing_value_is_in_no_bin() -> None:
    found = drift("age", AGES, BinCounts([25, 50, 25], 900))
    assert found.samples == 100
    assert found.psi == pytest.approx(0, abs=1e-12)
    assert "missing" not in AGES.names


@pytest.mark.parametrize("missing", [-0.1, 1.0, math.nan])
def test_a_share_of_missing_values_that_is_none_is_refused(missing: float) -> None:
    with pytest.raises(ValueError, match="missing"):
        ReferenceHistogram((0.5, 0.5), cuts=(1.0,), missing=missing)
