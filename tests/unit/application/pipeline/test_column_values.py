"""One rule per type: what MySQL, Debezium and a SQL copy hold compares as one value."""

from __future__ import annotations

import struct
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stroke.application.pipeline.column_values import (
    COMPARED,
    GEOMETRIES,
    canonical_value,
    column_value,
    exact_value,
    inexact,
    is_compared,
    stored_value,
    type_word,
)

MOMENTS = st.datetimes(datetime(1000, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999_999))  # noqa: DTZ001
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# From the manual of MySQL 9, "Data Types".
TYPES_OF_MYSQL = [
    *("tinyint(1)", "smallint", "mediumint unsigned", "int zerofill", "bigint", "bigint unsigned"),
    *("decimal(65,30)", "float", "double", "bit(64)", "date", "datetime(6)", "timestamp"),
    *("time(3)", "year", "char(9)", "varchar(9)", "binary(9)", "varbinary(9)", "tinyblob", "blob"),
    *("mediumblob", "longblob", "tinytext", "text", "mediumtext", "longtext", "enum('a','b')"),
    *("set('a','b')", "json", "geometry", "point", "linestring", "polygon", "multipoint"),
    *("multilinestring", "multipolygon", "geomcollection", "vector(3)"),
]


def micros(moment: datetime) -> int:
    return (moment.replace(tzinfo=UTC) - EPOCH) // timedelta(microseconds=1)


def all_equal(kind: str, *forms: object) -> bool:
    return len({column_value(form, kind) for form in forms}) == 1


@pytest.mark.parametrize("kind", TYPES_OF_MYSQL)
def test_every_type_of_mysql_is_compared_and_null_is_null(kind: str) -> None:
    assert is_compared(kind)
    assert type_word(kind) in COMPARED
    assert column_value(None, kind) is None


def test_a_type_that_mysql_does_not_have_is_not_compared() -> None:
    assert not is_compared("uuid")


