"""The Iceberg table as change log and as copy, on a real S3 server and a catalog in MySQL."""

from __future__ import annotations

import secrets
import tracemalloc
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pyiceberg.transforms import DayTransform
from pyiceberg.types import IntegerType

from builders.predictions import NOON
from components.containers import MySqlServer, free_port
from components.lake_events import CLUSTER, COLUMNS, TOPIC, Sink, a_row, created, deleted, updated
from components.object_store import ObjectStore
from contracts.copies import COLUMNS as KINDS
from contracts.copies import (
    DOCUMENT,
    NAME,
    ChangeLogContract,
    CopyStage,
    LogStage,
    ReplicaContract,
)
from stroke.adapters.iceberg.catalog import Lake
from stroke.adapters.iceberg.change_log import IcebergChangeLog
from stroke.adapters.iceberg.compaction import compact
from stroke.adapters.iceberg.expiry import expire
from stroke.adapters.iceberg.replica import IcebergReplica
from stroke.adapters.iceberg.status import state_of
from stroke.application.pipeline.consistency import (
    Lineage,
    ReplicaChunk,
    canonical_json,
    row_digest,
)
from stroke.application.pipeline.kafka_connect_model import TopicPartition
from stroke.domain.errors import InvalidSetting, ReplicaUnavailable

pytestmark = pytest.mark.anyio

MEGABYTE = 1_000_000
PLACE = TopicPartition(TOPIC, 0)
LATER = NOON + timedelta(days=3)
RENEWED = "AnotherClusterOf22Char"


@pytest.fixture
def log(lake: Lake) -> IcebergChangeLog:
    return IcebergChangeLog(lake, columns=COLUMNS, topic=TOPIC)


@pytest.fixture
async def sink(lake: Lake, log: IcebergChangeLog) -> Sink:
    assert await log.ensure_table()
    return Sink(lake)


@pytest.fixture
def lake_away(catalog: dict[str, Any]) -> Lake:
    """A lake whose catalog does not answer."""
    return Lake("jdbc", **{**catalog, "uri": f"mysql://u:s3cret@127.0.0.1:{free_port()}/none"})


def replica(lake: Lake, *, cluster: str = CLUSTER) -> IcebergReplica:
    async def cluster_id() -> str:
        return cluster

    async def columns() -> Mapping[str, str]:
        return {name: "json" if name == "prediction_data" else "any" for name, _ in COLUMNS}

    return IcebergReplica(lake, topic=TOPIC, cluster_id=cluster_id, columns=columns)


def digest(number: int, **changes: Any) -> bytes:
    row = a_row(number, **changes)
    return row_digest({**row, "prediction_data": canonical_json(row["prediction_data"])})


async def whole(lake: Lake) -> ReplicaChunk:
    return await replica(lake).chunk(0, 2**63 - 1)


class IcebergCopy(CopyStage):
    """A table as the sink writes it: one event a commit."""

    partition = PLACE

    def __init__(self, lake: Lake, sink: Sink) -> None:
        self._sink = sink
        self._stored: set[int] = set()
        self.replica: IcebergReplica = IcebergReplica(
            lake, topic=TOPIC, cluster_id=self._cluster, columns=self._kinds
        )

    async def store(self, number: int, name: str = NAME) -> None:
        event = updated if number in self._stored else created
        self._stored.add(number)
        self._sink.commit(event(number, name=name, prediction_data=DOCUMENT))

    async def erase(self, number: int) -> None:
        self._sink.commit(deleted(number))

    async def _cluster(self) -> str:
        return CLUSTER

    async def _kinds(self) -> Mapping[str, str]:
        return KINDS


class TestIcebergReplica(ReplicaContract):
    @pytest.fixture
    def copied(self, lake: Lake, sink: Sink) -> IcebergCopy:
        return IcebergCopy(lake, sink)

    @pytest.fixture
    def away(self, lake_away: Lake) -> IcebergReplica:
        return replica(lake_away)


class IcebergLog(LogStage):
    partition = PLACE

    def __init__(self, lake: Lake, log: IcebergChangeLog) -> None:
        self._lake = lake
        self._sinks: dict[str, Sink] = {}
        self.log = log

    async def write(self, cluster: str, records: int) -> None:
        sink = self._sinks.setdefault(cluster, Sink(self._lake, cluster))
        sink.commit(*(created(number) for number in range(records)))


class TestIcebergChangeLog(ChangeLogContract):
    @pytest.fixture
    def logged(self, lake: Lake, log: IcebergChangeLog) -> IcebergLog:
        return IcebergLog(lake, log)

    @pytest.fixture
    def away(self, lake_away: Lake) -> IcebergChangeLog:
        return IcebergChangeLog(lake_away, columns=COLUMNS, topic=TOPIC)


async def test_events_of_megabytes_are_not_in_memory_together(sink: Sink, lake: Lake) -> None:
    sink.commit(*(created(number, name=str(number) * MEGABYTE) for number in range(10, 40)))

    tracemalloc.start()
    try:
        found = await replica(lake).chunk(10, 39)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert len(set(found.digests.values())) == 30
    assert peak < 30 * MEGABYTE  # of 60 that all of them have in Python


