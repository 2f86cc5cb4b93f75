"""A place for values in memory."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from stroke.application.models.ports import Scratch


class FakeScratch(Scratch):
    """A list of arrays; remembers whether it was closed."""

    def __init__(self, kind: DTypeLike) -> None:
        self._kind = np.dtype(kind)
        self._values: NDArray[Any] = np.empty(0, self._kind)
        self.is_closed = False

    def __len__(self) -> int:
        return len(self._values)

    def append(self, values: NDArray[Any]) -> None:
        self._values = np.concatenate([self._values, np.asarray(values, self._kind)])

    def read(self, start: int, stop: int) -> NDArray[Any]:
        return self._values[start:stop].copy()

    def close(self) -> None:
        self.is_closed = True
