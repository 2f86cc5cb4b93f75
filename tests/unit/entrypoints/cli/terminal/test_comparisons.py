from __future__ import annotations

import json

import pytest

from stroke.application.pipeline.consistency import LISTED, Comparison, Discrepancy
from stroke.entrypoints.cli.terminal.comparisons import print_comparisons, print_ids, ranges

DAMAGED = Comparison("sql", rows=5000, missing=[1, 2, 3, 7], extra=[90], duplicates=2)


def test_a_script_reads_counts_and_ids(capsys: pytest.CaptureFixture[str]) -> None:
    print_comparisons([DAMAGED, Comparison("s3", rows=5000)], as_json=True)

    said = json.loads(capsys.readouterr().out)
    assert said["equal"] is False
    assert said["replicas"][0] == {
        "replica": "sql",
        "rows": 5000,
        "missing": 4,
        "extra": 1,
        "different": 0,
        "duplicates": 2,
        "ids": {"missing": [1, 2, 3, 7], "extra": [90], "different": []},
    }
    assert said["replicas"][1]["missing"] == 0


def test_a_person_reads_a_line_per_copy_with_the_first_ids(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    print_comparisons([Comparison("sql", rows=5000, missing=list(range(1, 2001)))])

    said = capsys.readouterr().out
    assert "2,000" in said
    assert "missing: 1, 2, 3, 4, 5" in said
    assert "6" not in said


def test_all_listed_ids_are_printed_as_ranges(capsys: pytest.CaptureFixture[str]) -> None:
    print_ids([DAMAGED])

    assert capsys.readouterr().out == "sql missing: 1-3, 7\nsql extra: 90\n"


def test_ids_that_are_not_listed_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    comparison = Comparison("s3")
    for number in range(LISTED + 1234):
        comparison.add(Discrepancy.MISSING, number)

    print_ids([comparison])

    assert capsys.readouterr().out == f"s3 missing: 0-{LISTED - 1}\ns3 missing: and 1,234 more\n"


def test_no_ids_are_no_ranges() -> None:
    assert ranges([]) == ""
