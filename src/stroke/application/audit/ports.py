"""Port of the audit wing: the log that entries are kept in."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from stroke.domain.audit import AuditEntry, AuditEvent, AuditHead


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """What a reading of the log is narrowed to; None does not narrow. Times are aware.

    Of ``targets`` an entry must have one; give a bounded number of them.
    """

    actor: str | None = None
    action: str | None = None
    site: str | None = None
    target: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    outcome: str | None = None
    targets: Collection[str] | None = None


EVERYTHING: Final = AuditFilter()


class AuditLog(Protocol):
    """Keeps the chain of audit entries, for all workers. Each call is one transaction.

    Calls raise ``StoreUnavailable``.
    """

    @abstractmethod
    async def append(self, events: Sequence[AuditEvent]) -> AuditHead:
        """Add all ``events`` or none, in their order; return the chain's end once it is durable."""

    @abstractmethod
    async def head(self) -> AuditHead:
        """Return where the chain ends, as the log says itself."""

    @abstractmethod
    async def entries(
        self,
        *,
        after: int = 0,
        limit: int,
        narrowed: AuditFilter = EVERYTHING,
        newest_first: bool = False,
    ) -> list[AuditEntry]:
        """Return up to ``limit`` entries, by rising number from above ``after``.

        With ``newest_first`` by falling number, from below ``after`` unless it is 0.
        """

    @abstractmethod
    async def latest(self, narrowed: AuditFilter) -> datetime | None:
        """Return the latest time (aware) of the entries; None if there is none.

        Entries of given targets are found without reading all others.
        """
