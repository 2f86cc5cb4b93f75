"""Predictions taken out of a checkpoint of DuckDB's."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyarrow.fs import LocalFileSystem

from builders.changes import a_change
from contracts.erasure import ErasablePlaceContract
from stroke.adapters.duckdb.erasure import CheckpointPlace
from stroke.adapters.results.checkpoints import NAME, FolderCheckpoints
from stroke.domain.errors import InvalidData

from .test_checkpoint import an_engine, extended, keep

pytestmark = pytest.mark.anyio
CANARY = "Canary-7341"


class InCheckpoint:
    """The last change of each, and of others more than fit into one block of the file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        kept = FolderCheckpoints(LocalFileSystem(), str(folder))
        self.place = CheckpointPlace(kept, address="kept")

    async def put(self, *ids: int) -> None:
        keep(
            [a_change(n, at, age=61.0, country=f"{CANARY} {n}") for at, n in enumerate(ids)],
            self.folder,
        )


class TestCheckpoint(ErasablePlaceContract):
    @pytest.fixture
    def stage(self, tmp_path: Path) -> InCheckpoint:
        return InCheckpoint(tmp_path / "it's kept")


async def test_no_byte_of_an_erased_row_is_left_and_the_next_run_goes_on(tmp_path: Path) -> None:
    stage = InCheckpoint(tmp_path)
    await stage.put(6, 7)
    assert f"{CANARY} 7".encode() in (tmp_path / NAME).read_bytes()

    await stage.place.erase([7])

    assert f"{CANARY} 7".encode() not in (tmp_path / NAME).read_bytes()
    assert f"{CANARY} 6".encode() in (tmp_path / NAME).read_bytes()
    with an_engine(tmp_path) as engine:
        assert engine.resume() == {"at": 1}
        done = extended(engine, [a_change(7, 9, op="d"), a_change(8, 10, age=50.0)])
    assert (done.predictions, done.events) == (2, 2)


@pytest.mark.parametrize("content", [b"", b"no database", b"DUCK" * 2_000])
async def test_a_file_that_cannot_be_read_is_not_called_empty(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / NAME).write_bytes(content)
    with pytest.raises(InvalidData, match="remove it"):
        await InCheckpoint(tmp_path).place.find([7])
