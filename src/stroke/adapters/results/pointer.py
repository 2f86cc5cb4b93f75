"""FolderPointer: which of the states in a folder is the last."""

from __future__ import annotations

import json
import re
from typing import Any, Final

import pyarrow as pa
from pyarrow import fs

from stroke.adapters.results.atomic_files import WholeFiles
from stroke.application.analyses.ports import CannotContinue, SavedState, StatePointer
from stroke.domain.errors import InvalidData

NAME: Final = "state.json"
_STATES: Final = "state-"
_FOLDER: Final = re.compile(rf"{_STATES}[A-Za-z0-9]+")


class FolderPointer(StatePointer):
    """The file ``state.json`` of a folder that has states in folders, of one run at a time.

    A state's folder is named ``state-`` and letters or digits.
    """

    def __init__(self, system: fs.FileSystem, folder: str) -> None:
        self._files = WholeFiles(system, folder, private=True)

    def read(self, shape: str) -> SavedState | None:
        try:
            found: Any = json.loads(self._files.read(NAME))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError) as error:
            raise CannotContinue("what the last run kept cannot be read") from error
        if isinstance(found, dict) and found.get("shape") != shape:
            raise CannotContinue("another version of stroke kept what the last run read")
        state = _state(found)
        if state is None:
            raise CannotContinue("what the last run kept cannot be read")
        return state

    def write(self, state: SavedState, shape: str) -> None:
        content = {
            "shape": shape,
            "point": dict(state.position),
            "clusters": dict(state.clusters),
            "folder": state.folder,
        }
        self._files.put(NAME, pa.py_buffer(json.dumps(content).encode()))
        system = self._files.system
        try:
            for found in system.get_file_info(fs.FileSelector(self._files.folder)):
                if found.base_name.startswith(_STATES) and found.base_name != state.folder:
                    system.delete_dir(found.path)
        except OSError as error:
            raise InvalidData(
                f"older states in {self._files.folder} cannot be removed: check that they may be"
            ) from error


def _state(found: Any) -> SavedState | None:
    """Return what a file says, None where it does not say a state."""
    match found:
        case {"folder": str(folder), "clusters": dict(clusters), "point": dict(position)}:
            if _FOLDER.fullmatch(folder) and all(type(each) is int for each in clusters.values()):
                return SavedState(folder, clusters, position)
    return None
