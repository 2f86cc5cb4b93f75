"""FolderPointer: which of the states in a folder is the last."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import pyarrow as pa
from pyarrow import fs

from stroke.adapters.results.atomic_files import WholeFiles
from stroke.application.analyses.checkpoints import CannotContinue

NAME: Final = "state.json"
_STATES: Final = "state-"


class FolderPointer:
    """The file ``state.json`` of a folder that has states in folders, of one run at a time."""

    def __init__(self, system: fs.FileSystem, folder: str) -> None:
        self._files = WholeFiles(system, folder, private=True)

    def read(self) -> Mapping[str, Any] | None:
        """Return what was written last, None for nothing. Raises ``CannotContinue``."""
        try:
            found: Mapping[str, Any] = json.loads(self._files.read(NAME))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise CannotContinue("what the last run kept cannot be read") from error
        return found

    def write(self, content: Mapping[str, Any], folder: str) -> None:
        """Write it at once or not at all, and remove all folders of states but ``folder``."""
        self._files.put(NAME, pa.py_buffer(json.dumps(content).encode()))
        system = self._files.system
        for found in system.get_file_info(fs.FileSelector(self._files.folder)):
            if found.base_name.startswith(_STATES) and found.base_name != folder:
                system.delete_dir(found.path)
