from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from stroke.application.pipeline.id_ranges import IdWalk, batches, covering


@given(st.sets(st.integers(-1000, 1000)), st.integers(1, 50))
def test_covering_ranges_hold_every_id_and_do_not_overlap(ids: set[int], width: int) -> None:
    ranges = list(covering(sorted(ids), width))

    assert all(any(first <= n <= last for first, last in ranges) for n in ids)
    assert all(last - first < width for first, last in ranges)
    assert all(earlier[1] < later[0] for earlier, later in pairwise(ranges))


def test_a_walk_leaves_no_id_out() -> None:
    walk = IdWalk(-5, 100, chunk_size=1)
    steps = []
    while walk.first <= 100:
        end = walk.end(None)
        steps.append((walk.first, end))
        walk.advance(end, empty=False)

    assert steps[0][0] == -5
    assert steps[-1][1] == 100
    assert all(later[0] == earlier[1] + 1 for earlier, later in pairwise(steps))


def test_a_walk_ends_a_step_where_the_source_s_chunk_is_full() -> None:
    assert IdWalk(1, 10**6, chunk_size=10).end(37) == 37


def test_a_walk_does_not_look_far_into_what_the_source_does_not_know() -> None:
    assert IdWalk(1, 10**6, chunk_size=10).end(None) == 160


def test_a_walk_crosses_the_widest_gap_in_few_steps() -> None:
    walk = IdWalk(1, 2**63 - 1, chunk_size=10)
    steps = 0
    while walk.first <= 2**63 - 1:
        walk.advance(walk.end(None), empty=True)
        steps += 1

    assert steps < 50


@given(st.sets(st.integers(1, 10**4), max_size=200))
def test_batches_hold_every_id_once(ids: set[int]) -> None:
    assert [number for batch in batches(sorted(ids)) for number in batch] == sorted(ids)


def test_scattered_ids_come_in_several_batches_and_neighbours_in_one() -> None:
    assert [len(batch) for batch in batches(range(0, 10_000, 2))] == [2000, 2000, 1000]
    assert [len(batch) for batch in batches(range(10_000))] == [10_000]
