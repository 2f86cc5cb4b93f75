"""FolderResults: one Parquet file per analysis, in a folder or under an S3 prefix."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from stroke.adapters.results.atomic_files import WholeFiles
from stroke.application.analyses.ports import ResultStore
from stroke.application.analyses.queries import Analysis
from stroke.application.analyses.runs import AnalyticsRun
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
            return _run_of(json.loads(self._files.read(RUN)))
        except (OSError, ValueError, RecursionError) as error:
            raise InvalidData(
                f"{self._files.folder} has no {RUN} that can be read: write results there first "
                "(`stroke analytics run --output`)"
            ) from error

    def read(self, analysis: Analysis) -> pa.Table:
        """Return the rows of an analysis. Raises ``InvalidData``."""
        name = f"{analysis.table}.parquet"
        try:
            return pq.read_table(self._files.path(name), filesystem=self._files.system)
        except (OSError, pa.ArrowException) as error:
            raise InvalidData(f"{name} in {self._files.folder} cannot be read") from error


def _run_of(said: Any) -> dict[str, Any]:
    """Return what a file says, if it is the record of a run. Raises ``ValueError``."""
    match said:
        case {
            "engine": str(),
            "source": str(),
            "began": str(began),
            "seconds": int() | float(),
            "point": dict(),
            "events": int(),
            "predictions": int(),
            "rows": dict(),
        }:
            datetime.fromisoformat(began)
            return {**said}
    raise ValueError("no record of a run")