async def test_the_table_is_made_once_partitioned_by_day(lake: Lake, log: IcebergChangeLog) -> None:
    assert await log.lineage() is None
    assert await log.ensure_table()
    assert not await log.ensure_table()

    table = lake.load()
    (field,) = table.spec().fields
    assert (field.name, field.transform) == ("ts_day", DayTransform())
    assert table.schema().find_field("after.hypertension").field_type == IntegerType()
    assert not any(field.required for field in table.schema().fields)
    assert await log.lineage() == Lineage(None, {})


async def test_java_finds_the_table_in_the_catalogs_own_schema(
    catalog: dict[str, Any], mysql: MySqlServer, sink: Sink
) -> None:
    """The columns of Iceberg's JdbcCatalog with jdbc.schema-version=V1."""
    found = mysql.rows(
        catalog["uri"],
        "SELECT catalog_name, table_namespace, table_name, iceberg_type FROM iceberg_tables",
    )
    assert found == [("iceberg", "stroke", "predictions_changes", "TABLE")]


async def test_another_name_of_the_catalog_finds_no_table(
    catalog: dict[str, Any], sink: Sink
) -> None:
    other = Lake("jdbc", **{**catalog, "name": "other"})

    assert other.find() is None
    with pytest.raises(ReplicaUnavailable, match="connectors apply"):
        other.load()
    other.catalog.close()


async def test_the_lineage_is_the_last_cluster_and_its_highest_offset(
    lake: Lake, log: IcebergChangeLog, sink: Sink
) -> None:
    sink.commit(created(1), created(2), created(3))
    assert await log.lineage() == Lineage(CLUSTER, {PLACE: 2})

    Sink(lake, RENEWED).commit(created(4, at=LATER))
    assert await log.lineage() == Lineage(RENEWED, {PLACE: 0})


async def test_the_last_event_of_an_id_counts_and_a_deletion_removes_it(
    lake: Lake, sink: Sink
) -> None:
    sink.commit(created(1), created(2), created(3))
    sink.commit(updated(1, name="second"), deleted(2), updated(1, name="third"))

    assert await whole(lake) == ReplicaChunk({1: digest(1, name="third"), 3: digest(3)})
    assert await replica(lake).bounds() == (1, 3)
    assert dict((await replica(lake).chunk(2, 3)).digests) == {3: digest(3)}


async def test_a_cluster_made_anew_speaks_last_though_its_offsets_begin_at_0(
    lake: Lake, sink: Sink
) -> None:
    """Its snapshot tells all rows once more, and deletions of the time between come later."""
    sink.commit(created(1, name="old"), created(2), created(3), at_offset=1000)
    renewed = Sink(lake, RENEWED)
    renewed.commit(created(1, name="new", at=LATER), created(2, at=LATER))
    renewed.commit(deleted(3, at=LATER))

    assert await whole(lake) == ReplicaChunk({1: digest(1, name="new"), 2: digest(2)})


async def test_an_event_stored_twice_is_a_duplicate(lake: Lake, sink: Sink) -> None:
    sink.commit(created(1), created(2), at_offset=7)
    sink.commit(created(1), at_offset=7)
    Sink(lake, RENEWED).commit(created(3, at=LATER), at_offset=7)

    assert (await whole(lake)).duplicates == 1


async def test_the_copy_has_come_as_far_as_its_cluster_says(lake: Lake, sink: Sink) -> None:
    copy = replica(lake)
    assert await copy.reached({})
    assert not await copy.reached({PLACE: 0})

    sink.commit(created(1), created(2))
    assert await copy.reached({PLACE: 1})
    assert not await copy.reached({PLACE: 2})
    assert not await replica(lake, cluster=RENEWED).reached({PLACE: 0})


async def test_files_without_bounds_are_read_too(lake: Lake, sink: Sink) -> None:
    """So the sink wrote ids and offsets when the table had more than a hundred columns."""
    sink.commit_without_bounds(created(1), created(2))
    sink.commit_without_bounds(deleted(1))

    assert await whole(lake) == ReplicaChunk({2: digest(2)})
    assert await replica(lake).bounds() == (1, 2)
    assert await replica(lake).reached({PLACE: 2})
    assert not await replica(lake).reached({PLACE: 3})


async def test_a_table_of_an_earlier_version_gets_the_properties_that_keep_bounds(
    lake: Lake, log: IcebergChangeLog
) -> None:
    await log.ensure_table()
    modes = {name for name in lake.load().properties if ".metrics." in name}
    with lake.load().transaction() as change:
        change.remove_properties(*modes)
        change.set_properties({"write.metadata.metrics.column.after.id": "counts"})

    assert not await log.ensure_table()

    kept = lake.load().properties
    assert modes <= kept.keys()
    assert kept["write.metadata.metrics.column.after.id"] == "counts"
    assert kept["write.metadata.metrics.default"] == "counts"