@given(MOMENTS, st.integers(0, 6))
def test_a_datetime_compares_in_the_unit_that_debezium_chose_for_its_digits(
    moment: datetime, digits: int
) -> None:
    step = 10 ** (6 - digits)
    kept = moment.replace(microsecond=moment.microsecond // step * step)
    sent = micros(kept) // 1_000 if digits <= 3 else micros(kept)
    kind = f"datetime({digits})" if digits else "datetime"
    text = kept.isoformat(" ", "microseconds")[: 20 + digits].rstrip(".")

    assert all_equal(kind, kept, text, sent, micros(kept) if digits > 3 else sent)
    assert column_value(text, kind) == micros(kept)


@given(MOMENTS, st.integers(-14 * 60, 14 * 60))
def test_a_timestamp_is_one_moment_in_whatever_zone_it_is_written(
    moment: datetime, minutes: int
) -> None:
    here = moment.replace(tzinfo=UTC)
    try:
        there = here.astimezone(timezone(timedelta(minutes=minutes)))
    except OverflowError:  # beyond the year 9999
        there = here
    sent = moment.isoformat() + "Z"  # Debezium's ZonedTimestamp

    assert all_equal("timestamp(6)", str(moment), sent, here, there, there.isoformat())


@given(st.dates(date(1000, 1, 1)))
def test_a_date_is_its_text_and_debeziums_days_since_1970(day: date) -> None:
    assert all_equal("date", day, day.isoformat(), (day - date(1970, 1, 1)).days)


@pytest.mark.parametrize("kind", ["date", "datetime", "datetime(6)", "timestamp"])
@pytest.mark.parametrize("text", ["0000-00-00", "0000-00-00 00:00:00.000000", "2024-00-10"])
def test_a_zero_date_is_null_as_debezium_sends_it(kind: str, text: str) -> None:
    assert column_value(text, kind) is None


@given(st.integers(-838 * 3_600 * 10**6, 838 * 3_600 * 10**6))
def test_a_time_is_a_duration_also_below_zero_and_beyond_a_day(sent: int) -> None:
    seconds, fraction = divmod(abs(sent), 10**6)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    text = f"{'-' if sent < 0 else ''}{hour:02}:{minute:02}:{second:02}.{fraction:06}"

    assert all_equal("time(6)", text, sent, timedelta(microseconds=sent))
    if 0 <= sent < 24 * 3_600 * 10**6:
        assert all_equal("time(6)", sent, time(hour, minute, second, fraction))


@given(
    st.datetimes(datetime(1582, 10, 5), datetime(1582, 10, 14, 23, 59, 59, 999_999)),  # noqa: DTZ001
    st.sampled_from(["datetime(3)", "datetime(6)"]),
)
def test_a_datetime_that_javas_calendar_skips_counts_as_ten_days_later_and_is_written_as_it_is(
    moment: datetime, kind: str
) -> None:
    kept = moment.replace(microsecond=moment.microsecond // 1_000 * 1_000)
    sent = micros(kept) // (1_000 if kind == "datetime(3)" else 1)

    assert all_equal(kind, kept, sent, str(kept), str(kept + timedelta(days=10)))
    assert exact_value(sent, kind) == micros(kept)
    assert inexact(str(kept), kind) == "days from 1582-10-05 to before 1582-10-15"


@given(MOMENTS.filter(lambda moment: (moment.year, moment.month) != (1582, 10)))
def test_no_other_datetime_is_moved(moment: datetime) -> None:
    assert column_value(moment, "datetime(6)") == exact_value(moment, "datetime(6)")
    assert inexact(str(moment), "datetime(6)") == ""


@pytest.mark.parametrize("day", ["1582-10-04 23:59:59.999999", "1582-10-15 00:00:00"])
def test_the_days_beside_those_that_are_skipped_are_not_moved(day: str) -> None:
    assert column_value(day, "datetime(6)") == exact_value(day, "datetime(6)")
    assert inexact(day, "datetime(6)") == inexact(None, "datetime(6)") == ""


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_a_float_is_written_elsewhere_with_all_of_its_digits(value: float) -> None:
    assert exact_value(value, "float") == value


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_a_float_compares_by_what_mysql_prints_of_its_four_bytes(value: float) -> None:
    printed = float(f"{value:.6g}")  # what Debezium's snapshot reads
    assert all_equal("float", value, printed, Decimal(f"{value:.6g}"))


def test_floats_that_differ_in_six_digits_and_doubles_that_differ_at_all_are_different() -> None:
    assert not all_equal("float", 1.00001, 1.00002)
    assert not all_equal("double", 0.1 + 0.2, 0.3)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=30))
def test_a_decimal_keeps_every_digit_whatever_its_form(value: Decimal) -> None:
    assert all_equal("decimal(65,30)", value, format(value, "f"), Decimal(f"{value:f}0"))


@given(st.integers(-(10**35), 10**35), st.integers(0, 30))
def test_decimals_are_different_in_their_last_digit_alone(digits: int, scale: int) -> None:
    one = Decimal(digits).scaleb(-scale) if abs(digits) < 10**28 else Decimal(f"{digits}e-{scale}")
    other = Decimal(f"{digits + 1}e-{scale}")
    assert not all_equal("decimal(65,30)", one, other)


class Bits:
    """As PostgreSQL's driver gives them."""

    def __init__(self, number: int) -> None:
        self._number = number

    def to_int(self) -> int:
        return self._number


@given(st.integers(0, 2**64 - 1))
def test_bits_are_a_number_whose_lowest_byte_debezium_sends_first(number: int) -> None:
    sent = number.to_bytes(8, "little")
    assert all_equal("bit(64)", number, sent, bytearray(sent), Bits(number))


@given(st.booleans())
def test_one_bit_is_a_flag(flag: bool) -> None:
    assert all_equal("bit(1)", flag, int(flag), bytes([flag]))


@given(st.integers(0, 2**64 - 1))
def test_an_unsigned_bigint_compares_by_its_bits(number: int) -> None:
    (sent,) = struct.unpack("<q", number.to_bytes(8, "little"))
    assert all_equal("bigint unsigned", number, sent, Decimal(number), Decimal(sent))
    assert column_value(-1, "bigint") != column_value(2**64 - 1, "bigint")


