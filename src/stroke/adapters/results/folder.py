"""FolderResults: one Parquet file per analysis, in a folder or under an S3 prefix."""

from __future__ import annotations

import json
from typing import Any, Final
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from stroke.application.analytics import AnalyticsRun, ResultStore
from stroke.domain.analyses import Analysis
from stroke.domain.errors import InvalidData

RUN: Final = "run.json"
"""The file that says what the run was; it is written last."""


class FolderResults(ResultStore):
    """Writes ``stroke_analytics_*.parquet`` into ``folder`` of ``files``.

    Each file is written beside its place and moved there, so that a reader has the old one or the
    new one. Object stores have no moves, and need none: an object appears whole.
    """

    def __init__(self, files: fs.FileSystem, folder: str) -> None:
        self._files = files
        self._folder = folder.rstrip("/")

    def write(self, analysis: Analysis, rows: pa.Table) -> None:
        sink = pa.BufferOutputStream()
        pq.write_table(rows, sink, compression="zstd")
        self._put(f"{analysis.table}.parquet", sink.getvalue())

    def record(self, run: AnalyticsRun) -> None:
        text = json.dumps(run.as_json(), indent=2) + "\n"
        self._put(RUN, pa.py_buffer(text.encode()))

    def read_run(self) -> dict[str, Any]:
        """Return the record of the last run. Raises ``InvalidData``."""
        try:
            with self._files.open_input_stream(f"{self._folder}/{RUN}") as stream:
                run: dict[str, Any] = json.loads(stream.read())
        except (OSError, ValueError) as error:
            raise InvalidData(
                f"{self._folder} has no {RUN} that can be read: write results there first "
                "(`stroke analytics run --output`)"
            ) from error
        return run

    def read(self, analysis: Analysis) -> pa.Table:
        """Return the rows of an analysis. Raises ``InvalidData``."""
        name = f"{analysis.table}.parquet"
        try:
            return pq.read_table(f"{self._folder}/{name}", filesystem=self._files)
        except (OSError, pa.ArrowException) as error:
            raise InvalidData(f"{name} in {self._folder} cannot be read") from error

    def _put(self, name: str, content: pa.Buffer) -> None:
        place = f"{self._folder}/{name}"
        try:
            if isinstance(self._files, fs.LocalFileSystem):
                self._files.create_dir(self._folder, recursive=True)
                part = f"{self._folder}/.{name}.{uuid4().hex}.part"
                with self._files.open_output_stream(part) as stream:
                    stream.write(content)
                self._files.move(part, place)
            else:
                with self._files.open_output_stream(place) as stream:
                    stream.write(content)
        except OSError as error:
            raise InvalidData(
                f"{name} cannot be written to {self._folder}: check that it may be, and for S3 the "
                "endpoint and the credentials"
            ) from error
