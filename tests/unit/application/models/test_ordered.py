"""An order that is kept outside memory is that of a sort in memory."""

from __future__ import annotations

import numpy as np
import pytest

from fakes.scratch import FakeScratch
from stroke.application.models import ordered as module
from stroke.application.models.ordered import Ordered
from stroke.application.quality.calibration import Floats


@pytest.fixture(params=["small pieces", "as shipped"])
def _pieces(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "small pieces":  # so that few values make many runs and blocks
        for name, size in (("_RUN", 64), ("_BLOCK", 16), ("_FEWEST", 4)):
            monkeypatch.setattr(module, name, size)


def drawn(count: int, distinct: int, seed: int) -> Floats:
    """Return ``count`` numbers of ``distinct`` different ones, all different if there are 0."""
    stream = np.random.default_rng(seed)
    return stream.integers(0, distinct, count) / distinct if distinct else stream.random(count)


@pytest.mark.usefixtures("_pieces")
@pytest.mark.parametrize("distinct", [1, 2, 40, 0])
@pytest.mark.parametrize("count", [1, 2, 63, 64, 65, 1_000, 5_000])
def test_counts_are_those_of_a_sorted_array(count: int, distinct: int) -> None:
    values = drawn(count, distinct, count)
    places = Ordered(FakeScratch)
    for start in range(0, count, 17):
        places.add(values[start : start + 17])
    places.sort()
    whole = np.sort(values)
    asked = np.concatenate([values[::3], drawn(50, distinct, 9), [-1.0, 2.0]])

    smaller, up_to = places.counts(asked)

    assert len(places) == count
    assert np.concatenate(list(places.pieces())).tolist() == whole.tolist()
    assert smaller.tolist() == np.searchsorted(whole, asked, "left").tolist()
    assert up_to.tolist() == np.searchsorted(whole, asked, "right").tolist()
    assert places.shares_below(asked) == pytest.approx((smaller + up_to) / 2 / count)


def test_many_runs_of_the_shipped_size_are_merged() -> None:
    values = drawn(700_000, 0, 1)
    places = Ordered(FakeScratch)
    for piece in np.array_split(values, 11):
        places.add(piece)
    places.sort()

    assert (np.concatenate(list(places.pieces())) == np.sort(values)).all()


def test_nothing_at_all_has_no_order_and_is_no_error() -> None:
    places = Ordered(FakeScratch)
    places.add(np.zeros(0))
    places.sort()

    assert [each.tolist() for each in places.counts(np.array([0.5]))] == [[0], [0]]
    assert [each.tolist() for each in places.counts(np.zeros(0))] == [[], []]
