"""Numbers in a temporary file that has no name."""

from __future__ import annotations

import tempfile
from typing import Any, Final

import numpy as np
from numpy.typing import DTypeLike, NDArray

from stroke.application.models.ports import Scratch
from stroke.domain.errors import ScratchFull

_IN_MEMORY: Final = 1 << 16  # bytes: a small group of patients needs no file


class FileScratch(Scratch):
    """Values of ``kind`` in a file in ``TMPDIR``; few of them stay in memory.

    The file has no name from the start, so nothing is left behind even by ``kill -9``.
    """

    def __init__(self, kind: DTypeLike) -> None:
        self._kind = np.dtype(kind)
        # No buffer: what could not be written would fail once more when the file is closed.
        self._file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY, buffering=0)  # noqa: SIM115
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def append(self, values: NDArray[Any]) -> None:
        left = memoryview(np.ascontiguousarray(values, self._kind).tobytes())
        try:
            self._file.seek(self._count * self._kind.itemsize)
            while left:
                left = left[self._file.write(left) :]
        except OSError as error:
            raise ScratchFull(
                f"temporary files cannot be written: {error.strerror}. Set TMPDIR to a folder with "
                "more room"
            ) from error
        self._count += len(values)

    def read(self, start: int, stop: int) -> NDArray[Any]:
        size = self._kind.itemsize
        self._file.seek(start * size)
        wanted = max(0, min(stop, self._count) - start)
        return np.frombuffer(self._file.read(wanted * size), self._kind)

    def close(self) -> None:
        self._file.close()
