"""Reports of the platform: what a command saw, as values that any process can show.

The service has none of the pipeline's packages, and reaches none of its parts. It shows what the
commands left: `stroke connectors watch`, `stroke pipeline verify` and `stroke doctor`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

# A copy that no command has looked at for so long may not exist any more.
FORGOTTEN_AFTER: Final = timedelta(days=7)


class ReportKind(StrEnum):
    """Which command saw it."""

    CONNECTORS = "connectors"
    VERIFICATION = "verification"
    DOCTOR = "doctor"

    @property
    def may_be_of_some(self) -> bool:
        """Whether a report may speak of some things only, such as one copy of several."""
        return self is ReportKind.VERIFICATION


class LineState(StrEnum):
    """How one thing is."""

    OK = "ok"
    FAILED = "failed"
    PAUSED = "paused"
    NOT_CHECKED = "not checked"
    NOT_CONFIGURED = "not configured"


@dataclass(frozen=True, slots=True)
class ReportLine:
    """One connector, copy or check. Nothing of a patient is in it.

    ``numbers`` are counts by name, such as ``lag``; ``detail`` and ``remedy`` are English
    sentences and commands. ``seen_at`` (aware) is there where it was not seen when its report was
    made, but before that.
    """

    name: str
    state: LineState
    numbers: Mapping[str, int] = field(default_factory=dict)
    detail: str = ""
    remedy: str = ""
    seen_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class PlatformReport:
    """What one command saw at ``made_at`` (aware)."""

    kind: ReportKind
    made_at: datetime
    lines: tuple[ReportLine, ...]

    @property
    def is_well(self) -> bool:
        """Whether nothing failed, and nothing was left out because something else failed."""
        return not {LineState.FAILED, LineState.NOT_CHECKED} & {each.state for each in self.lines}

    def after(self, known: PlatformReport | None) -> PlatformReport:
        """Return what is known once this report has come, and ``known`` was known before.

        The newer report counts. Where reports may be of some things only, the newer line about each
        of them counts, for a week.
        """
        if known is None:
            return self
        if not self.kind.may_be_of_some:
            return self if known.made_at <= self.made_at else known
        made_at = max(known.made_at, self.made_at)
        newest: dict[str, tuple[datetime, ReportLine]] = {}
        for report in (known, self):
            for line in report.lines:
                seen_at = line.seen_at or report.made_at
                if line.name not in newest or newest[line.name][0] <= seen_at:
                    newest[line.name] = (seen_at, line)
        lines = [
            replace(line, seen_at=None if seen_at == made_at else seen_at)
            for seen_at, line in newest.values()
            if made_at - seen_at <= FORGOTTEN_AFTER
        ]
        return PlatformReport(self.kind, made_at, tuple(lines))
