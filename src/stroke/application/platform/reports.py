"""Reports of the platform: what a command saw, as values that any process can show.

The service has none of the pipeline's packages, and reaches none of its parts. It shows what the
commands left: `stroke connectors watch`, `stroke pipeline verify` and `stroke doctor`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class ReportKind(StrEnum):
    """Which command saw it."""

    CONNECTORS = "connectors"
    VERIFICATION = "verification"
    DOCTOR = "doctor"


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
    sentences and commands.
    """

    name: str
    state: LineState
    numbers: Mapping[str, int] = field(default_factory=dict)
    detail: str = ""
    remedy: str = ""


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
