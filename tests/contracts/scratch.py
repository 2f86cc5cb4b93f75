"""Behaviour that every place for values outside memory shares; see contracts.py."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import DTypeLike

from stroke.application.models.ports import NewScratch

RECORD = np.dtype([("outcome", "i1"), ("probability", "f8"), ("site", "i4")])


class ScratchContract:
    """Provide a fixture ``scratch``, which makes empty places."""

    def test_an_empty_place_has_nothing(self, scratch: NewScratch) -> None:
        place = scratch(np.float64)

        assert len(place) == 0
        assert place.read(0, 10).tolist() == []
        assert place.read(0, 10).dtype == np.float64
        place.close()

    @pytest.mark.parametrize("kind", [np.float64, np.int8, RECORD])
    def test_values_come_back_bit_for_bit_in_their_order(
        self, scratch: NewScratch, kind: DTypeLike
    ) -> None:
        size = np.dtype(kind).itemsize
        drawn = np.random.default_rng(1).integers(0, 256, 30_000 * size, np.uint8)
        values = np.frombuffer(drawn.tobytes(), kind)
        place = scratch(kind)

        for start, stop in ((0, 7), (7, 7), (7, 9_000), (9_000, 30_000)):
            place.append(values[start:stop])

        assert len(place) == 30_000
        for start, stop in ((0, 30_000), (0, 1), (6, 8), (29_999, 40_000), (30_000, 30_001)):
            assert place.read(start, stop).tobytes() == values[start:stop].tobytes()
        place.close()

    def test_what_was_read_does_not_hinder_what_is_added(self, scratch: NewScratch) -> None:
        place = scratch(np.int64)
        place.append(np.arange(20_000))
        assert place.read(5, 8).tolist() == [5, 6, 7]

        place.append(np.arange(20_000, 20_003))

        assert place.read(19_999, 20_010).tolist() == [19_999, 20_000, 20_001, 20_002]
        place.close()

    def test_values_of_another_type_are_converted(self, scratch: NewScratch) -> None:
        place = scratch(np.float64)
        place.append(np.arange(6, dtype=np.int32)[::2])

        assert place.read(0, 3).tolist() == [0.0, 2.0, 4.0]
        place.close()

    def test_places_do_not_share_their_values(self, scratch: NewScratch) -> None:
        first, second = scratch(np.int64), scratch(np.int64)
        first.append(np.array([1]))
        second.append(np.array([2, 3]))

        assert first.read(0, 9).tolist() == [1]
        first.close()
        assert second.read(0, 9).tolist() == [2, 3]
        second.close()
