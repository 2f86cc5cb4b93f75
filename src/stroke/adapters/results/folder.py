"""FolderResults: one Parquet file per analysis, in a folder or under an S3 prefix."""

from __future__ import annotations

import json
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from stroke.adapters.results.atomic_files import WholeFiles
from stroke.application.analyses.queries import Analysis
from stroke.application.analyses.service import AnalyticsRun, ResultStore
from stroke.domain.errors import InvalidData

RUN: Final = "run.json"
"""The file that says what the run was; it is written last."""


class FolderResults(ResultStore):
    """Writes ``stroke_analytics_*.parquet`` into ``folder`` of ``files``, each at once."""

    def __init__(self, files: fs.FileSystem, folder: str) -> None:
        self._files = WholeFiles(files, folder)

    def write(self, analysis: Analysis, rows: pa.Table) -> None:
        sink = pa.BufferOutputStream()
        pq.write_table(rows, sink, compression="zstd")
        self._files.put(f"{analysis.table}.parquet", sink.getvalue())

    def record(self, run: AnalyticsRun) -> None:
        text = json.dumps(run.as_json(), indent=2) + "\n"
        self._files.put(RUN, pa.py_buffer(text.encode()))

    def read_run(self) -> dict[str, Any]:
        """Return the record of the last run. Raises ``InvalidData``."""
        try:
            run: dict[str, Any] = json.loads(self._files.read(RUN))
        except (OSError, ValueError) as error:
            raise InvalidData(
                f"{self._files.folder} has no {RUN} that can be read: write results there first "
                "(`stroke analytics run --output`)"
            ) from error
        return run

    def read(self, analysis: Analysis) -> pa.Table:
        """Return the rows of an analysis. Raises ``InvalidData``."""
        name = f"{analysis.table}.parquet"
        try:
            return pq.read_table(self._files.path(name), filesystem=self._files.system)
        except (OSError, pa.ArrowException) as error:
            raise InvalidData(f"{name} in {self._files.folder} cannot be read") from error
