"""Values that are sought: how they may be written, and what nothing says of them."""

from __future__ import annotations

import json
import tracemalloc
import unicodedata
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stroke.application.erasure.ports import ValueTrace
from stroke.application.erasure.values import MOST_VALUES, FoundValues, SoughtValues
from stroke.domain.errors import InvalidData

SOONER, LATER = (datetime(2026, month, 1, tzinfo=UTC) for month in (3, 4))
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=2, max_size=20)


@given(TEXTS, TEXTS, TEXTS)
def test_a_text_is_found_however_it_is_written(text: str, before: str, after: str) -> None:
    sought = SoughtValues([text])
    for written in (text, text.casefold(), unicodedata.normalize("NFC", text)):
        whole = f"{before}{written}{after}"
        assert sought.in_text(whole) == {1}
        assert sought.in_bytes(b"\xff\xc3" + whole.encode() + b"\x00") == {1}
        assert sought.in_value({"rows": [[{"name": whole}, None]]}) == {1}
        assert sought.in_text(json.dumps({"name": whole})) == {1}
        assert sought.in_text(json.dumps({whole: 1}, ensure_ascii=False)) == {1}
        assert sought.in_text(json.dumps([json.dumps({"name": whole})])) == {1}


@pytest.mark.parametrize("name", ["\u00c9l\u00e9onore", "\u00e9L\u00c9onore", "\u00c9L\u00c9ONORE"])
def test_an_escape_of_json_has_no_case(name: str) -> None:
    sought = SoughtValues(["\u00e9l\u00e9onore"])
    for text in (json.dumps([name]), json.dumps({name: "\\u12"}), "\\u00C9l\\u00C9onore"):
        assert sought.in_text(text) == {1}


def test_other_escapes_of_json_are_known_too() -> None:
    name = "\U0001f600 O'Ne\"il\\"
    assert SoughtValues([name.lower()]).in_text(json.dumps([name])) == {1}
    assert SoughtValues(["a\\ub"]).in_text("a\\ub \\ud800") == {1}  # none, though it looks so


@pytest.mark.parametrize(
    "text",
    [
        r"INSERT INTO t VALUES ('Ren\'ee Müller')",
        "INSERT INTO t VALUES ('Ren''ee Müller')",
        "GET /?name=Ren%27ee+M%C3%BCller 200",
        "GET /?name=Ren'ee%20M%c3%bcller 200",
        "GET /?name=Ren'ee+Müller 200",
        "<name>Ren&#39;ee M&uuml;ller</name>",
        "<name>Ren&apos;ee M&#xFC;ller</name>",
        r"b'Ren\'ee M\xc3\xbcller'",
        r"'Ren\x27ee M\xFCller'",
    ],
)
def test_a_name_is_found_as_dumps_addresses_html_and_logs_write_it(text: str) -> None:
    assert SoughtValues(["ren'ee müller", "Ren'ee Mueller"]).in_text(text) == {1}


def test_a_quote_that_csv_doubles_is_found() -> None:
    assert SoughtValues(['Anna "Ann" K']).in_text('7,"Anna ""Ann"" K"') == {1}


@pytest.mark.parametrize("coding", ["utf-8", "cp1252", "utf-16", "utf-16-le", "utf-16-be"])
def test_a_name_is_found_in_bytes_of_windows(coding: str) -> None:
    sought = SoughtValues(["MÜLLER š", "Müller s"])
    for before in ("", "x", "name: "):
        assert sought.in_bytes(b"\xff" + f"{before}Müller š".encode(coding)) == {1}


def test_letters_beyond_those_of_windows_are_found_in_utf_16() -> None:
    text = "Łukasz 😀"
    assert SoughtValues([text]).in_bytes(f"1 {text}".encode("utf-16-le")[1:]) == {1}


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("228.69", 228.69000244140625),  # a float of 32 bits
        ("98765432109876543210", 98765432109876543210.0),
        ("0.10", 0.1),
    ],
)
def test_a_number_is_found_where_a_column_has_rounded_it(text: str, number: float) -> None:
    assert SoughtValues([text, "228.7"]).in_value(number) == {1}


def test_a_record_number_that_looks_like_a_huge_number_is_a_text_only() -> None:
    sought = SoughtValues(["12E999999999", "1e-999999999"])
    assert not sought.numbers
    assert sought.in_text("MRN 12e999999999") == {1}


