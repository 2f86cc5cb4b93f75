"""Files that appear whole, in a folder or under an S3 prefix."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final
from uuid import uuid4

import pyarrow as pa
from pyarrow import fs

from stroke.domain.errors import InvalidData

_ANYBODY: Final = 0o777
_OWNER: Final = 0o700


class WholeFiles:
    """The files of ``folder`` of ``system``, each written next to its place and moved there.

    A reader has the old one or the new one. Object stores have no moves, and need none: an object
    appears whole. A ``private`` folder on disk is made for its owner alone.
    """

    def __init__(self, system: fs.FileSystem, folder: str, *, private: bool = False) -> None:
        self.system: Final = system
        self.folder: Final = folder.rstrip("/")
        self._is_local = isinstance(system, fs.LocalFileSystem)
        self._mode = _OWNER if private else _ANYBODY

    def path(self, name: str) -> str:
        """Return where a file of this name is."""
        return f"{self.folder}/{name}"

    def read(self, name: str) -> bytes:
        """Return what a file holds. Raises ``OSError``."""
        with self.system.open_input_stream(self.path(name)) as stream:
            return bytes(stream.read())

    def fetch(self, name: str, copy: Path) -> None:
        """Copy a file to this machine. Raises ``OSError``."""
        if self._is_local:
            shutil.copyfile(self.path(name), copy)
            return
        with (
            self.system.open_input_file(self.path(name)) as file,
            pa.OSFile(str(copy), "wb") as stream,
        ):
            file.download(stream)

    def put(self, name: str, content: pa.Buffer) -> None:
        """Write a file. Raises ``InvalidData``."""

        def write(part: Path) -> None:
            part.write_bytes(memoryview(content))

        self._put(name, write, lambda: content)

    def put_copy(self, name: str, of: Path) -> None:
        """Write a file of what one on this machine holds. Raises ``InvalidData``."""

        def copy(part: Path) -> None:
            shutil.copyfile(of, part)

        self._put(name, copy, lambda: pa.memory_map(str(of)).read_buffer())

    def _put(
        self, name: str, make: Callable[[Path], None], content: Callable[[], pa.Buffer]
    ) -> None:
        try:
            if self._is_local:
                Path(self.folder).mkdir(self._mode, parents=True, exist_ok=True)
                part = Path(self.path(f".{name}.{uuid4().hex}.part"))
                make(part)
                part.replace(self.path(name))
            else:
                with self.system.open_output_stream(self.path(name)) as stream:
                    stream.write(content())
        except OSError as error:
            raise InvalidData(
                f"{name} cannot be written to {self.folder}: check that it may be, and for S3 the "
                "endpoint and the credentials"
            ) from error
