"""Ids and values searched for in logs."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from contracts.erasure import SearchedPlaceContract, ValueSearchContract, ids_in, values_in
from stroke.adapters.value_search.logs import LogFiles
from stroke.domain.errors import InvalidData

pytestmark = pytest.mark.anyio


class InLogs:
    """A line for each, in a folder of logs of which one is packed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.place = self.search = LogFiles([folder])

    async def write(self, *lines: str) -> None:
        whole = "".join(f"2026-11-30 INFO {line}\n" for line in lines)
        (self.folder / "service.log.1.gz").write_bytes(gzip.compress(whole.encode()))
        (self.folder / "service.log").write_text("2026-11-30 INFO ready\n")


class WithIds(InLogs):
    async def put(self, *ids: int) -> None:
        await self.write(*(f"prediction {each} is not as it was" for each in ids))


class WithTexts(InLogs):
    async def put(self, *texts: str) -> None:
        await self.write(*(f"{text} cannot be stored" for text in texts))


class TestIds(SearchedPlaceContract):
    @pytest.fixture
    def stage(self, tmp_path: Path) -> WithIds:
        return WithIds(tmp_path)


class TestValues(ValueSearchContract):
    @pytest.fixture
    def stage(self, tmp_path: Path) -> WithTexts:
        return WithTexts(tmp_path)


@pytest.mark.parametrize(
    "line",
    [
        "GET /api/v1/predictions/17 200",
        '{"prediction_id": 17}',
        '{"id": 17, "name": null}',
        "prediction_id=17",
        "Prediction 17 has no row",
        "ids: [6, 17, 23]",
        "predictions (16,17)",
        "id: 17",
        "Struct{id=17,gender=Male}",
    ],
)
async def test_a_line_that_calls_it_an_id_is_found(tmp_path: Path, line: str) -> None:
    (tmp_path / "log").write_text(f"ready\n{line}\n")
    [trace] = await LogFiles([tmp_path / "log"]).find([17])
    assert trace.where == f"{tmp_path / 'log'}, line 2"


@pytest.mark.parametrize(
    "line",
    [
        "2026-11-17 17:17:17 17 rows in 17 ms",
        "prediction 170",
        "predictions: 1.17 s",
        "request_id=17",
        "grid 17",
        "pid 17",
        "17 predictions",
    ],
)
async def test_a_number_of_something_else_is_none(tmp_path: Path, line: str) -> None:
    (tmp_path / "log").write_text(line)
    assert await ids_in(LogFiles([tmp_path]), 17) == set()


async def test_a_log_that_cannot_be_read_is_not_called_empty(tmp_path: Path) -> None:
    (tmp_path / "log.gz").write_bytes(b"no gzip")
    for search in (ids_in(LogFiles([tmp_path]), 17), values_in(LogFiles([tmp_path]), "Canary")):
        with pytest.raises(InvalidData, match="may hold what is sought"):
            await search
