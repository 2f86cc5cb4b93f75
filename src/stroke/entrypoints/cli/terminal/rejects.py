"""The file of rows that a command rejected."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, Self

from stroke.application.predictions.cells import neutral
from stroke.entrypoints.cli.terminal.output import opened


class RejectFile:
    """A CSV with ``header``: made when the first row is added; an old one goes if none is."""

    def __init__(self, path: Path, header: Iterable[str]) -> None:
        self._path = path
        self._header = header
        self._stack = ExitStack()
        self._stream: BinaryIO | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        self._stack.__exit__(*failure)  # type: ignore[arg-type]
        if failure[0] is None and self._stream is None and self._path.is_file():
            self._path.unlink()

    def add(self, row: Iterable[object]) -> None:
        if self._stream is None:
            self._stream = self._stack.enter_context(opened(self._path))
            self._stream.write(_line(self._header))
        self._stream.write(_line(row))


def _line(cells: Iterable[object]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(
        neutral(cell) if isinstance(cell, str) else cell for cell in cells
    )
    return text.getvalue().encode()
