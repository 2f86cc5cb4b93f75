"""Results, checkpoints and pointers to states in folders of this machine."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow.fs import LocalFileSystem

from contracts.analyses import (
    STATE,
    CheckpointStoreContract,
    PlacedResultsContract,
    ReadResults,
    ResultStoreContract,
    StatePointerContract,
    a_run,
)
from stroke.adapters.results import checkpoints
from stroke.adapters.results.checkpoints import FolderCheckpoints
from stroke.adapters.results.folder import RUN, FolderResults
from stroke.adapters.results.memory import KeptResults
from stroke.adapters.results.pointer import FolderPointer
from stroke.application.analyses.ports import CannotContinue
from stroke.application.analyses.queries import Analysis
from stroke.domain.errors import InvalidData

LOCAL = LocalFileSystem()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "kept" / "here"


@pytest.fixture
def no_folder(tmp_path: Path) -> str:
    """Return a place where a file is in the way."""
    (tmp_path / "file").write_text("a file")
    return str(tmp_path / "file" / "below")


class TestFolderResults(PlacedResultsContract):
    @pytest.fixture
    def store(self, folder: Path) -> FolderResults:
        return FolderResults(LOCAL, str(folder))

    @pytest.fixture
    def read_results(self, folder: Path) -> ReadResults:
        def read(analysis: Analysis) -> list[dict[str, Any]] | None:
            file = folder / f"{analysis.table}.parquet"
            return pq.read_table(file).to_pylist() if file.exists() else None

        return read

    @pytest.fixture
    def read_runs(self, folder: Path) -> Callable[[], list[dict[str, Any]]]:
        return lambda: [json.loads((folder / RUN).read_text())]

    @pytest.fixture
    def blocked(self, no_folder: str) -> FolderResults:
        return FolderResults(LOCAL, no_folder)

    def test_the_record_of_a_run_is_read_back(self, store: FolderResults) -> None:
        store.record(a_run(1))

        assert store.read_run() == json.loads(json.dumps(a_run(1).as_json()))

    @pytest.mark.parametrize(
        "said", ["", "[]", "null", "{}", "7", '{"began": "yesterday"}', "[" * 100_000, "\0"]
    )
    def test_what_is_no_record_of_a_run_is_refused(
        self, store: FolderResults, folder: Path, said: str
    ) -> None:
        store.record(a_run(1))
        (folder / RUN).write_text(said)

        with pytest.raises(InvalidData, match=r"no run\.json that can be read"):
            store.read_run()

    @pytest.mark.parametrize("key", ["engine", "began", "seconds", "point", "events", "rows"])
    def test_a_record_that_lacks_a_part_is_refused(
        self, store: FolderResults, folder: Path, key: str
    ) -> None:
        store.record(a_run(1))
        said = json.loads((folder / RUN).read_text())
        for wrong in ({k: v for k, v in said.items() if k != key}, {**said, key: None}):
            (folder / RUN).write_text(json.dumps(wrong))
            with pytest.raises(InvalidData):
                store.read_run()


class TestKeptResults(ResultStoreContract):
    @pytest.fixture
    def store(self) -> KeptResults:
        return KeptResults()

    @pytest.fixture
    def read_results(self, store: KeptResults) -> ReadResults:
        def read(analysis: Analysis) -> list[dict[str, Any]] | None:
            found = [rows for each, rows in store.tables if each == analysis]
            assert len(found) <= 1
            return found[0].to_pylist() if found else None

        return read

    @pytest.fixture
    def read_runs(self, store: KeptResults) -> Callable[[], list[dict[str, Any]]]:
        return lambda: [json.loads(json.dumps(store.run))]


class TestFolderCheckpoints(CheckpointStoreContract):
    @pytest.fixture
    def store(self, folder: Path) -> FolderCheckpoints:
        return FolderCheckpoints(LOCAL, str(folder))

    @pytest.fixture
    def spoil(self, folder: Path) -> Callable[[], None]:
        def spoil() -> None:
            (folder / checkpoints.NAME).unlink()
            (folder / checkpoints.NAME).mkdir()

        return spoil

    @pytest.fixture
    def blocked(self, no_folder: str) -> FolderCheckpoints:
        return FolderCheckpoints(LOCAL, no_folder)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
WHOLE = {
    "shape": "shape",
    "folder": STATE.folder,
    "clusters": dict(STATE.clusters),
    "point": dict(STATE.position),
}


class TestFolderPointer(StatePointerContract):
    @pytest.fixture
    def pointer(self, folder: Path) -> FolderPointer:
        return FolderPointer(LOCAL, str(folder))

    @pytest.fixture
    def spoil(self, folder: Path) -> Callable[[], None]:
        def spoil() -> None:
            (folder / "state.json").write_text('{"shape": "shape"}')

        return spoil

    @pytest.fixture
    def blocked(self, no_folder: str) -> FolderPointer:
        return FolderPointer(LOCAL, no_folder)

    def test_older_states_are_removed(self, pointer: FolderPointer, folder: Path) -> None:
        for name in ("state-1a", "state-2b", "other"):
            (folder / name).mkdir(parents=True)

        pointer.write(STATE, "shape")

        assert sorted(path.name for path in folder.iterdir()) == ["other", "state-1a", "state.json"]

    @pytest.mark.parametrize(
        "said",
        [
            *("[]", "null", "7", '"x"', "", "{", "[" * 100_000, "\udcff"),
            *(json.dumps({k: v for k, v in WHOLE.items() if k != key}) for key in WHOLE),
            *(json.dumps(WHOLE | {key: 7}) for key in WHOLE),
            json.dumps(WHOLE | {"folder": "../state-1a"}),
            json.dumps(WHOLE | {"folder": "state-1a/../../x"}),
            json.dumps(WHOLE | {"clusters": {"a": "1"}}),
            json.dumps(WHOLE | {"clusters": {"a": True}}),
        ],
    )
    def test_a_file_that_states_no_state_is_not_continued(
        self, pointer: FolderPointer, folder: Path, said: str
    ) -> None:
        folder.mkdir(parents=True)
        (folder / "state.json").write_bytes(said.encode(errors="surrogateescape"))

        with pytest.raises(CannotContinue):
            pointer.read("shape")

    @given(JSON, st.sampled_from([None, *WHOLE]))
    def test_no_json_ends_a_run(
        self, tmp_path_factory: pytest.TempPathFactory, said: Any, key: str | None
    ) -> None:
        folder = tmp_path_factory.getbasetemp() / "any-json"
        folder.mkdir(exist_ok=True)
        (folder / "state.json").write_text(json.dumps(said if key is None else WHOLE | {key: said}))

        try:
            state = FolderPointer(LOCAL, str(folder)).read("shape")
        except CannotContinue:
            return
        assert state is not None
        assert state.folder.startswith("state-")
        assert dict(state.position) == state.position
