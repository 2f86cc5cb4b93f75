"""The change log in Iceberg as a source of analyses, in a folder of this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import anyio
import pytest

from builders.changes import Batches
from builders.truth import EVENTS, Change
from builders.truth_in_lake import begin, begin_with_sites, fill, fill_with_sites
from contracts.analyses import ChangeHistoryContract, ContinuedSourceContract
from stroke.adapters.iceberg.catalog import Lake
from stroke.adapters.iceberg.changes import IcebergChanges
from stroke.domain.errors import ReplicaUnavailable


def a_lake(folder: Path) -> Lake:
    return Lake(
        "jdbc",
        name="iceberg",
        uri=f"sqlite:///{folder}/catalog.db",
        warehouse=f"file://{folder}/warehouse",
        table="stroke.predictions_changes",
        region="us-east-1",
    )


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    lake = a_lake(tmp_path)
    anyio.run(begin, lake)
    yield lake
    lake.catalog.close()


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    """Share one lake with all events: filling it takes seconds."""
    lake = a_lake(tmp_path_factory.mktemp("lake"))
    anyio.run(begin, lake)
    fill(lake)
    yield lake
    lake.catalog.close()


class TestIcebergChanges(ContinuedSourceContract[Batches]):
    @pytest.fixture
    def source(self, filled: Lake) -> IcebergChanges:
        return IcebergChanges(filled)

    @pytest.fixture
    def gone(self, tmp_path: Path) -> Iterator[IcebergChanges]:
        lake = a_lake(tmp_path)
        yield IcebergChanges(lake)
        lake.catalog.close()

    @pytest.fixture
    def empty(self, lake: Lake) -> IcebergChanges:
        return IcebergChanges(lake)

    @pytest.fixture
    def add(self, lake: Lake) -> Callable[[Sequence[Change]], None]:
        def add(changes: Sequence[Change]) -> None:
            if changes:
                fill(lake, changes)

        return add

    def test_files_that_go_away_while_they_are_read_are_said(
        self, lake: Lake, tmp_path: Path
    ) -> None:
        fill(lake, EVENTS[:2])
        read = IcebergChanges(lake).read(with_name=False)
        for path in tmp_path.rglob("*.parquet"):
            path.unlink()

        with pytest.raises(ReplicaUnavailable):
            list(read.rows)


class TestIcebergHistory(ChangeHistoryContract):
    @pytest.fixture
    def history(self, lake: Lake) -> IcebergChanges:
        return IcebergChanges(lake)

    @pytest.fixture
    def grow(self, lake: Lake) -> Callable[[], None]:
        left = iter(EVENTS[1:])
        return lambda: fill(lake, [next(left)])


@pytest.fixture(scope="module")
def of_sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    lake = a_lake(tmp_path_factory.mktemp("sites"))
    anyio.run(begin_with_sites, lake)
    fill_with_sites(lake)
    yield lake
    lake.catalog.close()


class TestIcebergChangesOfASite(ContinuedSourceContract[Batches]):
    """The truth is that of the site north, among events about other predictions."""

    @pytest.fixture
    def lake(self, tmp_path: Path) -> Iterator[Lake]:
        lake = a_lake(tmp_path)
        anyio.run(begin_with_sites, lake)
        yield lake
        lake.catalog.close()

    @pytest.fixture
    def source(self, of_sites: Lake) -> IcebergChanges:
        return IcebergChanges(of_sites, site="north")

    @pytest.fixture
    def gone(self, tmp_path: Path) -> Iterator[IcebergChanges]:
        lake = a_lake(tmp_path)
        yield IcebergChanges(lake, site="north")
        lake.catalog.close()

    @pytest.fixture
    def empty(self, lake: Lake) -> IcebergChanges:
        return IcebergChanges(lake, site="north")

    @pytest.fixture
    def add(self, lake: Lake) -> Callable[[Sequence[Change]], None]:
        def add(changes: Sequence[Change]) -> None:
            if changes:
                fill_with_sites(lake, changes)

        return add


def test_a_log_that_knows_no_sites_has_nothing_of_one(filled: Lake) -> None:
    read = IcebergChanges(filled, site="north").read(with_name=False)
    assert sum(batch.num_rows for batch in read.rows) == 0
