from __future__ import annotations

import csv
import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stroke.adapters.arrow import csv_rows as module
from stroke.adapters.arrow.csv_cells import split
from stroke.adapters.arrow.csv_rows import RowReader, cut
from stroke.application.predictions.cells import trimmed
from stroke.domain.errors import InvalidData

CSV_TEXT = st.text('a",\r\n é', max_size=40)


def is_blank(row: bytes) -> bool:
    try:
        return not any(map(trimmed, split(row.decode())))
    except InvalidData:
        return False


def read(data: bytes, *, block_bytes: int = 1 << 20) -> list[tuple[int, bytes, bool]]:
    reader = RowReader(io.BytesIO(data), block_bytes=block_bytes)
    return [
        (int(block.lines[i]), block.row(i), bool(block.regular[i]))
        for block in reader
        for i in range(len(block))
    ]


def test_rows_are_cut_at_line_ends_of_both_kinds() -> None:
    assert read(b"h,i\na,b\r\nc,d") == [(2, b"a,b", True), (3, b"c,d", True)]


def test_a_quoted_newline_does_not_end_a_row_but_counts_as_a_line() -> None:
    data = b'h,"i\ni"\n"a\r\n\n""b",c\nd,e\n'
    assert read(data) == [(3, b'"a\r\n\n""b",c', True), (6, b"d,e", True)]


def test_empty_lines_are_no_rows_and_are_counted() -> None:
    assert read(b"h,i\n\na,b\n\r\n\nc,d\n\n") == [(3, b"a,b", True), (6, b"c,d", True)]


@pytest.mark.parametrize(
    "blank",
    [b" ", b",", b",,,", b'"",""', b' ,"\t"', b"\xc2\xa0,", b'" \xe2\x80\xaf",', b"\xef\xbb\xbf,"],
)
def test_rows_of_blank_cells_are_no_rows_and_are_counted(blank: bytes) -> None:
    data = b"h,i\r\na,b\r\n" + blank + b"\r\n" + blank + b"\r\nc,d\n" + blank
    assert read(data) == [(2, b"a,b", True), (5, b"c,d", True)]
    block, _ = cut(data, 1, 2)
    assert block.regular_text().split() == [b"h,i", b"a,b", b"c,d"]


@pytest.mark.parametrize("row", [b'","', b'""""', b",0", b"\xc2\xa1,", b'"'])
def test_a_row_with_any_value_is_a_row(row: bytes) -> None:
    block, used = cut(b"a,b\n" + row + b"\n", 1, 2)
    assert len(block) == 2 or used == 4


def test_a_byte_order_mark_stays_with_the_header() -> None:
    reader = RowReader(io.BytesIO(b'\xef\xbb\xbf"h\nh",i\r\na,b\r\n'))
    assert reader.header == (b'\xef\xbb\xbf"h\nh",i', 2, b"\r\n")
    assert [block.row(0) for block in reader] == [b"a,b"]


@pytest.mark.parametrize(
    "row",
    [b"a", b"a,b,c", b'a"a,b', b'"a"a,b', b'a,5" wide"', b"a\ra,b", b"a,b\r\r", b"a,\xff"],
)
def test_an_odd_row_is_irregular_and_its_neighbours_are_not(row: bytes) -> None:
    assert read(b"h,i\nc,d\n" + row + b"\ne,f\n") == [
        (2, b"c,d", True),
        (3, row.removesuffix(b"\r"), False),
        (4, b"e,f", True),
    ]


def test_the_text_of_regular_rows_leaves_the_others_out() -> None:
    block, _ = cut(b"a,b\nbad\nc,d\nbad\n", 2, 2)
    assert [line for line in block.regular_text().split(b"\n") if line] == [b"a,b", b"c,d"]


@given(CSV_TEXT)
@example('"a""b","",""""\r\n')
@example('"a"","b"\n')
@example('"a\r\n"\r\n,\n')
def test_cutting_at_once_and_walking_cell_by_cell_agree(text: str) -> None:
    data = text.encode()
    block, used = cut(data, 1, 2)
    stops, regular = module._walk(data, 2)
    walked, start = [], 0
    for stop, is_regular in zip(stops.tolist(), regular.tolist(), strict=True):
        row = data[start:stop].removesuffix(b"\r")
        if not is_blank(row):
            walked.append((data[:start].count(b"\n") + 1, row, is_regular))
        start = stop + 1
    assert used == start
    assert walked == [
        (int(block.lines[i]), block.row(i), bool(block.regular[i])) for i in range(len(block))
    ]


@given(CSV_TEXT, st.integers(1, 7))
def test_the_size_of_blocks_changes_nothing(text: str, block_bytes: int) -> None:
    data = b"h,i\n" + text.encode()
    try:
        expected = read(data)
    except InvalidData:
        with pytest.raises(InvalidData):
            read(data, block_bytes=block_bytes)
    else:
        assert read(data, block_bytes=block_bytes) == expected


@given(st.lists(st.lists(st.text(max_size=5), min_size=2, max_size=2), max_size=5))
def test_what_the_csv_module_writes_is_regular_and_read_back(table: list[list[str]]) -> None:
    written = io.StringIO()
    csv.writer(written, quoting=csv.QUOTE_ALL).writerows(table)
    data = written.getvalue().encode("utf-8", "replace")
    found = read(b"h,i\n" + data)
    assert all(regular for _, _, regular in found)
    assert [split(row.decode()) for _, row, _ in found] == [
        [cell.encode("utf-8", "replace").decode() for cell in cells]
        for cells in table
        if any(map(trimmed, cells))
    ]


@pytest.mark.parametrize("data", [b"", b"\xef\xbb\xbf", b"\r\n"[:1], b'"h,i\n', b'"h'])
def test_a_file_without_a_header_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidData, match="header"):
        RowReader(io.BytesIO(data))


def test_a_quote_that_nobody_closes_is_named_by_its_line() -> None:
    with pytest.raises(InvalidData, match=r"line 3: .* never closed"):
        read(b'h,i\na,b\n"c,d\ne,f\n')


def test_a_row_without_end_does_not_fill_the_memory() -> None:
    endless = b'h,i\n"' + b"a,\n" * 1_000_000
    source = io.BytesIO(endless)
    with pytest.raises(InvalidData, match="line 2"):
        list(RowReader(source, block_bytes=100_000))
    assert source.tell() < len(endless)
