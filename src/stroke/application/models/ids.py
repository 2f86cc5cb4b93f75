"""What is known of stored predictions by their ids, in few bytes for each."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from stroke.application.models.columns import Mask, Whole

_CHUNK_BITS: Final = 15


class KnownOutcomes:
    """Outcomes by the ids of their predictions, and the sites of these: 13 bytes for each."""

    def __init__(self, rows: Iterable[tuple[int, bool, str | None]] = ()) -> None:
        self._ids, self._strokes, self._sites = array("q"), array("b"), array("i")
        self._names: dict[str, int] = {"": 0}
        self.add(rows)

    def add(self, rows: Iterable[tuple[int, bool, str | None]]) -> None:
        """Add the id, the outcome and the site of predictions; each id once."""
        for number, stroke, site in rows:
            self._ids.append(number)
            self._strokes.append(stroke)
            self._sites.append(self._names.setdefault(site or "", len(self._names)))

    def __len__(self) -> int:
        return len(self._ids)

    def of(self, ids: Whole) -> NDArray[np.int8]:
        """Return 1 for each id with a stroke, 0 for one without, -1 where nothing is known."""
        return self._taken(self._strokes, ids, -1)

    def sites(self, ids: Whole) -> NDArray[Any]:
        """Return the name of each id's site ``(N,)``, "" where there is none or none is known."""
        names: NDArray[Any] = np.array([*self._names], object)
        return names.take(self._taken(self._sites, ids, 0))

    def _taken(self, values: array[int], ids: Whole, otherwise: int) -> NDArray[Any]:
        known = np.frombuffer(values, np.dtype(values.typecode))
        if not len(known):
            return np.full(len(ids), otherwise, known.dtype)
        mine = np.frombuffer(self._ids, np.int64)
        if (np.diff(mine) < 0).any():
            order = np.argsort(mine)
            mine, known = mine[order], known[order]
        at = np.minimum(np.searchsorted(mine, ids), len(mine) - 1)
        found: NDArray[Any] = np.where(mine[at] == ids, known[at], known.dtype.type(otherwise))
        return found


class SeenIds:
    """Ids that came before, one bit each, in blocks of neighbours."""

    def __init__(self) -> None:
        self._blocks: dict[int, NDArray[np.uint8]] = {}

    def first_time(self, ids: Whole) -> Mask:
        """Return which of ``ids`` are here for the first time, and remember all of them."""
        unique, first = np.unique(ids, return_index=True)
        is_new: Mask = np.zeros(len(ids), np.bool_)
        if not len(ids):
            return is_new
        blocks = unique >> _CHUNK_BITS
        starts = np.flatnonzero(np.diff(blocks, prepend=blocks[:1] - 1))
        for start, end in zip(starts, [*starts[1:], len(unique)], strict=True):
            seen = self._blocks.setdefault(
                int(blocks[start]), np.zeros(1 << (_CHUNK_BITS - 3), np.uint8)
            )
            low = unique[start:end] & ((1 << _CHUNK_BITS) - 1)
            place, bit = low >> 3, np.left_shift(1, low & 7).astype(np.uint8)
            is_new[first[start:end]] = (seen[place] & bit) == 0
            np.bitwise_or.at(seen, place, bit)
        return is_new
