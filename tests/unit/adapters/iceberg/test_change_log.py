from __future__ import annotations

import pytest
from pyiceberg.table.snapshots import Snapshot

from stroke.adapters.iceberg.change_log import committing_cluster


def snapshot(**summary: str) -> Snapshot:
    shown = {"summary": {"operation": "append", **summary}} if summary else {}
    return Snapshot.model_validate(
        {"snapshot-id": 1, "manifest-list": "s3://bucket/list.avro", **shown}
    )


@pytest.mark.parametrize("cluster", ["MkU3OEVBNTcwNTJENDM2Qg", "-_abcdefghijklmnopqr_-", "A"])
def test_the_cluster_is_the_one_of_the_sinks_control_topic(cluster: str) -> None:
    offsets = f"kafka.connect.offsets.control-iceberg-{cluster}.connect-s3-sink"
    assert committing_cluster(snapshot(**{"added-records": "2", offsets: '{"0":5}'})) == cluster


@pytest.mark.parametrize(
    "properties",
    [
        {"added-records": "2"},
        {"kafka.connect.commit-id": "0f1e"},
        {"kafka.connect.offsets.control-iceberg.connect-s3-sink": '{"0":5}'},
    ],
)
def test_a_snapshot_of_others_names_no_cluster(properties: dict[str, str]) -> None:
    assert committing_cluster(snapshot(**properties)) is None


def test_a_snapshot_without_a_summary_names_no_cluster() -> None:
    assert snapshot().summary is None
    assert committing_cluster(snapshot()) is None