@pytest.mark.parametrize(("before", "after"), [("truncate(16)", "counts"), ("full", "full")])
async def test_bounds_of_patients_values_that_an_earlier_version_asked_for_end(
    lake: Lake, log: IcebergChangeLog, before: str, after: str
) -> None:
    await log.ensure_table()
    default = "write.metadata.metrics.default"
    with lake.load().transaction() as change:
        change.set_properties({default: before})

    assert not await log.ensure_table()

    assert lake.load().properties[default] == after


async def test_no_value_of_a_patient_is_in_the_metadata(
    lake: Lake, sink: Sink, log: IcebergChangeLog
) -> None:
    sink.commit(created(1, name="Canary-7341"), created(2))
    compact(lake, now=lambda: NOON + timedelta(days=9_000))

    [file] = lake.load().inspect.files().to_pylist()

    schema = lake.load().schema()
    for bounds in ("lower_bounds", "upper_bounds"):
        names = {schema.find_column_name(number) for number, _ in file[bounds]}
        assert names == {
            "after.id",
            "_kafka_metadata.partition",
            "_kafka_metadata.offset",
            "_kafka_metadata.cluster",
        }


async def test_a_table_of_avro_files_is_read_too(lake: Lake) -> None:
    log = IcebergChangeLog(lake, columns=COLUMNS, topic=TOPIC, file_format="avro")
    await log.ensure_table()
    Sink(lake).commit_avro(created(1), created(2))

    assert await whole(lake) == ReplicaChunk({1: digest(1), 2: digest(2)})
    assert await replica(lake).bounds() == (1, 2)
    assert await log.lineage() == Lineage(CLUSTER, {PLACE: 1})


async def test_a_catalog_that_does_not_answer_is_said_without_its_password(
    catalog: dict[str, Any],
) -> None:
    lake = Lake("jdbc", **{**catalog, "uri": f"mysql://u:s3cret@127.0.0.1:{free_port()}/none"})

    with pytest.raises(ReplicaUnavailable, match="catalog") as caught:
        await IcebergChangeLog(lake, columns=COLUMNS, topic=TOPIC).lineage()
    assert "s3cret" not in str(caught.value)


async def test_a_bucket_that_does_not_answer_is_said(catalog: dict[str, Any], sink: Sink) -> None:
    lake = Lake("jdbc", **{**catalog, "endpoint": f"http://127.0.0.1:{free_port()}"})

    with pytest.raises(ReplicaUnavailable, match="bucket"):
        await IcebergChangeLog(lake, columns=COLUMNS, topic=TOPIC).lineage()
    lake.catalog.close()


async def test_a_rest_catalog_that_does_not_answer_as_one_is_said(
    catalog: dict[str, Any], s3: ObjectStore
) -> None:
    for uri in (f"http://127.0.0.1:{free_port()}", s3.endpoint):
        lake = Lake("rest", **{**catalog, "uri": uri})

        with pytest.raises(ReplicaUnavailable, match="catalog"):
            lake.load()


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        (None, "needs STROKE_LAKE_CATALOG_URI"),
        ("s3cret", "not a database URL"),
        ("postgresql://u:s3cret@h/d", "must be a mysql:// URL"),
    ],
)
async def test_a_catalog_that_cannot_be_reached_from_here_is_refused(
    catalog: dict[str, Any], uri: str | None, reason: str
) -> None:
    with pytest.raises(InvalidSetting, match=reason) as caught:
        Lake("jdbc", **{**catalog, "uri": uri}).load()
    assert "s3cret" not in str(caught.value)


@pytest.fixture
def glue_lake(catalog: dict[str, Any], s3: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """moto is a Glue, too."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_GLUE", s3.endpoint)
    namespace = f"stroke_{secrets.token_hex(4)}"
    return Lake("glue", **{**catalog, "uri": None, "table": f"{namespace}.predictions_changes"})


async def test_a_glue_catalog_holds_the_table_as_well(glue_lake: Lake) -> None:
    log = IcebergChangeLog(glue_lake, columns=COLUMNS, topic=TOPIC)
    assert await log.lineage() is None
    assert await log.ensure_table()
    sink = Sink(glue_lake)
    for number in range(3):
        sink.commit(created(number))

    compact(glue_lake, now=lambda: LATER)
    sink.commit(created(3))
    expire(glue_lake, older_than=timedelta(0), keep=1, now=lambda: datetime.now(UTC))

    assert not await log.ensure_table()
    assert await log.lineage() == Lineage(CLUSTER, {PLACE: 3})
    assert set((await whole(glue_lake)).digests) == {0, 1, 2, 3}
    assert state_of(glue_lake, TOPIC).data_files == 2
    assert state_of(glue_lake, TOPIC).snapshots == 1


async def test_a_glue_that_does_not_answer_is_said(
    catalog: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_GLUE", f"http://127.0.0.1:{free_port()}")
    lake = Lake("glue", **{**catalog, "uri": None}, glue_retries=0)

    with pytest.raises(ReplicaUnavailable, match="Glue"):
        lake.load()
