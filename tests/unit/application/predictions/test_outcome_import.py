from __future__ import annotations

import gzip
from datetime import date, timedelta
from pathlib import Path

import pytest

from builders.predictions import NOON, prediction
from fakes.predictions import FakeOutcomeRepository, FakePredictionRepository
from stroke.adapters.tabular.files import opened_rows
from stroke.application.predictions.outcome_import import COLUMNS, OutcomeImport, OutcomeTally
from stroke.application.predictions.outcomes import OutcomeService
from stroke.domain.errors import InvalidData

pytestmark = pytest.mark.anyio
HEADER = "prediction_id,stroke,date,source\n"


@pytest.fixture
async def predictions() -> FakePredictionRepository:
    repository = FakePredictionRepository()
    await repository.add([prediction() for _ in range(1200)])
    return repository


async def run(
    predictions: FakePredictionRepository, file: Path, *, dry_run: bool = False
) -> tuple[OutcomeTally, list[tuple[int, str]]]:
    refused: list[tuple[int, str]] = []
    service = OutcomeService(
        FakeOutcomeRepository(predictions), now=lambda: NOON + timedelta(days=100)
    )
    importing = OutcomeImport(
        service, dry_run=dry_run, refuse=lambda line, reason: refused.append((line, reason))
    )
    with opened_rows(file, COLUMNS, COLUMNS) as source:
        return await importing.run(source.rows, progress=lambda: None), refused


async def test_a_file_is_recorded_once_however_often_it_is_imported(
    predictions: FakePredictionRepository, tmp_path: Path
) -> None:
    file = tmp_path / "outcomes.csv"
    lines = [f"{i},{i % 3 == 0:d},2026-01-20,register\n" for i in range(1, 1201)]
    file.write_text(HEADER + "".join(lines))

    tried, _ = await run(predictions, file, dry_run=True)
    assert predictions.outcomes == {}
    first, refused = await run(predictions, file)
    second, _ = await run(predictions, file)

    assert tried == first == OutcomeTally(rows=1200, new=1200)
    assert second == OutcomeTally(rows=1200, unchanged=1200)
    assert refused == []
    assert sum(each.stroke for each in predictions.outcomes.values()) == 400


@pytest.mark.parametrize(
    ("written", "stroke"),
    [("1", True), ("0", False), ("Yes", True), ("no", False), ("TRUE", True), ("false", False)],
)
async def test_columns_may_stand_in_any_order_and_say_yes_in_three_ways(
    predictions: FakePredictionRepository, tmp_path: Path, written: str, stroke: bool
) -> None:
    file = tmp_path / "outcomes.csv.gz"
    text = f"ward,source,stroke,date,prediction_id\nA,register,{written}, 2026-01-20 ,7\n"
    file.write_bytes(gzip.compress(text.encode()))

    await run(predictions, file)

    assert predictions.outcomes[7].stroke is stroke
    assert predictions.outcomes[7].date == date(2026, 1, 20)


async def test_bad_rows_are_named_by_line_and_never_quoted(
    predictions: FakePredictionRepository, tmp_path: Path
) -> None:
    file = tmp_path / "outcomes.csv"
    file.write_text(
        HEADER
        + "5,1,2026-01-20,register\n"
        + "Zoë,1,2026-01-20,register\n"
        + "6,perhaps,2026-01-20,register\n"
        + "7,1,20.01.2026,register\n"
        + "8,1,2026-01-20,\n"
        + "9,1\n"
        + "9999,1,2026-01-20,register\n"
        + "10,1,2031-01-20,register\n"
        + "11,1,2025-01-20,register\n"
        + "-1,,,\n"
        + f"{2**63},1,2026-01-20,register\n"
    )

    tally, refused = await run(predictions, file)

    assert tally == OutcomeTally(rows=11, new=1, rejected=10)
    assert dict(refused) == {
        3: "prediction_id must be the number of a prediction",
        4: "stroke must be 1 or 0, yes or no, true or false",
        5: "date must be a day as YYYY-MM-DD",
        6: "source must have 1 to 100 printable characters",
        7: "the line has 2 cells, the header has 4",
        8: "no prediction has this id",
        9: "date must not lie in the future",
        10: "date must not lie before the prediction",
        11: "prediction_id must be the number of a prediction; "
        "stroke must be 1 or 0, yes or no, true or false; date must be a day as YYYY-MM-DD",
        12: "prediction_id must be the number of a prediction",
    }


async def test_of_two_rows_of_a_prediction_the_later_one_stays(
    predictions: FakePredictionRepository, tmp_path: Path
) -> None:
    file = tmp_path / "outcomes.csv"
    file.write_text(HEADER + "5,1,2026-01-20,a\n6,1,2026-01-20,a\n5,0,2026-01-21,b\n")

    tally, _ = await run(predictions, file)

    assert (tally.new, tally.changed) == (2, 1)
    assert predictions.outcomes[5].source == "b"


async def test_a_file_without_the_columns_is_refused(
    predictions: FakePredictionRepository, tmp_path: Path
) -> None:
    file = tmp_path / "outcomes.csv"
    file.write_text("id,stroke\n1,1\n")
    with pytest.raises(
        InvalidData, match="columns missing from the header: prediction_id, date, source"
    ):
        await run(predictions, file)
    with pytest.raises(InvalidData, match="cannot be read"):
        await run(predictions, tmp_path / "missing.csv")
