"""What a run keeps for the next: going on from it gives what reading everything gives."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow.fs import LocalFileSystem

from builders.changes import a_change, loaded, reading, silent
from builders.truth import EVENTS, NEW, OLD, TRUTH, Change
from runner.examples import examples
from stroke.adapters.duckdb.engine import DuckDbEngine
from stroke.adapters.results.checkpoints import NAME, FolderCheckpoints
from stroke.application.analyses.ports import CannotContinue, Loaded
from stroke.application.analyses.queries import analyses
from stroke.application.analyses.runs import Reached

from .test_engine import ANALYSES, OFFSETS, rows_of

Results = dict[str, list[dict[str, Any]]]


def an_engine(folder: Path, *, threads: int | None = None) -> DuckDbEngine:
    """Return an engine that keeps its checkpoint in ``folder``."""
    kept = FolderCheckpoints(LocalFileSystem(), str(folder))
    return DuckDbEngine(memory_mib=128, threads=threads, checkpoints=kept)


def keep(changes: Sequence[Change], folder: Path) -> Path:
    """Load changes, and return the file that is kept of them in ``folder``."""
    with an_engine(folder, threads=1) as engine:
        loaded(engine, changes)
        engine.save({"at": 1})
    return folder / NAME


def extended(engine: DuckDbEngine, changes: Sequence[Change]) -> Loaded:
    return engine.extend(reading(changes), on_progress=silent)


def went_on(folder: Path, changes: Sequence[Change]) -> Results:
    """Continue from what is kept in ``folder``, and keep the result there."""
    with an_engine(folder, threads=1) as engine:
        assert engine.resume() == {"at": 1}
        extended(engine, changes)
        found = {each.name: engine.query(each).to_pylist() for each in analyses(minimum=1)}
        engine.save({"at": 1})
        return found


@pytest.mark.parametrize("split", range(len(EVENTS) + 1))
def test_a_run_that_goes_on_gives_the_rows_that_were_checked_by_hand(
    tmp_path: Path, split: int
) -> None:
    keep(EVENTS[:split], tmp_path)
    with an_engine(tmp_path) as engine:
        engine.resume()
        now = extended(engine, EVENTS[split:])

        assert now.predictions == 6

        for name, expected in TRUTH.items():
            width = len(expected[0])
            found = [row[:width] for row in rows_of(engine, ANALYSES[name])]
            assert len(found) == len(expected)
            for row, wanted in zip(found, expected, strict=True):
                assert row == pytest.approx(wanted, abs=1e-12)
        assert now.reached == [Reached(OLD, 0, 111), Reached(NEW, 0, 0)]


# Their sums are exact, so that no mean tells in which order its rows were read.
PROBABILITIES = st.integers(0, 1024).map(lambda parts: parts / 1024)


@settings(max_examples=examples(30))
@given(
    st.lists(
        st.tuples(OFFSETS, st.integers(1, 5), st.sampled_from("crud"), PROBABILITIES),
        max_size=25,
        unique_by=lambda event: event[0],
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
        for (cluster, place), number, op, probability in sorted(
            log, key=lambda event: event[0][::-1]
        )
    ]
    first, last = ends
    begun = [a_change(9, -1, "c", cluster) for cluster in (OLD, NEW)]
    runs = [[*begun, *changes[:first]], changes[first:last], changes[last:]]
    for run in runs[1:]:
        run.extend(order.sample(runs[0], len(runs[0]) // 2))  # some are there already
        order.shuffle(run)

    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        keep(runs[0], Path(one))
        went_on(Path(one), runs[1])  # into the same file
        in_three = went_on(Path(one), runs[2])
        keep([], Path(other))
        in_one = went_on(Path(other), [*begun, *changes])

    assert in_three == in_one


def test_an_event_older_than_its_cluster_s_first_cannot_be_placed(tmp_path: Path) -> None:
    keep([a_change(1, 5)], tmp_path)

    with an_engine(tmp_path) as engine:
        engine.resume()
        with pytest.raises(CannotContinue, match="older than the first"):
            extended(engine, [a_change(1, 4)])
        assert loaded(engine, [a_change(1, 4), a_change(2, 5)]).predictions == 2
        assert engine.query(ANALYSES["operations"])["events"].to_pylist() == [2]


def of_other_tables(path: Path) -> None:
    path.unlink()
    with duckdb.connect(str(path)) as database:
        database.execute("CREATE VIEW head AS SELECT 1")


def with_head(assignment: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        with duckdb.connect(str(path)) as database:
            database.execute(f"UPDATE head SET {assignment}")  # noqa: S608

    return change


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:5_000]), "cannot be read"),
        (of_other_tables, "something else"),
        (with_head("shape = '[0]'"), "version"),
        (with_head("point = '[]'"), "cannot be read"),
        (with_head("point = 'no json'"), "cannot be read"),
        (with_head("point = NULL"), "cannot be read"),
    ],
)
def test_what_is_no_checkpoint_is_not_gone_on_from(
    tmp_path: Path, change: Callable[[Path], None], why: str
) -> None:
    change(keep(EVENTS, tmp_path))

    with an_engine(tmp_path) as engine:
        with pytest.raises(CannotContinue, match=why):
            engine.resume()
        assert loaded(engine, EVENTS).predictions == 6


def test_a_checkpoint_that_is_broken_further_in_is_not_gone_on_from(tmp_path: Path) -> None:
    kept = keep(EVENTS, tmp_path)
    content = bytearray(kept.read_bytes())
    beyond = 3 * 4096  # its heads
    content[beyond:] = bytes(len(content) - beyond)
    kept.write_bytes(content)

    with an_engine(tmp_path) as engine:
        with pytest.raises(CannotContinue):  # noqa: PT012 - opened or not, it is of no use
            engine.resume()
            extended(engine, EVENTS)
        assert loaded(engine, EVENTS).predictions == 6


def test_no_name_is_kept(tmp_path: Path) -> None:
    kept = keep(EVENTS, tmp_path)

    assert b"Zyxwvut" not in kept.read_bytes()
