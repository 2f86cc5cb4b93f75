"""The board of the platform's reports in memory."""

from __future__ import annotations

from fakes.failing import Failing
from stroke.application.platform.ports import ReportBoard
from stroke.application.platform.reports import PlatformReport, ReportKind


class FakeReportBoard(Failing, ReportBoard):
    """A dictionary."""

    def __init__(self) -> None:
        self.kept: dict[ReportKind, PlatformReport] = {}

    async def put(self, report: PlatformReport) -> None:
        self.raise_if_failing()
        self.kept[report.kind] = report.after(self.kept.get(report.kind))

    async def last(self) -> dict[ReportKind, PlatformReport]:
        self.raise_if_failing()
        return dict(self.kept)
