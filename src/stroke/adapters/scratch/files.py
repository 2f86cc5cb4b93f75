"""Numbers in a temporary file that has no name."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from stroke.application.models.ports import Scratch
from stroke.domain.errors import ScratchFull


class FileScratch(Scratch):
    """Values of ``kind`` in a file in ``TMPDIR``. Raises ``ScratchFull`` where none can be made.

    The file has no name from the start, so nothing is left behind even by ``kill -9``.
    """

    def __init__(self, kind: DTypeLike) -> None:
        self._kind = np.dtype(kind)
        # No buffer: what could not be written would fail once more when the file is closed.
        with _full():
            self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 -- see close
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def append(self, values: NDArray[Any]) -> None:
        left = memoryview(np.ascontiguousarray(values, self._kind).tobytes())
        with _full():
            self._file.seek(self._count * self._kind.itemsize)
            while left:  # a disk that fills up takes a part, and says so with the next one
                left = left[self._file.write(left) :]
        self._count += len(values)

    def read(self, start: int, stop: int) -> NDArray[Any]:
        size = self._kind.itemsize
        self._file.seek(start * size)
        wanted = max(0, min(stop, self._count) - start)
        return np.frombuffer(self._file.read(wanted * size), self._kind)

    def close(self) -> None:
        self._file.close()


@contextmanager
def _full() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ScratchFull(
            f"temporary files cannot be written: {error.strerror}. Set TMPDIR to a folder with "
            "more room"
        ) from error
