"""Change events as the ports of the analyses pass them on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from builders.truth import NEW, OLD, Change
from stroke.application.analyses.changes import changes_schema
from stroke.application.analyses.ports import AnalyticsEngine, Loaded, SourceRead
from stroke.application.analyses.views import CHANGES

Batches = Iterator[pa.RecordBatch]


def a_change(number: int, place: int, op: str = "c", cluster: str = OLD, **row: Any) -> Change:
    """Return a change of the prediction ``number``; the new cluster begins after the old one."""
    began = {OLD: 1_000, NEW: 2_000}[cluster]
    known = {
        "op": op,
        "prediction_id": number,
        "ts_us": began + place,
        "cluster": cluster,
        "kafka_partition": 0,
        "place": place,
        "turn": 0,
        **row,
    }
    return {name: known.get(name) for name in CHANGES}


def batches(changes: Sequence[Change], *, size: int = 4, with_name: bool = False) -> Batches:
    """Give the changes as Arrow batches of ``size`` rows."""
    schema = changes_schema(with_name=with_name)
    for start in range(0, len(changes), size):
        rows = [{name: c.get(name) for name in schema.names} for c in changes[start : start + size]]
        yield pa.RecordBatch.from_pylist(rows, schema)


def reading(
    changes: Sequence[Change], *, size: int = 4, with_name: bool = False
) -> SourceRead[Batches]:
    """Return what a source of the changes gives; its position is their number."""
    rows = batches(changes, size=size, with_name=with_name)
    return SourceRead(rows, lambda: {"read": len(changes)}, len(changes))


def loaded(
    engine: AnalyticsEngine[Batches],
    changes: Sequence[Change],
    *,
    size: int = 4,
    with_name: bool = False,
) -> Loaded:
    """Load the changes into an engine."""
    read = reading(changes, size=size, with_name=with_name)
    return engine.load(read, with_name=with_name, on_progress=silent)


def silent(what: str, done: int, total: int | None) -> None:
    """Show no progress."""
