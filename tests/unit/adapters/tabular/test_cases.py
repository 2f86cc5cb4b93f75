"""Small files that people's tools really make, with what is right for each: docs/files.md."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fakes.predictions import FakeColumnarRiskModel
from stroke.adapters.arrow.bulk import BulkScoring
from stroke.adapters.sql.import_cells import BadCell, to_row
from stroke.adapters.sql.tables import COLUMNS as TABLE_COLUMNS
from stroke.adapters.tabular.files import opened_csv, opened_import, opened_rows
from stroke.application.predictions.cells import PATIENT_COLUMNS
from stroke.application.predictions.file_rows import FileRow
from stroke.application.predictions.outcome_import import COLUMNS as OUTCOME_COLUMNS
from stroke.domain.errors import InvalidData

CASES = Path(__file__).with_name("cases")
NO_BMI = "bmi must be a number"

# Of each file of patients: the lines of the rows that are scored, and the rejects.
PATIENTS: dict[str, tuple[int, list[tuple[int, str]]]] = {
    "01.german-excel.csv": (3, [(3, NO_BMI)]),
    "01b.german-excel-cp1252.csv": (3, [(3, NO_BMI)]),
    "01c.sep-line.csv": (3, [(4, NO_BMI)]),
    "01e.tabs.csv": (3, [(3, NO_BMI)]),
    "01f.utf16-excel-unicode-text.csv": (3, [(3, NO_BMI)]),
    "02.cp1252.csv": (3, [(3, NO_BMI)]),
    "03.cr-only-mac-excel.csv": (3, [(3, NO_BMI)]),
    "04.excel-blank-rows.csv": (2, []),
    "05.spss-padded.csv": (2, []),
    "05b.spss-missing-blank.csv": (1, [(3, NO_BMI)]),
    "06.yes-no-flags.csv": (1, []),
    "07.header-case.csv": (1, []),
    "07b.header-quoted-space.csv": (1, []),
    "07c.newline-in-quotes.csv": (1, []),
    "08.patients.csv.gz": (1, []),
    "09.train2v-blank-smoking.csv": (2, []),
}


def scored(path: Path) -> tuple[list[dict[str, str]], list[Any]]:
    """Score a file as `stroke predict` does; return the output's rows, and the rejects."""
    output, rejects = io.BytesIO(), list[Any]()
    with opened_csv(path, PATIENT_COLUMNS) as text:
        bulk = BulkScoring(text.stream, model=FakeColumnarRiskModel(), first_line=text.line)
        bulk.run(output.write, rejects.append, lambda _: None)
    return list(csv.DictReader(io.StringIO(output.getvalue().decode(), newline=""))), rejects


def imported(path: Path) -> Iterator[dict[str, Any] | str]:
    """Yield what `stroke db import` makes of the rows of a file."""
    with opened_import(path, TABLE_COLUMNS) as file:
        for row in file.rows:
            yield read(row)


def read(row: FileRow) -> dict[str, Any] | str:
    if row.problem is not None:
        return row.problem
    try:
        return to_row(row.cells)
    except BadCell as error:
        return str(error)


@pytest.mark.parametrize("name", PATIENTS)
def test_a_file_of_patients_is_scored_row_for_row(name: str) -> None:
    rows, rejects = scored(CASES / name)
    count, refused = PATIENTS[name]
    assert (len(rows), rejects) == (count, refused)
    for row in rows:
        assert float(row["probability"]) > 0
        assert "\ufffd" not in str(row)


def test_every_case_of_patients_is_in_the_table() -> None:
    found = {path.name for path in CASES.glob("0*")}
    assert found == {*PATIENTS, "08b.patients.xlsx.csv"}


def test_the_same_patients_get_the_same_scores_in_every_dialect() -> None:
    names = [name for name in PATIENTS if name.startswith(("01", "02", "03"))]
    found = [[row["probability"] for row in scored(CASES / name)[0]] for name in names]
    assert len(names) == 7
    assert all(each == found[0] for each in found)


