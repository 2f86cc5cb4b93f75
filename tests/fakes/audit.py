"""The audit log in memory."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from fakes.failing import Failing
from stroke.application.audit.ports import EVERYTHING, AuditFilter, AuditLog
from stroke.domain.audit import AuditEntry, AuditEvent, AuditHead, chained


class FakeAuditLog(Failing, AuditLog):
    """A list, which tests may tamper with; ``end`` is what the log says of its own end."""

    def __init__(self) -> None:
        self.kept: list[AuditEntry] = []
        self.end = AuditHead()

    async def append(self, events: Sequence[AuditEvent]) -> AuditHead:
        self.raise_if_failing()
        new = list(chained(events, self.end))
        self.kept += new
        if new:
            self.end = AuditHead(new[-1].number, new[-1].digest)
        return self.end

    async def head(self) -> AuditHead:
        self.raise_if_failing()
        return self.end

    async def entries(
        self,
        *,
        after: int = 0,
        limit: int,
        narrowed: AuditFilter = EVERYTHING,
        newest_first: bool = False,
    ) -> list[AuditEntry]:
        self.raise_if_failing()
        found = [each for each in self.kept if _matches(each.event, narrowed)]
        if newest_first:
            return [each for each in reversed(found) if not after or each.number < after][:limit]
        return [each for each in found if each.number > after][:limit]

    async def latest(self, narrowed: AuditFilter) -> datetime | None:
        self.raise_if_failing()
        found = (each.event.at for each in self.kept if _matches(each.event, narrowed))
        return max(found, default=None)


def _matches(event: AuditEvent, narrowed: AuditFilter) -> bool:
    return (
        narrowed.actor in {None, event.actor}
        and narrowed.action in {None, event.action}
        and narrowed.site in {None, event.site}
        and narrowed.target in {None, event.target}
        and narrowed.outcome in {None, event.outcome}
        and (narrowed.targets is None or event.target in narrowed.targets)
        and (narrowed.since is None or event.at >= narrowed.since)
        and (narrowed.until is None or event.at < narrowed.until)
    )
