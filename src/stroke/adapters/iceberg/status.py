"""The status of the table: its snapshots, files, rows and bytes."""

from __future__ import annotations

from datetime import UTC, datetime

from pyiceberg.table import Table, TableProperties

from stroke.adapters.iceberg.catalog import Lake, unavailable
from stroke.adapters.iceberg.change_log import lineage_of
from stroke.application.pipeline.lake_upkeep import LakeState


def state_of(lake: Lake, topic: str) -> LakeState:
    """Return the status of the table. Raises ``ReplicaUnavailable``."""
    table = lake.load()
    with unavailable(lake.identifier):
        tasks = list(table.scan().plan_files())
    moments = [_moment(snapshot.timestamp_ms) for snapshot in table.snapshots()]
    return LakeState(
        location=table.location(),
        file_format=_format(table),
        data_files=len(tasks),
        delete_files=len({file for task in tasks for file in task.delete_files}),
        rows=sum(task.file.record_count for task in tasks),
        size=sum(task.file.file_size_in_bytes for task in tasks),
        snapshots=len(moments),
        oldest_snapshot=min(moments, default=None),
        newest_snapshot=max(moments, default=None),
        lineage=lineage_of(table, topic),
    )


def _format(table: Table) -> str:
    return str(
        table.properties.get(
            TableProperties.WRITE_FILE_FORMAT, TableProperties.WRITE_FILE_FORMAT_DEFAULT
        )
    )


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
