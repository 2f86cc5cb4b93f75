"""Predictions taken out of results and of Spark's states in a folder."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow.fs import LocalFileSystem

from builders.changes import a_change, batches
from contracts.erasure import ErasablePlaceContract
from stroke.adapters.results.erasure import ResultsPlace
from stroke.domain.errors import InvalidData

pytestmark = pytest.mark.anyio
ADDRESS = "reports"


class InResults:
    """Rows of a table of results, beside one that has no patients."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.place = ResultsPlace(LocalFileSystem(), str(folder), address=ADDRESS)

    async def put(self, *ids: int) -> None:
        self.folder.mkdir(exist_ok=True)
        rows = pa.table({"id": ids, "age": [61.0] * len(ids), "probability": [0.5] * len(ids)})
        pq.write_table(rows, self.folder / "stroke_analytics_top_risks.parquet")
        counts = pa.table({"gender": ["Male"], "predictions": [len(ids)]})
        pq.write_table(counts, self.folder / "stroke_analytics_risk_by_gender.parquet")


class InState:
    """The last change of each, as a run on Spark keeps it, with Hadoop's checksum beside it."""

    def __init__(self, folder: Path) -> None:
        self.words = folder / "state-1a" / "words"
        self.place = ResultsPlace(LocalFileSystem(), str(folder), address=ADDRESS)

    async def put(self, *ids: int) -> None:
        self.words.mkdir(parents=True)
        changes = [a_change(each, each, age=61.0, country="Chad") for each in ids]
        rows = pa.Table.from_batches(list(batches(changes, size=len(ids))))
        pq.write_table(rows, self.words / "part-0.snappy.parquet")
        (self.words / ".part-0.snappy.parquet.crc").write_bytes(b"of the file before")
        events = self.words.parent / "events"
        events.mkdir()
        pq.write_table(
            pa.table({"prediction_id": ids, "op": ["c"] * len(ids)}), events / "p.parquet"
        )


class TestResults(ErasablePlaceContract):
    @pytest.fixture
    def stage(self, tmp_path: Path) -> InResults:
        return InResults(tmp_path / "kept")


class TestStates(ErasablePlaceContract):
    @pytest.fixture
    def stage(self, tmp_path: Path) -> InState:
        return InState(tmp_path / "kept")


async def test_a_state_keeps_a_deletion_with_the_id_alone_and_no_checksum_of_before(
    tmp_path: Path,
) -> None:
    stage = InState(tmp_path)
    await stage.put(6, 7)
    file = stage.words / "part-0.snappy.parquet"
    before = pq.read_table(file)

    await stage.place.erase([7])

    after = pq.read_table(file)
    assert after.schema == before.schema
    [other, erased] = after.to_pylist()
    assert other == before.to_pylist()[0]
    places = ("op", "prediction_id", "ts_us", "cluster", "kafka_partition", "place", "turn")
    assert {name for name, value in erased.items() if value is not None} <= set(places)
    assert (erased["op"], erased["prediction_id"]) == ("d", 7)
    assert [each.name for each in stage.words.iterdir()] == [file.name]


async def test_a_file_that_cannot_be_read_is_not_called_empty(tmp_path: Path) -> None:
    stage = InResults(tmp_path)
    await stage.put(7)
    (tmp_path / "stroke_analytics_latest_snapshot.parquet").write_bytes(b"PAR1 no more")

    with pytest.raises(InvalidData, match="may hold erased rows"):
        await stage.place.find([7])
