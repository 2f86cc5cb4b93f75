from __future__ import annotations

import pytest

from stroke.adapters.arrow.csv_header import Header
from stroke.domain.errors import InvalidData
from stroke.domain.features import RAW_FEATURES

RAW = ",".join(RAW_FEATURES)


def test_columns_are_found_by_name_wherever_they_stand() -> None:
    header = Header.parse(f'\ufeff"id, or so",{RAW},stroke'.encode(), store=False)
    assert header.width == 9
    assert header.positions == {name: i for i, name in enumerate(RAW_FEATURES, start=1)}


def test_every_missing_column_is_named() -> None:
    with pytest.raises(InvalidData, match=r"missing from the header: age, bmi$"):
        Header.parse(RAW.replace("age,", "").replace("bmi,", "").encode(), store=False)


def test_the_personal_columns_are_needed_to_store() -> None:
    Header.parse(RAW.encode(), store=False)
    with pytest.raises(InvalidData, match="missing from the header: name, country, province"):
        Header.parse(RAW.encode(), store=True)


def test_another_separator_is_hinted_at() -> None:
    with pytest.raises(InvalidData, match="separated by commas"):
        Header.parse(RAW.replace(",", ";").encode(), store=False)


@pytest.mark.parametrize(
    ("extra", "message"),
    [("bmi", "stand twice in the header: bmi"), ("probability", "rename them: probability")],
)
def test_a_column_that_would_be_ambiguous_is_refused(extra: str, message: str) -> None:
    with pytest.raises(InvalidData, match=message):
        Header.parse(f"{RAW},{extra}".encode(), store=False)


def test_a_header_in_another_encoding_is_refused() -> None:
    with pytest.raises(InvalidData, match="not UTF-8"):
        Header.parse(RAW.encode("utf-16"), store=False)
