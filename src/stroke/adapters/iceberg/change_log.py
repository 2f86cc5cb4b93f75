"""The change log as a table: creates it, and reads how far it has come.

Most commands of the pipeline build it and do not read it: what reads a table takes a second to
import, and is imported when a table is made or read.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from pyiceberg.exceptions import (
    CommitFailedException,
    NamespaceAlreadyExistsError,
    TableAlreadyExistsError,
)

from stroke.adapters.iceberg.bounds import BOUNDED
from stroke.adapters.iceberg.catalog import Lake, unavailable
from stroke.application.pipeline.consistency import Lineage
from stroke.application.pipeline.kafka_connect_model import TopicPartition
from stroke.application.pipeline.ports import ChangeLog

if TYPE_CHECKING:
    from pyiceberg.table import Table
    from pyiceberg.table.snapshots import Snapshot

    from stroke.adapters.iceberg.event_schema import Columns

# What the sink writes into the summary of each of its snapshots, by control topic and group. The
# cluster's id is part of the control topic's name (connectors/s3-sink.json).
SINK_OFFSETS: Final = re.compile(r"kafka\.connect\.offsets\.control-iceberg-(?P<cluster>[\w-]+)\.")

_DEFAULT_METRICS: Final = "write.metadata.metrics.default"
_PROPERTIES: Final = {
    "format-version": "2",
    "write.parquet.compression-codec": "zstd",
    "write.avro.compression-codec": "zstd",
    "write.target-file-size-bytes": str(128 * 2**20),
    # Every commit writes a new metadata file; nobody needs the older ones.
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "50",
    # The sink and the maintenance commit at the same time.
    "commit.retry.num-retries": "10",
    # The smallest and the largest value of a column are a patient's. By default Iceberg keeps them
    # for the first hundred columns, in manifests and in the sink's control topic.
    _DEFAULT_METRICS: "counts",
    # By those of ids and offsets files are found.
    **dict.fromkeys((f"write.metadata.metrics.column.{name}" for name in BOUNDED), "full"),
}
_LATER: Final = {name: kept for name, kept in _PROPERTIES.items() if ".metrics." in name}
"""What tables of earlier versions lack."""
_FORMER: Final = {_DEFAULT_METRICS: "truncate(16)"}
"""What earlier versions set, and this one sets to something else."""


class IcebergChangeLog(ChangeLog):
    """The table ``lake.identifier``, for events of a table of ``columns`` on ``topic``."""

    def __init__(
        self, lake: Lake, *, columns: Columns, topic: str, file_format: str = "parquet"
    ) -> None:
        self._lake = lake
        self._columns = columns
        self._format = file_format
        self._lineages = Lineages(topic)

    async def ensure_table(self) -> bool:
        return await asyncio.to_thread(self._ensure_table)

    async def lineage(self) -> Lineage | None:
        return await asyncio.to_thread(self._lineage)

    def _ensure_table(self) -> bool:
        found = self._lake.find()
        if found is not None:
            self._complete(found)
            return False
        from stroke.adapters.iceberg.event_schema import (  # noqa: PLC0415 -- start-up time
            event_schema,
            partition_by_day,
        )

        catalog = self._lake.catalog
        schema = event_schema(self._columns)
        with unavailable(self._lake.identifier):
            with suppress(NamespaceAlreadyExistsError):
                catalog.create_namespace(self._lake.identifier.rpartition(".")[0])
            try:
                catalog.create_table(
                    self._lake.identifier,
                    schema=schema,
                    partition_spec=partition_by_day(schema),
                    properties={**_PROPERTIES, "write.format.default": self._format},
                )
            except TableAlreadyExistsError:
                return False
        return True

    def _complete(self, table: Table) -> None:
        """Give a table of an earlier version the properties that it lacks.

        What somebody else set stays.
        """
        lacking = {
            name: kept
            for name, kept in _LATER.items()
            if table.properties.get(name, _FORMER.get(name)) == _FORMER.get(name)
        }
        if lacking:
            # Where the sink commits at this moment the next `connectors apply` sets them.
            with (
                unavailable(self._lake.identifier),
                suppress(CommitFailedException),
                table.transaction() as change,
            ):
                change.set_properties(lacking)

    def _lineage(self) -> Lineage | None:
        table = self._lake.find()
        return None if table is None else self._lineages.of(table)


class Lineages:
    """The result of ``lineage_of`` for a table, read once per snapshot."""

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._known: tuple[int, Lineage] | None = None

    def of(self, table: Table) -> Lineage:
        """Return the lineage of a loaded table. Raises ``ReplicaUnavailable``."""
        snapshot = table.current_snapshot()
        if snapshot is None:
            return Lineage(None, {})
        if self._known is None or self._known[0] != snapshot.snapshot_id:
            self._known = (snapshot.snapshot_id, lineage_of(table, self._topic))
        return self._known[1]


def lineage_of(table: Table, topic: str) -> Lineage:
    """Return which cluster's sink committed last to a loaded table, and how far it has come."""
    from stroke.adapters.iceberg.statistics import offsets_of  # noqa: PLC0415 -- start-up time

    cluster = sink_cluster(table)
    if cluster is None:
        return Lineage(None, {})
    with unavailable(".".join(table.name())):
        highest: Mapping[int, int] = offsets_of(table, cluster)
    return Lineage(cluster, {TopicPartition(topic, part): last for part, last in highest.items()})


def sink_cluster(table: Table) -> str | None:
    """Return the Kafka cluster named by the newest snapshot that a sink committed."""
    from pyiceberg.table.snapshots import ancestors_of  # noqa: PLC0415 -- start-up time

    for snapshot in ancestors_of(table.current_snapshot(), table.metadata):
        if cluster := committing_cluster(snapshot):
            return cluster
    return None


def committing_cluster(snapshot: Snapshot) -> str | None:
    """Return the Kafka cluster whose sink committed a snapshot; None for what others committed."""
    for key in snapshot.summary.additional_properties if snapshot.summary else ():
        if found := SINK_OFFSETS.match(key):
            return found["cluster"]
    return None
