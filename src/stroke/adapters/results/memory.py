"""KeptResults: results that stay in memory, for who goes on with them."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from stroke.application.analyses.queries import Analysis
from stroke.application.analyses.service import AnalyticsRun, ResultStore


class KeptResults(ResultStore):
    """Keeps what it is given: ``tables``, and ``run`` once it was recorded."""

    def __init__(self) -> None:
        self.tables: list[tuple[Analysis, pa.Table]] = []
        self.run: dict[str, Any] = {}

    def write(self, analysis: Analysis, rows: pa.Table) -> None:
        self.tables.append((analysis, rows))

    def record(self, run: AnalyticsRun) -> None:
        self.run = run.as_json()
