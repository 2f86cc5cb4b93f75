"""Results of analyses that stay in memory."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from stroke.application.analyses.ports import ResultStore
from stroke.application.analyses.queries import Analysis
from stroke.application.analyses.runs import AnalyticsRun


class KeptResults(ResultStore):
    """Keeps what it is given: ``tables``, and ``run`` once it was recorded."""

    def __init__(self) -> None:
        self._written: dict[Analysis, pa.Table] = {}
        self.run: dict[str, Any] = {}

    @property
    def tables(self) -> list[tuple[Analysis, pa.Table]]:
        """The rows of each analysis, in the order in which they were written first."""
        return list(self._written.items())

    def write(self, analysis: Analysis, rows: pa.Table) -> None:
        self._written[analysis] = rows

    def record(self, run: AnalyticsRun) -> None:
        self.run = run.as_json()
