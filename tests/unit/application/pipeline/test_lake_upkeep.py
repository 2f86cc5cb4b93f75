"""Which state of the lake is the newest, and which files nobody may delete."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stroke.application.pipeline.lake_upkeep import (
    LakeRewind,
    StoredEvent,
    TableState,
    lost_files,
    rewind_of,
)


def state(
    location: str, sequence: int, *, snapshots: Iterable[int], updated: int = 0, table: str = "t"
) -> TableState:
    """Return a state whose snapshots' ids are their sequence numbers, or above 100 in a branch."""
    kept = list(snapshots)
    return TableState(
        location,
        table,
        sequence,
        updated or sequence,
        kept[-1] if kept else None,
        {number: number % 100 for number in kept},
    )


def rewound(location: str, *states: TableState) -> LakeRewind:
    return rewind_of(location, {one.location: one for one in states})


def test_a_catalog_that_names_the_newest_state_is_not_behind() -> None:
    states = [state(str(n), n, snapshots=range(1, n + 1)) for n in range(1, 6)]

    assert rewound("5", *states) == LakeRewind("5")


def test_a_restored_catalog_is_behind_by_the_commits_since() -> None:
    states = [state(str(n), n, snapshots=range(1, n + 1)) for n in range(1, 6)]

    assert rewound("2", *states) == LakeRewind("2", states[-1], 3)


def test_a_newer_state_with_the_same_rows_counts_too() -> None:
    old, new = (state(name, 3, snapshots=[3], updated=at) for name, at in (("a", 1), ("b", 2)))

    assert rewound("a", old, new) == LakeRewind("a", new, 0)


@pytest.mark.parametrize("updated", [2, 3, 4])
def test_what_a_refused_commit_left_beside_the_current_state_is_not_newer(updated: int) -> None:
    current = state("a", 3, snapshots=[1, 2, 3])
    left = state("b", 3, snapshots=[1, 2, 103], updated=updated)

    assert rewound("a", current, left) == LakeRewind("a")


def test_a_head_that_expired_since_is_no_branch() -> None:
    named, newest = state("a", 2, snapshots=[1, 2]), state("b", 9, snapshots=[8, 9])

    assert not rewound("a", named, newest).has_diverged


def test_a_head_that_the_newest_state_never_had_is_a_branch() -> None:
    named, newest = state("a", 3, snapshots=[1, 2, 103]), state("b", 9, snapshots=range(1, 10))

    assert rewound("a", named, newest).has_diverged


def test_a_state_whose_metadata_was_deleted_is_behind_all_that_are_there() -> None:
    states = [state(str(n), n, snapshots=[n]) for n in (70, 71)]

    assert rewound("2", *states) == LakeRewind("2", states[-1], 71)


def test_the_states_of_another_table_do_not_count() -> None:
    mine, other = state("a", 1, snapshots=[1]), state("b", 9, snapshots=[9], table="another")

    assert rewound("a", mine, other) == LakeRewind("a")
    assert rewound("gone", mine, other) == LakeRewind("gone")
    assert rewound("gone") == LakeRewind("gone")


EVENTS = st.builds(
    StoredEvent,
    cluster=st.sampled_from("ab"),
    partition=st.integers(0, 1),
    offset=st.integers(0, 9),
    prediction_id=st.integers(1, 3),
    is_deletion=st.just(False),
)


@given(st.dictionaries(st.text(max_size=2), st.sets(EVENTS), max_size=4), st.sets(EVENTS))
def test_a_file_is_lost_where_any_of_its_events_is_in_no_file_of_the_table(
    orphans: dict[str, set[StoredEvent]], held: set[StoredEvent]
) -> None:
    assert lost_files(orphans, held) == {path for path in orphans if orphans[path] - held}


def event(offset: int, number: int, *, is_deletion: bool = False) -> StoredEvent:
    return StoredEvent("a", 0, offset, number, is_deletion)


def test_what_was_erased_from_the_lake_is_not_lost_and_what_was_only_deleted_is() -> None:
    """An erasure leaves nothing but the deletions of an id."""
    left = {"left": [event(1, 7), event(2, 7)]}
    gone = event(3, 7, is_deletion=True)

    assert lost_files(left, [gone]) == set()
    assert lost_files(left, [event(1, 7), gone]) == {"left"}
    assert lost_files(left, [event(0, 7, is_deletion=True)]) == {"left"}
    assert lost_files(left, [StoredEvent("b", 0, 3, 7, is_deletion=True)]) == {"left"}
    assert lost_files(left, [event(3, 8, is_deletion=True)]) == {"left"}


def test_a_file_without_events_is_not_lost() -> None:
    assert lost_files({"torn": []}, []) == set()