def test_a_value_has_the_number_of_its_line() -> None:
    assert SoughtValues(["", "Canary", "", "7341"]).in_text("7341, canary") == {2, 4}


def test_a_path_says_no_value() -> None:
    sought = SoughtValues(["Canary", "7341", "2026/03"])
    assert sought.without("a/canary-7341.csv") == "a/[value 1, 2]"
    assert sought.without("a/2026/03/b") == "[value 3]"
    assert sought.without("a/b.csv") == "a/b.csv"


@pytest.mark.parametrize(
    "value",
    [7341, 7341.0, Decimal("7341.00"), "MRN 7341", b"7341", {"a": [7341]}, {7341: None}],
)
def test_a_number_is_found_in_numbers_and_in_texts(value: object) -> None:
    assert SoughtValues(["no", "7341", "7341.0"]).in_value(value) >= {2}


@pytest.mark.parametrize(
    "value", [None, True, 73410, 17341.0, float("nan"), float("inf"), "734 1", b"", [], {}]
)
def test_another_value_is_not_found(value: object) -> None:
    assert SoughtValues(["7341", "nan", "inf", "1e999999"]).in_value(value) <= {2, 3}


def test_a_day_is_found_as_iso_writes_it() -> None:
    assert SoughtValues(["1956-03-04"]).in_value([date(1956, 3, 4)]) == {1}


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        ([], "no value"),
        (["Canary", "x"], "value 2 is too short"),
        (["Canary"] * (MOST_VALUES + 1), "at most 100"),
    ],
)
def test_what_cannot_be_sought_is_refused_without_saying_it(texts: Any, said: str) -> None:
    with pytest.raises(InvalidData, match=said) as refused:
        SoughtValues(texts)
    assert "Canary" not in str(refused.value)


def test_nothing_says_the_values() -> None:
    assert repr(SoughtValues(["Canary", "7341"])) == "<2 values>"


@pytest.mark.parametrize(
    "written",
    [
        "Zoë Müller".encode(),
        "Zoë Müller".encode("cp1252"),
        "Zoë Müller".encode("utf-16-le"),
        json.dumps("Zoë Müller").encode(),
    ],
    ids=["utf-8", "windows", "utf-16", "json"],
)
def test_a_name_is_found_wherever_it_is_in_what_is_long(written: bytes) -> None:
    sought = SoughtValues(["Zoë Müller"])
    for at in range(2**18 - len(written) - 1, 2**18 + 2):  # where a piece of it may end
        content = b"." * at + written + b"." * 300_000
        assert sought.in_bytes(content) == {1}, at
        assert sought.in_value(content) == {1}, at
        if not written.startswith(b"Z\0") and b"\xeb" not in written:
            assert sought.in_values(["before", content.decode()]) == {1}, at
    assert sought.in_bytes(b"." * 2**20 + written) == {1}
    assert sought.in_bytes(b"." * 2**20) == set()


@pytest.mark.parametrize("kind", ["bytes", "text", "many texts"])
def test_what_is_long_takes_little_memory(kind: str) -> None:
    content = b"\0\0\0\0\x01" + 16 * 2**16 * "a patient's \u00e9\u00e8".encode()  # as Avro
    text = content.decode()
    value: Any = {
        "bytes": content,
        "text": text,
        "many texts": [text[start : start + 1_000] for start in range(0, len(text), 1_000)],
    }[kind]
    sought = SoughtValues(["Zoë Müller"])
    tracemalloc.start()
    try:
        assert sought.in_value(value) == set()
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # All of it at once takes 180 MiB and more.
    assert most < 32 * 2**20


def test_of_very_many_traces_the_first_are_named_and_that_there_are_more() -> None:
    found = FoundValues()
    for number in range(2_000):
        found.add({1}, f"row {number:04}")
    found.add({2}, "the last")

    listed = found.listed()

    assert len(listed) == 1_002
    assert listed[0] == ValueTrace(1, "row 0000")
    assert ValueTrace(2, "the last") in listed  # what many others have hides nothing
    assert listed[-1] == ValueTrace(1, "and more")


@pytest.mark.parametrize(("last", "until"), [(LATER, LATER), (None, None)])
def test_what_is_not_named_says_until_when_the_last_of_it_is(
    last: datetime | None, until: datetime | None
) -> None:
    found = FoundValues()
    for number in range(1_500):
        found.add({1}, f"offset {number}", last if number == 1_200 else SOONER)

    assert found.listed()[-1] == ValueTrace(1, "and more", until)
