"""AuditTrail writes down what was done, and checks the chain of what was written."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from stroke.application.audit.ports import EVERYTHING, AuditFilter, AuditLog
from stroke.domain.audit import (
    LOST,
    AuditAction,
    AuditEntry,
    AuditEvent,
    AuditHead,
    AuditOutcome,
    BrokenLink,
    broken_links,
)

_PAGE: Final = 1_000
# A log numbers from 1 on; what somebody else put in may have any number.
_BEFORE_ALL: Final = -(2**63)


@dataclass(frozen=True, slots=True)
class Verification:
    """What a check of the chain found. ``head`` is that of the entries that were read."""

    entries: int
    head: AuditHead
    broken: tuple[BrokenLink, ...]

    @property
    def holds(self) -> bool:
        """Whether nothing was changed, removed or put in."""
        return not self.broken


class RefusalSampler:
    """Lets the first refused attempts of each minute be written one by one, and counts the rest.

    An attacker who is refused a million times fills no disk: the rest of a minute becomes one
    entry, whose ``times`` says how many there were. One for each process; ``clock`` is monotonic
    seconds.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float]) -> None:
        self._most = per_minute
        self._clock = clock
        self._minute = -1
        self._written = 0
        self._held: AuditEvent | None = None

    def take(self, event: AuditEvent) -> list[AuditEvent]:
        """Return what is to be written now that ``event`` was refused: nothing, or some entries."""
        due: list[AuditEvent] = []
        minute = int(self._clock() // 60)
        if minute != self._minute:
            due += self.rest()
            self._minute, self._written = minute, 0
        if self._written < self._most:
            self._written += 1
            due.append(event)
        elif self._held is None:
            self._held = replace(event, actor="several", target=None, request_id=None, site=None)
        else:
            self._held = replace(self._held, at=event.at, times=self._held.times + 1)
        return due

    def rest(self) -> list[AuditEvent]:
        """Return the entry for the attempts that were only counted, if there were any."""
        held, self._held = self._held, None
        return [] if held is None else [held]


class AuditTrail:
    """Writes entries, reads them, and verifies their chain."""

    def __init__(
        self, log: AuditLog, *, now: Callable[[], datetime], refusals: RefusalSampler
    ) -> None:
        self._log = log
        self._now = now
        self._refusals = refusals

    async def record(
        self,
        action: AuditAction,
        *,
        actor: str,
        outcome: AuditOutcome = AuditOutcome.DONE,
        target: str | None = None,
        site: str | None = None,
        request_id: str | None = None,
    ) -> None:
        """Write one entry; it is durable when this returns. Raises ``StoreUnavailable``."""
        event = AuditEvent(self._now(), actor, action, outcome, target, site, request_id)
        due = self._refusals.take(event) if outcome is AuditOutcome.REFUSED else [event]
        if due:
            await self._log.append(due)

    async def record_each(
        self,
        action: AuditAction,
        *,
        actor: str,
        outcomes: Mapping[str, AuditOutcome],
        site: str | None = None,
        request_id: str | None = None,
    ) -> None:
        """Write an entry for each target, all or none. Raises ``StoreUnavailable``."""
        now = self._now()
        await self._log.append(
            [
                AuditEvent(now, actor, action, how, target, site, request_id)
                for target, how in outcomes.items()
            ]
        )

    async def close(self) -> None:
        """Write what was only counted so far."""
        if due := self._refusals.rest():
            await self._log.append(due)

    async def entries(self, narrowed: AuditFilter = EVERYTHING) -> AsyncIterator[AuditEntry]:
        """Give all entries, the oldest first, a page at a time."""
        after = 0
        while page := await self._log.entries(after=after, limit=_PAGE, narrowed=narrowed):
            for entry in page:
                yield entry
            after = page[-1].number

    async def newest(
        self, narrowed: AuditFilter = EVERYTHING, *, limit: int, before: int = 0
    ) -> list[AuditEntry]:
        """Return up to ``limit`` entries below ``before``, or of all if it is 0; newest first."""
        return await self._log.entries(
            after=before, limit=limit, narrowed=narrowed, newest_first=True
        )

    async def last_done(
        self, action: AuditAction, targets: Collection[str], *, batch: int
    ) -> datetime | None:
        """Return when ``action`` was last done to one of ``targets``; None if it never was.

        The log is asked about ``batch`` targets at a time.
        """
        wanted = sorted(set(targets))
        found: list[datetime] = []
        for start in range(0, len(wanted), batch):
            some = wanted[start : start + batch]
            done = AuditFilter(action=action, outcome=AuditOutcome.DONE, targets=some)
            if (at := await self._log.latest(done)) is not None:
                found.append(at)
        return max(found, default=None)

    async def end(self) -> AuditHead:
        """Return where the chain ends, as the log says it; nothing is checked."""
        return await self._log.head()

    async def verify(
        self, *, known: AuditHead | None = None, progress: Callable[[int], None] = lambda _: None
    ) -> Verification:
        """Read the whole chain and say where it does not hold.

        ``known`` is an end of the chain that was written down elsewhere: entries that were removed
        from the end of the log together with what it says of its own end, or a chain that was made
        anew, are found by it only.
        """
        end = await self._log.head()  # before the reading: later entries may join
        at_end: AuditHead | None = None
        broken: list[BrokenLink] = []
        last, count, met = AuditHead(), 0, known is None or known == AuditHead()
        after = _BEFORE_ALL
        while page := await self._log.entries(after=after, limit=_PAGE):
            broken += broken_links(page, last)
            at_end = next(
                (AuditHead(e.number, e.digest) for e in page if e.number == end.number), at_end
            )
            met = met or any(known == AuditHead(e.number, e.digest) for e in page)
            if page[-1].number > 0:
                last = AuditHead(page[-1].number, page[-1].digest)
            count += len(page)
            after = page[-1].number
            progress(len(page))
        if end == LOST:
            broken.append(BrokenLink(last.number, "the log's own end is lost"))
        elif last.number < end.number:
            missing = end.number - last.number
            broken.append(BrokenLink(end.number, f"the last {missing} of the chain are missing"))
        elif at_end not in {None, end} and not any(each.number == end.number for each in broken):
            broken.append(BrokenLink(end.number, "it is not what the log's own end says"))
        # An entry and the log's own end are written together.
        written = (await self._log.head()).number
        if last.number > written >= 0 and not any(each.number > written for each in broken):
            broken.append(BrokenLink(last.number, "it is behind the log's own end"))
        if known is not None and not met:
            broken.append(
                BrokenLink(known.number, "the end that was written down is not in the chain")
            )
        return Verification(count, last, tuple(broken))