def test_the_year_zero_is_1900_in_the_binlog_2000_in_a_snapshot_and_no_other_is_changed() -> None:
    assert all_equal("year", 0, 1900, 2000)
    assert [column_value(year, "year") for year in (1901, 2000, 2155)] == [1901, 2000, 2155]
    assert [exact_value(year, "year") for year in (0, 1900, 2000)] == [0, 0, 2000]
    assert [inexact(year, "year") for year in (0, None, 1901, 2000)] == ["the year 0", "", "", ""]


@given(st.binary())
def test_bytes_are_bytes_and_binary_counts_without_its_padding(content: bytes) -> None:
    assert all_equal("varbinary(9)", content, memoryview(content), bytearray(content))
    assert all_equal("binary(9)", content, content + b"\0\0")
    assert not all_equal("blob", content, content + b"\0")


@given(st.sampled_from(sorted(GEOMETRIES)), st.binary(min_size=9), st.integers(0, 2**32 - 1))
def test_a_geometry_is_the_bytes_that_mysql_stores(kind: str, wkb: bytes, srid: int) -> None:
    stored = srid.to_bytes(4, "little") + wkb
    sent = {"wkb": wkb, "srid": srid, "x": 1.0}
    assert all_equal(kind, stored, stored.hex().upper(), sent)
    assert all_equal(kind, b"\0\0\0\0" + wkb, {"wkb": wkb, "srid": None}, {"wkb": wkb})


@given(st.lists(st.floats(width=32, allow_nan=False), min_size=1))
def test_a_vector_is_its_numbers_in_four_bytes_each(numbers: list[float]) -> None:
    stored = b"".join(struct.pack("<f", number) for number in numbers)
    assert all_equal("vector(3)", numbers, tuple(numbers), stored, stored.hex().upper())


@pytest.mark.parametrize("kind", ["enum('a','b')", "set('a','b')", "varchar(9)", "longtext"])
@given(st.text())
def test_texts_are_compared_as_they_are(kind: str, text: str) -> None:
    assert column_value(text, kind) == text


@given(
    st.sampled_from(TYPES_OF_MYSQL),
    st.sampled_from(["***", "", "torn", -(2**70), 2**70, 1e300, {}, {"wkb": 1}, [1, "a"], b"", 7])
    | st.text(),
)
def test_what_is_no_value_of_a_type_is_a_difference_and_never_an_error(
    kind: str, value: Any
) -> None:
    found = column_value(value, kind)
    assert found is None or isinstance(found, (str, int, float))


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("datetime(6)", datetime(9999, 12, 31, 23, 59, 59, 999_999)),  # noqa: DTZ001
        ("timestamp", "2038-01-19T03:14:07Z"),
        ("time(6)", timedelta(hours=-838, minutes=-59, seconds=-59)),
        ("time", timedelta(microseconds=-1)),
        ("date", date(1000, 1, 1)),
        ("decimal(65,30)", Decimal("1234567890123456789012345678901234.5")),
        ("float", 3.14159274),
        ("double", 0.1 + 0.2),
        ("bit(64)", 2**64 - 1),
        ("bigint unsigned", 2**64 - 1),
        ("binary(4)", b"\x01\0\0\0"),
        ("blob", b"\0\xff"),
        ("varchar(9)", "00ff"),
        ("point", {"wkb": b"\1" * 21, "srid": 4326}),
        ("vector(2)", [1.5, -2.0]),
        ("int", -7),
        ("json", '{"a":1}'),
        ("varchar(9)", None),
    ],
)
def test_what_is_written_back_compares_as_what_was_read(kind: str, value: object) -> None:
    read = exact_value(value, kind)
    written = stored_value(read, kind)

    assert written is None or kind != "blob" or isinstance(written, bytes)
    assert exact_value(written, kind) == read
    assert column_value(written, kind) == column_value(value, kind)


def test_without_a_type_values_are_compared_as_they_come() -> None:
    for value in (7, True, "text", b"\1", date(2024, 1, 1), Decimal("1.5"), 2.5):
        assert column_value(value, "any") == canonical_value(value)
