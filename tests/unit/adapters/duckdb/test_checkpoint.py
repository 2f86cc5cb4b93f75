"""What a run keeps for the next: going on from it gives what reading everything gives."""

from __future__ import annotations

import random
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.truth import EVENTS, NEW, OLD, TRUTH, Change
from stroke.adapters.duckdb.engine import DuckDbEngine
from stroke.application.analyses.checkpoints import CannotContinue
from stroke.application.analyses.queries import analyses
from stroke.application.analyses.service import Reached

from .test_engine import ANALYSES, OFFSETS, a_change, batches, rows_of

Results = dict[str, list[dict[str, Any]]]


def kept_of(changes: Sequence[Change], folder: Path) -> Path:
    """Load changes, and return what is kept of them."""
    with DuckDbEngine(memory_mib=128, threads=1) as engine:
        engine.load(batches(changes), with_name=False)
        return Path(shutil.copy(engine.checkpoint({"at": 1}), folder / "kept"))


def went_on(kept: Path, changes: Sequence[Change]) -> Results:
    with DuckDbEngine(memory_mib=128, threads=1) as engine:
        assert engine.resume(kept) == {"at": 1}
        engine.extend(batches(changes))
        found = {each.name: engine.query(each).to_pylist() for each in analyses(minimum=1)}
        assert engine.checkpoint({"at": 1}) == kept
        return found


@pytest.mark.parametrize("split", range(len(EVENTS) + 1))
def test_a_run_that_goes_on_gives_the_rows_that_were_checked_by_hand(
    tmp_path: Path, split: int
) -> None:
    kept = kept_of(EVENTS[:split], tmp_path)
    with DuckDbEngine(memory_mib=128) as engine:
        engine.resume(kept)
        assert engine.extend(batches(EVENTS[split:])) == 6

        for name, expected in TRUTH.items():
            width = len(expected[0])
            found = [row[:width] for row in rows_of(engine, ANALYSES[name])]
            assert len(found) == len(expected)
            for row, told in zip(found, expected, strict=True):
                assert row == pytest.approx(told, abs=1e-12)
        assert engine.reached() == [Reached(OLD, 0, 111), Reached(NEW, 0, 0)]


# Their sums are exact, so that no mean tells in which order its rows were read.
PROBABILITIES = st.integers(0, 1024).map(lambda parts: parts / 1024)


@settings(max_examples=30)
@given(
    st.lists(
        st.tuples(OFFSETS, st.integers(1, 5), st.sampled_from("crud"), PROBABILITIES),
        max_size=25,
        unique_by=lambda told: told[0],
    ),
    st.lists(st.integers(0, 25), min_size=2, max_size=2).map(sorted),
    st.randoms(use_true_random=False),
)
def test_wherever_runs_end_the_results_are_those_of_one(
    log: list[tuple[tuple[str, int], int, str, float]], ends: list[int], order: random.Random
) -> None:
    """The sink keeps the order of its files, not of what is in them, and may store twice."""
    changes = [
        a_change(number, place, op, cluster, probability=None if op == "d" else probability)
        for (cluster, place), number, op, probability in sorted(log, key=lambda told: told[0][::-1])
    ]
    first, last = ends
    begun = [a_change(9, -1, "c", cluster) for cluster in (OLD, NEW)]
    runs = [[*begun, *changes[:first]], changes[first:last], changes[last:]]
    for run in runs[1:]:
        run.extend(order.sample(runs[0], len(runs[0]) // 2))  # some are there already
        order.shuffle(run)

    with tempfile.TemporaryDirectory() as folder:
        kept = kept_of(runs[0], Path(folder))
        went_on(kept, runs[1])  # into the same file
        in_three = went_on(kept, runs[2])
        in_one = went_on(kept_of([], Path(folder)), [*begun, *changes])

    assert in_three == in_one


def test_an_event_older_than_its_cluster_s_first_cannot_be_placed(tmp_path: Path) -> None:
    kept = kept_of([a_change(1, 5)], tmp_path)

    with DuckDbEngine(memory_mib=128) as engine:
        engine.resume(kept)
        with pytest.raises(CannotContinue, match="older than the first"):
            engine.extend(batches([a_change(1, 4)]))
        assert engine.load(batches([a_change(1, 4), a_change(2, 5)]), with_name=False) == 2
        assert engine.query(ANALYSES["operations"])["events"].to_pylist() == [2]


def test_what_is_no_checkpoint_is_not_gone_on_from(tmp_path: Path) -> None:
    older = kept_of(EVENTS, tmp_path)
    torn = tmp_path / "torn"
    torn.write_bytes(older.read_bytes()[:5_000])
    other = tmp_path / "other"
    with duckdb.connect(str(other)) as database:
        database.execute("CREATE VIEW head AS SELECT 1")
    with duckdb.connect(str(older)) as database:
        database.execute("UPDATE head SET shape = '[0]'")

    for path, why in ((torn, "cannot be read"), (other, "something else"), (older, "version")):
        with DuckDbEngine(memory_mib=128) as engine:
            with pytest.raises(CannotContinue, match=why):
                engine.resume(path)
            assert engine.load(batches(EVENTS), with_name=False) == 6


def test_a_checkpoint_that_is_broken_further_in_is_not_gone_on_from(tmp_path: Path) -> None:
    kept = kept_of(EVENTS, tmp_path)
    content = bytearray(kept.read_bytes())
    beyond = 3 * 4096  # its heads
    content[beyond:] = bytes(len(content) - beyond)
    kept.write_bytes(content)

    with DuckDbEngine(memory_mib=128) as engine:
        with pytest.raises(CannotContinue):  # noqa: PT012 - opened or not, it is of no use
            engine.resume(kept)
            engine.extend(batches(EVENTS))
        assert engine.load(batches(EVENTS), with_name=False) == 6


def test_no_name_is_kept(tmp_path: Path) -> None:
    kept = kept_of(EVENTS, tmp_path)

    assert b"Zyxwvut" not in kept.read_bytes()