def test_names_keep_their_letters() -> None:
    assert {row["name"] for row in scored(CASES / "01b.german-excel-cp1252.csv")[0]} == {
        "Müller, Jürgen"
    }
    assert [row["name"] for row in scored(CASES / "02.cp1252.csv")[0]] == [
        "José Núñez",
        "Tom Smith",
        "Zoë Brown",
    ]


def test_a_workbook_is_named_whatever_its_name_is() -> None:
    for open_it in (
        lambda path: opened_csv(path, PATIENT_COLUMNS),
        lambda path: opened_rows(path, OUTCOME_COLUMNS, OUTCOME_COLUMNS),
        lambda path: opened_import(path, TABLE_COLUMNS),
    ):
        with (
            pytest.raises(InvalidData, match=r"is a workbook.*save the sheet as CSV"),
            open_it(CASES / "08b.patients.xlsx.csv"),
        ):
            pass


def test_outcomes_are_read_as_their_programs_write_them() -> None:
    def cells(name: str) -> list[dict[str, object]]:
        with opened_rows(CASES / name, OUTCOME_COLUMNS, OUTCOME_COLUMNS) as file:
            return [row.cells for row in file.rows]

    assert len(cells("30.outcomes-pandas-floats.csv")) == 2
    assert [row["stroke"] for row in cells("30b.outcomes-excel.csv")] == [
        "TRUE",
        "FALSE",
        "TRUE",
        "Y",
    ]
    one = {"prediction_id": "1", "stroke": "1", "date": "2026-03-02", "source": "register"}
    assert cells("30c.outcomes-semicolon.csv") == cells("30d.outcomes-header-spaces.csv") == [one]


def test_null_is_null_in_every_column_of_a_table() -> None:
    for row in imported(CASES / "13b.workbench-null-textonly.csv"):
        assert isinstance(row, dict)
        assert {
            row[name] for name in ("country", "province", "model_version", "idempotency_key")
        } == {None}


def test_numbers_of_data_frames_are_ids_and_flags_and_blank_rows_are_none() -> None:
    [row] = imported(CASES / "31.dbimport-floats-blank-row.csv")
    assert isinstance(row, dict)
    assert (row["id"], row["hypertension"], row["heart_disease"]) == (11, 0, 1)


@pytest.mark.parametrize("name", ["10.mydumper-json-convert.sql", "12.mariadb.sql"])
def test_dumps_of_other_programs_are_imported(name: str) -> None:
    first, second = imported(CASES / name)
    assert isinstance(first, dict)
    assert isinstance(second, dict)
    assert (first["hypertension"], first["heart_disease"], first["name"]) == (0, 1, "Jo Example")
    assert first["contributing_factors"] == '["age", "bmi"]'
    assert (second["id"], second["prediction_data"]) == (2, None)


@pytest.mark.parametrize("name", ["11.datagrip-inserts.sql", "15.powershell-utf16.sql"])
def test_inserts_alone_are_mysqls(name: str) -> None:
    rows = list(imported(CASES / name))
    assert [row["name"] for row in rows if isinstance(row, dict)] == ["Jo O'Example", "Al\\Bo"]
    assert rows[1]["prediction_data"] == '{"note": "said \\"ok\\""}'  # type: ignore[index]


def test_a_dump_of_sqlite_gives_the_rows_as_they_were() -> None:
    dumped = list(imported(CASES / "17.sqlite-dump.sql"))
    source = list(imported(CASES / "17.sqlite-source.csv"))
    assert len(dumped) == 5
    for row, original in zip(dumped, source, strict=True):
        assert isinstance(row, dict)
        assert isinstance(original, dict)
        assert {name: row[name] for name in original} == original


def test_zero_dates_are_refused_and_json_is_kept_as_it_is() -> None:
    assert list(imported(CASES / "14.zero-dates.sql")) == ["timestamp is not of the column's type"]
    rows = list(imported(CASES / "16.double-encoded-json.sql"))
    assert [row["contributing_factors"] for row in rows if isinstance(row, dict)] == [
        '"[\\"age\\", \\"bmi\\"]"',
        '["age"]',
        None,
        '["age"]',
    ]
