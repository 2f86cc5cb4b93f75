"""Long cells, blanks before quotes, ends of lines and files, and comments between words of SQL."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes.predictions import FakeColumnarRiskModel
from runner.examples import examples
from stroke.adapters.arrow.bulk import BulkScoring
from stroke.adapters.arrow.csv_cells import judge
from stroke.adapters.arrow.csv_rows import RowReader
from stroke.adapters.tabular.dumps import rows_of_dump
from stroke.adapters.tabular.encodings import END_MARK, without_end_mark
from stroke.adapters.tabular.files import opened_csv, opened_rows
from stroke.application.predictions.cells import PATIENT_COLUMNS, TWO_MARKS
from stroke.application.predictions.file_rows import FileRow, TextLimits
from stroke.application.predictions.file_scoring import RejectedLine
from stroke.domain.errors import InvalidData

KNOWN = ("id", "name", "note")
LIMITS = TextLimits(row=1000)
TOO_LONG = r"line 2: .* within 1,000 characters \(STROKE_FILES_MAX_ROW_BYTES\): is a cell so long"
OPEN = "line 2: the row that starts here does not end: is a quote opened and never closed"


def read(path: Path, content: bytes, limits: TextLimits = LIMITS) -> list[FileRow]:
    path.write_bytes(content)
    with opened_rows(path, KNOWN, ("id",), limits) as found:
        return list(found.rows)


def as_csv(path: Path, content: bytes) -> bytes:
    path.write_bytes(content)
    with opened_csv(path, KNOWN) as text:
        return text.stream.read()


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ('"' + "x\n" * 3000 + '"', TOO_LONG),
        ('"' + "x\n" * 3000, TOO_LONG),
        ('"' + "x\n" * 30, OPEN),
        ('"x', OPEN),
    ],
)
def test_a_long_cell_and_an_open_quote_have_words_of_their_own(
    tmp_path: Path, cell: str, words: str
) -> None:
    content = f"id,name\n1,{cell}\n2,y\n".encode()
    with pytest.raises(InvalidData, match=words):
        read(tmp_path / "p.csv", content)
    with pytest.raises(InvalidData, match=words):
        list(RowReader(io.BytesIO(content), block_bytes=512, row_bytes=1000))


def test_a_long_cell_without_quotes_names_the_same_setting(tmp_path: Path) -> None:
    content = b"id,name\n1," + b"x" * 3_000_000 + b"\n2,y\n"
    with pytest.raises(InvalidData, match="STROKE_FILES_MAX_ROW_BYTES"):
        read(tmp_path / "p.csv", content)
    with pytest.raises(InvalidData, match=TOO_LONG):
        list(RowReader(io.BytesIO(content), block_bytes=4096, row_bytes=1000))


@given(blank=st.text(" \t\u00a0", min_size=1, max_size=3), inside=st.text("ab ,", max_size=8))
def test_a_blank_before_a_quote_is_named_where_it_tears_the_row(
    tmp_path_factory: pytest.TempPathFactory, blank: str, inside: str
) -> None:
    cell = f'{blank}"{inside},x"'
    [row] = read(tmp_path_factory.getbasetemp() / "p.csv", f"id,name\n1,{cell}\n".encode())
    said = f"has {3 + inside.count(',')} cells, the header has 2: a blank stands before a quote"
    assert str(row.problem).startswith(said)
    with pytest.raises(InvalidData, match=said):
        judge(f"1,{cell}".encode(), {"id": 0, "name": 1}, 2)


def test_a_blank_may_be_why_a_row_does_not_end(tmp_path: Path) -> None:
    content = b'id,name\n1, "a,"\n2,b\n'
    words = f"{OPEN}, or does a blank stand before one"
    with pytest.raises(InvalidData, match=words):
        read(tmp_path / "p.csv", content)
    with pytest.raises(InvalidData, match=words):
        list(RowReader(io.BytesIO(content)))


@pytest.mark.parametrize("cell", ["a,b", '5" , 6', 'a "b",c'])
def test_a_torn_row_without_it_is_said_as_before(tmp_path: Path, cell: str) -> None:
    [row] = read(tmp_path / "p.csv", f"id,name\n1,{cell}\n".encode())
    assert row.problem == "has 3 cells, the header has 2"


@pytest.mark.parametrize("end", ["", "\r\n"])
@pytest.mark.parametrize("marks", [1, 2, 200])
@pytest.mark.parametrize("packed", [False, True])
def test_the_end_mark_of_dos_is_no_row_and_no_letter(
    tmp_path: Path, end: str, marks: int, packed: bool
) -> None:
    text = f"id,name\r\n1,a{END_MARK}b\r\n2,c{end}".encode()
    marked = text + END_MARK.encode() * marks
    name = "p.csv.gz" if packed else "p.csv"
    content = gzip.compress(marked) if packed else marked
    rows = read(tmp_path / name, content)
    assert [row.cells["name"] for row in rows] == [f"a{END_MARK}b", "c"]
    assert as_csv(tmp_path / name, content) == text


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16"])
def test_it_ends_texts_of_other_encodings_too(tmp_path: Path, encoding: str) -> None:
    rows = read(tmp_path / "p.csv", f"id,name\r\n1,Zoë\r\n{END_MARK}".encode(encoding))
    assert [row.cells for row in rows] == [{"id": "1", "name": "Zoë"}]


@given(pieces=st.lists(st.text(f"a{END_MARK}", max_size=4), max_size=6))
def test_marks_are_left_out_at_the_end_alone(pieces: list[str]) -> None:
    assert "".join(without_end_mark(iter(pieces), END_MARK)) == "".join(pieces).rstrip(END_MARK)


GAPS = st.lists(
    st.sampled_from([" ", "\n", "\t", "/* a, (b) */", "/**/", "-- c (1);\n", "/* INSERT */"]),
    min_size=1,
    max_size=3,
).map(lambda found: " " + "".join(found))


@given(gaps=st.lists(GAPS, min_size=12, max_size=12), verb=st.sampled_from(["INSERT", "replace"]))
def test_comments_may_stand_between_all_words_of_an_insert(gaps: list[str], verb: str) -> None:
    words = [verb, "INTO", "predictions", "(", "id", ",", "`name`", ")", "VALUES", "(1,'a')", ","]
    text = "".join(f"{word}{gap}" for word, gap in zip(words, gaps, strict=False))
    found = list(rows_of_dump([f"{text}(2,'b'){gaps[-1]};\n"]))
    assert [cells for _, _, cells in found] == [
        {"id": "1", "name": "a"},
        {"id": "2", "name": "b"},
    ]


@given(gaps=st.lists(GAPS, min_size=7, max_size=7))
def test_comments_may_stand_in_a_create_table(gaps: list[str]) -> None:
    words = ["CREATE TABLE", "`predictions`", "(", "`id`", "int,", "`name`", "text DEFAULT '--'"]
    text = "".join(f"{word}{gap}" for word, gap in zip(words, gaps, strict=True))
    found = list(rows_of_dump([f"{text});\nINSERT INTO predictions VALUES (1,'a');\n"]))
    assert [cells for _, _, cells in found] == [{"id": "1", "name": "a"}]


@pytest.mark.parametrize("values", ["SELECT 1", "SELECT 1 /* VALUES (1) */", "TABLE other"])
def test_what_a_query_finds_is_still_no_value(values: str) -> None:
    [(_, _, said)] = rows_of_dump([f"INSERT INTO predictions (id) {values};\n"])
    assert said == "inserts what a query finds, not values"


HEADER = "gender,age,hypertension,heart_disease,avg_glucose_level,bmi,smoking_status"
NUMBERS = st.sampled_from(["61", "61,5", "61.5"])


def verdicts(path: Path) -> tuple[dict[int, str], dict[int, str]]:
    """Return what is wrong with the rows of a file of patients, by line: scored, and row by row."""
    rejects: list[RejectedLine] = []
    with opened_csv(path, PATIENT_COLUMNS) as text:
        bulk = BulkScoring(text.stream, model=FakeColumnarRiskModel(), first_line=text.line)
        bulk.run(lambda _: None, rejects.append, lambda _: None)
    with opened_rows(path, PATIENT_COLUMNS, HEADER.split(",")) as file:
        return dict(rejects), {row.line: row.problem for row in file.rows if row.problem}


@settings(max_examples=examples(30))
@given(rows=st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=6), remark=st.booleans())
def test_a_row_with_the_other_decimal_mark_is_rejected_by_every_command_alike(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], remark: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "marks.csv"
    table = [HEADER.split(",")]
    table += [["Male", age, "0", "0", glucose, "25", "smokes"] for age, glucose in rows]
    # A remark of two lines: what is behind it keeps its line.
    remarks = ["remark;", *['"a\nb";'] * len(rows)] if remark else [""] * len(table)
    lines = [f"{before}{';'.join(cells)}\n" for before, cells in zip(remarks, table, strict=True)]
    path.write_text("".join(lines))
    marks = [{mark for number in row for mark in ",." if mark in number} for row in rows]
    first = next((mark for mark in "".join(map("".join, rows)) if mark in ",."), None)
    height = 2 if remark else 1
    wrong = {2 + at * height: TWO_MARKS for at, found in enumerate(marks) if found - {first}}
    assert verdicts(path) == (wrong, wrong)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["", "\r\r\n"])
def test_lines_that_end_with_a_doubled_return_are_lines(
    tmp_path: Path, delimiter: str, end: str
) -> None:
    lines = ["id,name,note", '1,Zoë,"a\r\r\nb"', "2,Ana,c"]
    text = ("\r\r\n".join(lines) + end).replace(",", delimiter)
    rows = read(tmp_path / "p.csv", text.encode())
    assert [(row.line, row.cells["id"], row.cells["name"], row.problem) for row in rows] == [
        (2, "1", "Zoë", None),
        (4, "2", "Ana", None),
    ]
    assert as_csv(tmp_path / "p.csv", text.encode()).decode().splitlines()[-1] == "2,Ana,c"
    with opened_rows(tmp_path / "p.csv", KNOWN, ("id",)) as found:
        assert "CR CR LF at the ends of lines" in found.notes[0]


def test_a_lone_carriage_return_in_a_row_is_still_a_problem(tmp_path: Path) -> None:
    rows = read(tmp_path / "p.csv", b"id,name\r\n1,a\r\r\n2,b\r\n")
    assert [row.problem for row in rows] == ["has a carriage return outside quotes", None]


@pytest.mark.parametrize("packing", [bytes, gzip.compress])
@pytest.mark.parametrize("kind", [tarfile.USTAR_FORMAT, tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_a_tar_archive_is_named(
    tmp_path: Path, packing: Callable[[bytes], bytes], kind: int
) -> None:
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w", format=kind) as archive:
        member = tarfile.TarInfo("patients.csv")
        member.size = 5
        archive.addfile(member, io.BytesIO(b"id\n1\n"))
    with pytest.raises(InvalidData, match="is a tar archive: unpack it"):
        read(tmp_path / "p.csv", packing(whole.getvalue()))


@pytest.mark.parametrize(("columns", "is_read"), [(5, True), (6, False)])
def test_a_table_of_text_has_so_many_columns_and_no_more(
    tmp_path: Path, columns: int, is_read: bool
) -> None:
    """Nameless ones at the right, as spreadsheets write them, do not count."""
    header = ",".join(("id", *(f"c{number}" for number in range(1, columns))))
    content = f"{header},,\n{','.join('1' * columns)},,\n".encode()
    limits = LIMITS._replace(columns=5)
    if is_read:
        assert len(read(tmp_path / "p.csv", content, limits)) == 1
        return
    with pytest.raises(InvalidData, match=r"6 columns, more .* \(STROKE_FILES_MAX_COLUMNS\)"):
        read(tmp_path / "p.csv", content, limits)
    with (
        pytest.raises(InvalidData, match="STROKE_FILES_MAX_COLUMNS"),
        opened_csv(tmp_path / "p.csv", KNOWN, limits),
    ):
        pass


@pytest.mark.parametrize("end", ["\x0b", "\x0c", "\x1e", "\x85", "\u2028", "\u2029"])
def test_what_ends_lines_elsewhere_leaves_no_table_that_is_all_header(
    tmp_path: Path, end: str
) -> None:
    content = f"id,name{end}1,Ana{end}2,Bea{end}".encode()
    with pytest.raises(InvalidData, match=rf"the header has U\+{ord(end):04X}, which ends no line"):
        read(tmp_path / "p.csv", content)
    patients = f"{','.join(PATIENT_COLUMNS)}{end}".encode()
    with pytest.raises(InvalidData, match="which ends no line here"):
        BulkScoring(io.BytesIO(patients), model=FakeColumnarRiskModel())


@pytest.mark.parametrize("delimiter", [":", "^", "~", "\x1f", " "])
def test_cells_that_nothing_known_separates_are_one_and_the_message_says_so(
    tmp_path: Path, delimiter: str
) -> None:
    header = ("id", "name", "note")
    path = tmp_path / "p.csv"
    path.write_text(f"{delimiter.join(header)}\n{delimiter.join('123')}\n")
    with (
        pytest.raises(InvalidData, match="semicolons, tabs or vertical bars"),
        opened_rows(path, header, header),
    ):
        pass
