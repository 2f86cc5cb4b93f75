"""Port of the platform wing: where the last reports are kept."""

from __future__ import annotations

from abc import abstractmethod
from typing import Protocol

from stroke.application.platform.reports import PlatformReport, ReportKind


class ReportBoard(Protocol):
    """Keeps the last report of each kind, for all processes. Calls raise ``StoreUnavailable``."""

    @abstractmethod
    async def put(self, report: PlatformReport) -> None:
        """Keep what is known after ``report`` (``PlatformReport.after``), as one step."""

    @abstractmethod
    async def last(self) -> dict[ReportKind, PlatformReport]:
        """Return the last report of each kind that has one.

        What a later version wrote, and this one cannot read, is left out.
        """
