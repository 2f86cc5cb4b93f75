"""Any table in any dialect: what is written is read back, by every command's own path."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
import sys
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builders.predictions import patient_json
from fakes.predictions import FakeColumnarRiskModel
from runner.examples import examples
from stroke.adapters.arrow.bulk import BulkScoring
from stroke.adapters.tabular.files import STDIN, opened_csv, opened_import, opened_rows
from stroke.application.predictions.cells import BLANKS, NO_VALUE, NUMERIC, PATIENT_COLUMNS
from stroke.domain.errors import InvalidData

FIELDS = tuple(patient_json())
COLUMNS = (*FIELDS, "source", "note")
# cp1252 has to hold them all, and no name may look like a slip of the encoding.
NAMES = st.sampled_from(
    [
        *("Jörg Müller", "Zoë", "José Núñez", "O\u2019Brien", 'Jo "B" Doe', "Doe, John; Jr | x"),
        *("NULL", "NA", "-", "", " padded ", "two\nlines", "tab\there", 'ends with "', "Ægir"),
    ]
)
DELIMITERS = st.sampled_from([",", ";", "\t", "|"])
ENCODINGS = st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"])
NEWLINES = st.sampled_from(["\n", "\r\n", "\r"])
PACKINGS: dict[str, Any] = {
    "": lambda data: data,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": lambda data: bytes(pa.compress(data, "zstd", asbytes=True)),
}
quick = settings(
    max_examples=examples(80),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def zipped(data: bytes, *names: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, data)
    return packed.getvalue()


@st.composite
def tables(draw: st.DrawFn) -> list[dict[str, str]]:
    """Rows of patients whose numbers have decimals, so that their mark is known."""
    rows = []
    for _ in range(draw(st.integers(1, 5))):
        row = {**dict.fromkeys(("source", "note"), ""), **patient_json()}
        row |= {"age": 45.5, "bmi": draw(st.floats(10, 90).map(lambda x: round(x, 2) + 0.001))}
        row |= {name: draw(NAMES) for name in ("name", "country", "source", "note")}
        rows.append({name: str(row[name]) for name in COLUMNS})
    return rows


def written(
    rows: list[dict[str, str]],
    *,
    delimiter: str = ",",
    encoding: str = "utf-8",
    newline: str = "\n",
    comma: bool = False,
    blank: bool = False,
    sep: bool = False,
) -> bytes:
    """Write rows as another program would: texts in quotes, numbers without."""
    text = io.StringIO(newline="")
    if sep:
        text.write(f"sep={delimiter}{newline}")
    writer = csv.writer(
        text, delimiter=delimiter, lineterminator=newline, quoting=csv.QUOTE_MINIMAL
    )
    surplus = [""] * (2 * blank)
    writer.writerow([*COLUMNS, *surplus])
    for row in rows:
        cells = []
        for name, cell in row.items():
            number = cell.replace(".", ",") if comma and name in NUMERIC else cell
            cells.append(number if name in NUMERIC else '"' + number.replace('"', '""') + '"')
        quoted = [f'"{c}"' if delimiter in c and c[:1] != '"' else c for c in cells]
        text.write(delimiter.join([*quoted, *surplus]) + newline)
        if blank:
            text.write(delimiter.join(["", " ", *surplus]) + newline)
    return text.getvalue().encode(encoding)


def read(path: Path) -> list[dict[str, object]]:
    with opened_rows(path, COLUMNS, FIELDS) as file:
        rows = list(file.rows)
    assert [row.problem for row in rows] == [None] * len(rows)
    return [row.cells for row in rows]


def expected(rows: list[dict[str, str]]) -> list[dict[str, object]]:
    return [dict[str, object](row) for row in rows]


DIALECTS = st.fixed_dictionaries(
    {
        "delimiter": DELIMITERS,
        "encoding": ENCODINGS,
        "newline": NEWLINES,
        "comma": st.booleans(),
        "blank": st.booleans(),
        "sep": st.booleans(),
    }
)


@given(tables(), DIALECTS)
@quick
def test_rows_are_read_back_whatever_the_dialect(
    tmp_path: Path, rows: list[dict[str, str]], dialect: dict[str, Any]
) -> None:
    if dialect["newline"] == "\r":  # there, a line end within a cell is written so too
        rows = [{name: cell.replace("\n", " ") for name, cell in row.items()} for row in rows]
    path, again = tmp_path / "table.csv", tmp_path / "again.csv"
    path.write_bytes(written(rows, **dialect))
    assert read(path) == expected(rows)
    # The other path, which scoring takes: the same rows as CSV in UTF-8.
    with opened_csv(path, COLUMNS) as text:
        again.write_bytes(text.stream.read())
    assert read(again) == expected(rows)
    with opened_csv(again, COLUMNS) as text:
        assert text.stream.read() == again.read_bytes() or dialect["blank"]


@given(tables(), DELIMITERS, st.sampled_from(["utf-8", "utf-16", "cp1252"]), st.booleans())
@quick
def test_every_dialect_is_scored_alike(
    tmp_path: Path, rows: list[dict[str, str]], delimiter: str, encoding: str, comma: bool
) -> None:
    path = tmp_path / "table.csv"
    results = []
    for options in ({}, {"delimiter": delimiter, "encoding": encoding, "comma": comma}):
        path.write_bytes(written(rows, **options))  # type: ignore[arg-type]
        output, rejects = io.BytesIO(), list[Any]()
        with opened_csv(path, PATIENT_COLUMNS) as text:
            bulk = BulkScoring(text.stream, model=FakeColumnarRiskModel(), first_line=text.line)
            tally = bulk.run(output.write, rejects.append, lambda _: None)
        scored = csv.DictReader(io.StringIO(output.getvalue().decode(), newline=""))
        results.append(([(row["probability"], row["name"]) for row in scored], rejects, tally))
    assert results[0] == results[1]


@pytest.mark.parametrize("suffix", PACKINGS)
@pytest.mark.parametrize("named", [True, False])
def test_packed_files_are_read_by_what_they_are(tmp_path: Path, suffix: str, named: bool) -> None:
    rows = [{name: str(value) for name, value in patient_json(source="", note="é").items()}]
    path = tmp_path / f"table.csv{suffix if named else ''}"
    path.write_bytes(PACKINGS[suffix](written(rows)))
    assert read(path) == expected(rows)


def test_a_zip_with_one_table_is_read_and_others_are_not(tmp_path: Path) -> None:
    rows = [{name: str(value) for name, value in patient_json(source="", note="").items()}]
    path = tmp_path / "table.csv.zip"
    path.write_bytes(zipped(written(rows), "table.csv"))
    assert read(path) == expected(rows)
    path.write_bytes(zipped(written(rows), "a.csv", "b.csv"))
    with pytest.raises(InvalidData, match="a zip archive of 2 files: unpack it"):
        read(path)
    path.write_bytes(zipped(b"<x/>", "[Content_Types].xml", "xl/workbook.xml"))
    with pytest.raises(InvalidData, match="is a workbook"):
        read(path)


@pytest.mark.parametrize("suffix", [suffix for suffix in PACKINGS if suffix])
def test_damaged_packing_is_one_clear_error(tmp_path: Path, suffix: str) -> None:
    rows = [{name: str(value) for name, value in patient_json(source="", note="").items()}] * 9999
    packed = PACKINGS[suffix](written(rows))
    for spoilt in (packed[: len(packed) // 2], packed[:40] + b"\xff" * 40 + packed[80:], b"a,b\n"):
        path = tmp_path / f"table.csv{suffix}"
        path.write_bytes(spoilt)
        with pytest.raises(InvalidData, match=r"damaged|cannot be read"):
            read(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"PAR1....", "a Parquet file"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 99, r"an Excel workbook \(.xls\)"),
        (b"SQLite format 3\x00....", "a SQLite database"),
        (b"  <html><table>", "HTML or XML"),
        (b'[{"age": 1}]', "JSON"),
        (b"%PDF-1.7", "a PDF"),
        (zipped(b"x", "mimetypeapplication/vnd.oasis.opendocument.spreadsheet"), "a workbook"),
        ("gender,age\n".encode("utf-16-be"), "UTF-16 text without a byte-order mark"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x01\x00\x00\x00\x01\x00\x08", "no text"),
        (b"\x03\x7b\x01\x01" + bytes(60), "no text"),
        (bytes(100), "no text"),
        ("gender,age\n".encode("utf-16-le"), "UTF-16 text without a byte-order mark"),
        ("gender,age\n".encode("utf-32"), "UTF-32"),
        (b"\0\1\2\3" * 9, "no text"),
        ("gender,name\nMale,Пётр\n".encode("cp1251"), "not UTF-8 text"),
        ("gender,name\nMale,Jörg\n".encode("cp850"), "not UTF-8 text"),
        ("gender,name\nMale,José\n".encode("mac-roman"), "not UTF-8 text"),
        ("gender,name\nMale,Paweł\n".encode("cp1250"), "not UTF-8 text"),
        ("gender,name\nMale,田中\n".encode("shift-jis"), "not UTF-8 text"),
        (b"gender,name\nMale,\xff\n", "not UTF-8 text"),
        (b"", "no CSV header"),
        (b"\r\n,,,\r\n", "no CSV header"),
        (b'gender,"age\n', "no CSV header: it does not end"),
        (b"gender,age\nMale,1\n", "columns missing from the header: hypertension, "),
    ],
)
def test_what_is_no_table_of_text_is_named_alike_by_every_command(
    tmp_path: Path, content: bytes, said: str
) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    with pytest.raises(InvalidData, match=said), opened_rows(path, COLUMNS, FIELDS):
        pass
    if "missing" in said:
        return
    with pytest.raises(InvalidData, match=said), opened_csv(path, PATIENT_COLUMNS):
        pass
    with pytest.raises(InvalidData, match=said), opened_import(path, COLUMNS):
        pass


def test_torn_bytes_in_a_file_that_is_utf_8_are_a_problem_of_their_row(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes("id,name\n1,Zoë\n2,".encode() + b"\xeb\n3,Ana\n")
    with opened_rows(path, ("id", "name"), ("id",)) as file:
        rows = [(row.line, row.problem) for row in file.rows]
    assert rows == [(2, None), (3, "is not UTF-8 text"), (4, None)]


def test_a_stream_that_turns_out_not_to_be_utf_8_is_never_half_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = b"plain,1\n"
    data = b"name,age\n" + row * 60_000 + "Zoë,1\n".encode("cp1252")
    path = tmp_path / "table.csv"
    path.write_bytes(data)
    with opened_csv(path, PATIENT_COLUMNS) as text:
        assert "Zoë" in text.stream.read().decode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(data))))
    with (
        opened_csv(STDIN, PATIENT_COLUMNS) as text,
        pytest.raises(InvalidData, match="give the file by its name"),
    ):
        text.stream.read()


def test_two_marks_for_decimals_in_one_file_are_a_problem_of_their_row(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("id;age\n1;45,5\n2;45.5\n3;7\n4;1.234,5\n")
    with opened_rows(path, ("id", "age"), ("id",)) as file:
        rows = [row.cells.get("age") or row.problem for row in file.rows]
    assert rows[0] == "45.5"
    assert "decimal comma" in str(rows[1])
    assert rows[2:] == ["7", "1.234,5"]


def test_quoted_decimal_commas_are_numbers_between_commas_too(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text('id,age\n1,"45,5"\n')
    with opened_rows(path, ("id", "age"), ("id",)) as file:
        assert [row.cells["age"] for row in file.rows] == ["45.5"]


@given(st.sampled_from(sorted(NO_VALUE)), st.text(BLANKS, max_size=2))
@quick
def test_a_mark_for_no_value_is_none_and_in_quotes_it_is_text(
    tmp_path: Path, mark: str, pad: str
) -> None:
    path = tmp_path / "table.csv"
    path.write_text(f'id,age,name,country\n1,{pad}{mark.upper()}{pad},{mark},"{mark}"\n', "utf-8")
    with opened_rows(path, ("id", "age", "name", "country"), ("id",)) as file:
        [row] = file.rows
    assert row.cells == {"id": "1", "age": None, "name": None, "country": mark}


def test_lines_are_those_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(b'sep=;\r\n\r\nid;name\r\n1;"a\r\nb"\r\n;\r\n2\r\n3;c;d\r\n4;e;;\r\n')
    with opened_rows(path, ("id", "name"), ("id",)) as file:
        rows = [(row.line, row.cells.get("name"), row.problem) for row in file.rows]
    assert rows == [
        (4, "a\r\nb", None),
        (7, None, "has 1 cells, the header has 2"),
        (8, None, "has 3 cells, the header has 2"),
        (9, "e", None),
    ]
    with opened_csv(path, ("id", "name")) as text:
        assert text.line == 3
        assert text.stream.read() == b'id,name\n1,"a\r\nb"\n\n2\n3,c,d\n4,e\n'


def test_a_quote_that_nobody_closes_is_named_by_its_line(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text('id;name\n1;a\n2;"b\n3;c\n')
    with (
        opened_rows(path, ("id", "name"), ("id",)) as file,
        pytest.raises(InvalidData, match=r"line 3: .* never closed"),
    ):
        list(file.rows)


def test_a_plain_file_comes_byte_by_byte(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    data = b'\xef\xbb\xbfname, Age ,x\r\n "a" ,1,"b""c"\r\n\r\n,,\n'
    path.write_bytes(data)
    with opened_csv(path, PATIENT_COLUMNS) as text:
        assert (text.stream.read(), text.line, text.notes) == (data, 1, ())


def test_notes_say_how_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes("name;age\rZoë;1\r".encode("cp1252"))
    with opened_csv(path, PATIENT_COLUMNS) as text:
        [note] = text.notes
    assert note.endswith("Windows-1252 text, semicolons between cells, CR at the ends of lines")


def test_a_word_of_a_models_own_is_given_as_it_is_where_others_say_no_value(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text("id,alcohol,bmi\n1,none,none\n2, none ,'=1\n")
    known = ("id", "alcohol", "bmi")
    with opened_rows(path, known, ("id",), own=("alcohol",)) as file:
        assert [(row.cells["alcohol"], row.cells["bmi"]) for row in file.rows] == [
            ("none", None),
            (" none ", "=1"),
        ]
    with opened_rows(path, known, ("id",)) as file:
        assert next(iter(file.rows)).cells["alcohol"] is None
