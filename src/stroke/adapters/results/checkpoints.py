"""FolderCheckpoints: what a run keeps for the next one, next to its results."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pyarrow import fs

from stroke.adapters.results.atomic_files import WholeFiles
from stroke.application.analyses.ports import CannotContinue, CheckpointStore

NAME: Final = "latest.duckdb"


class FolderCheckpoints(CheckpointStore):
    """Keeps a checkpoint in ``folder`` of ``system``, which on disk only its owner may enter.

    If two runs are at work at the same time, the checkpoint of the one that ends last stays.
    """

    def __init__(self, system: fs.FileSystem, folder: str) -> None:
        self._files = WholeFiles(system, folder, private=True)

    def load(self, folder: Path) -> Path | None:
        copy = folder / NAME
        try:
            self._files.fetch(NAME, copy)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise CannotContinue("what the last run kept cannot be read") from error
        return copy

    def save(self, checkpoint: Path) -> None:
        self._files.put_copy(NAME, checkpoint)
