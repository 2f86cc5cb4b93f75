"""Rows that only the copies still have, and how MySQL gets them back after a restore."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from stroke.application.pipeline.consistency import Comparison, Row
from stroke.application.pipeline.id_ranges import batches, covering
from stroke.application.pipeline.ports import Replica, SourceOfTruth


@dataclass(frozen=True, slots=True)
class OnlyInCopies:
    """Ids that MySQL does not have, ascending, by the copy from which they would come.

    ``doubtful`` are in a copy that others can write to, and not in the change log: nothing says
    that MySQL ever had them.
    """

    rows: Mapping[str, Sequence[int]] = field(default_factory=dict)
    doubtful: Sequence[int] = ()

    @property
    def count(self) -> int:
        """How many rows would come back."""
        return sum(map(len, self.rows.values()))


def only_in_copies(comparisons: Sequence[Comparison], *, log: str) -> OnlyInCopies:
    """Return what the comparisons list as extra: the change log's by name ``log``, once each.

    Where the log was not compared, the rows of the other copies come from these.
    """
    extra = {one.replica: list(one.extra) for one in comparisons}
    if log not in extra:
        return OnlyInCopies({name: ids for name, ids in extra.items() if ids})
    known = {*extra[log]}
    doubtful = {number for ids in extra.values() for number in ids} - known
    return OnlyInCopies({log: extra[log]} if extra[log] else {}, tuple(sorted(doubtful)))


async def bring_back(
    source: SourceOfTruth, replicas: Sequence[Replica], found: OnlyInCopies, *, chunk_size: int
) -> list[int]:
    """Insert the rows into MySQL, from where they flow to the copies; return their ids.

    Raises what source and replicas raise, and ``InvalidData`` for a row that MySQL refuses.
    """
    done: list[int] = []
    by_name = {replica.name: replica for replica in replicas}
    for name, ids in found.rows.items():
        for batch in batches(ids):
            rows: dict[int, Row] = {}
            for first, last in covering(batch, chunk_size):
                rows |= await by_name[name].read_rows(first, last)
            done += await source.bring_back({n: rows[n] for n in batch if n in rows})
    return sorted(done)
