"""Ids and values searched for in logs."""

from __future__ import annotations

import gzip
import lzma
import os
import tracemalloc
from pathlib import Path

import pytest

from contracts.erasure import SearchedPlaceContract, ValueSearchContract, ids_in, values_in
from stroke.adapters.value_search.logs import LogFiles
from stroke.application.erasure.values import SoughtValues
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


async def test_a_log_is_unpacked_by_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "service.log.1.xz").write_bytes(lzma.compress(b"ready\nCanary, prediction 17\n"))
    (tmp_path / "service.log.2").write_bytes(gzip.compress("José Muñoz".encode("cp1252")))
    logs = LogFiles([tmp_path])
    assert await ids_in(logs, 17, 18) == {17}
    assert await values_in(logs, "Canary", "JOSÉ MUÑOZ", "Carla") == {
        "Canary",
        "JOSÉ MUÑOZ",
    }


async def test_folders_behind_links_are_searched_once(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "log").write_text("Canary")
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "current").symlink_to(tmp_path / "real")
    (tmp_path / "real" / "around").symlink_to(tmp_path / "logs")
    (tmp_path / "logs" / "gone").symlink_to(tmp_path / "nothing")
    os.mkfifo(tmp_path / "logs" / "pipe")
    [trace] = await LogFiles([tmp_path / "logs"]).find_values(SoughtValues(["Canary"]))
    assert trace.where == f"{tmp_path / 'logs' / 'current' / 'log'}, line 1"


async def test_the_name_of_a_log_is_searched_and_not_said(tmp_path: Path) -> None:
    (tmp_path / "Canary.log").write_text("ready\n")
    [trace] = await LogFiles([tmp_path]).find_values(SoughtValues(["Canary"]))
    assert trace.where == f"{tmp_path}/[value 1]"


async def test_a_line_as_long_as_its_file_is_not_held_in_memory(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as log:
        for _ in range(48):
            log.write(b"x" * (2**20 - 7))
        log.write(b"Canary, prediction 17")
    logs = LogFiles([tmp_path / "log"])
    tracemalloc.start()
    try:
        found = await logs.find_values(SoughtValues(["Canary"]))
        ids = await ids_in(logs, 17)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert [trace.where for trace in found] == [f"{tmp_path / 'log'}, line 1"]
    assert ids == {17}
    assert most < 24 * 2**20


async def test_what_crosses_two_pieces_of_a_line_is_found(tmp_path: Path) -> None:
    for cut in range(1, 20):
        (tmp_path / "log").write_bytes(b" " * (2**20 - cut) + b"Canary prediction 17, x\nready")
        assert await values_in(LogFiles([tmp_path]), "Canary") == {"Canary"}
        assert await ids_in(LogFiles([tmp_path]), 17) == {17}


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "line", [b"id" + b" " * 200_000, b"id: " + b"1" * 100_000, b"id 1" + b" " * 200_000]
)
async def test_no_line_takes_long_or_is_refused(tmp_path: Path, line: bytes) -> None:
    (tmp_path / "log").write_bytes(line + b"\nprediction 017\n")
    assert await ids_in(LogFiles([tmp_path]), 17) == {17}


async def test_of_very_many_lines_with_an_id_the_first_are_named(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("prediction 17\n" * 3_000 + "prediction 18\n")
    found = await LogFiles([tmp_path]).find([17, 18])
    assert len(found) == 1_002
    assert [trace.where for trace in found if trace.prediction_id == 18] == [
        f"{tmp_path / 'log'}, line 3001"
    ]
    assert "and more" in {trace.where for trace in found}
