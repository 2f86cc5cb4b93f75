"""Where the time of a run goes: seconds per module, image builds and waiting apart.

Helpers say what they spend on builds and on waiting (``spending``); each report of a test carries
that from xdist's workers to the process that writes the table.
"""

from __future__ import annotations

import json
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

import pytest

Kind = Literal["builds", "waiting"]
Row = dict[str, float]
_PROPERTY: Final = "seconds"
_FOLDER: Final = Path(__file__).resolve().parents[2] / "build" / "test-report"
_SHOWN: Final = 25  # modules on the screen; the file has them all
_spent: dict[str, float] = defaultdict(float)
_within: list[Kind] = []
_thread: Final = threading.local()


@contextmanager
def spending(kind: Kind) -> Iterator[None]:
    """Count the time of this block as ``kind``; a block inside another does not count twice."""
    if _within or getattr(_thread, "is_aside", False):
        yield
        return
    _within.append(kind)
    began = time.monotonic()
    try:
        yield
    finally:
        _within.pop()
        _spent[kind] += time.monotonic() - began


@contextmanager
def aside() -> Iterator[None]:
    """Count nothing of this block, which a thread does while tests run."""
    _thread.is_aside = True
    try:
        yield
    finally:
        _thread.is_aside = False


def hand_over(report: pytest.TestReport) -> None:
    """Put what was spent since the last report into this one."""
    if _spent:
        report.user_properties.append((_PROPERTY, dict(_spent)))
        _spent.clear()


class Table:
    """Adds up the reports of a run."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._modules: dict[str, Row] = defaultdict(_row)

    def add(self, report: pytest.TestReport) -> None:
        row = self._modules[report.nodeid.split("::", maxsplit=1)[0]]
        row["tests"] += report.when == "call"
        row["total"] += report.duration
        for name, value in report.user_properties:
            if name == _PROPERTY and isinstance(value, dict):
                _add(row, value)

    def write(self, reporter: pytest.TerminalReporter) -> None:
        """Print the longest modules and the sums; keep all of it in build/test-report."""
        if not self._modules:
            return
        wall = time.monotonic() - self._began
        rows = sorted(self._modules.items(), key=lambda each: -each[1]["total"])
        total = _row()
        for _, row in rows:
            _add(total, row)
        lines = [_LINE.format("module", "tests", "seconds", "builds", "waiting", "own work")]
        lines += [_line(module, row) for module, row in rows]
        sums = [
            _line(f"{len(rows)} modules", total),
            f"wall clock: {wall:,.0f} s; the other seconds are of one worker each",
        ]
        if len(rows) > 1:
            reporter.write_sep("=", "seconds per module")
            for line in [*lines[: _SHOWN + 1], *sums]:
                reporter.write_line(line)
        try:
            _FOLDER.mkdir(parents=True, exist_ok=True)
        except OSError as error:  # in an image, where the code's folder is not the tests' to write
            reporter.write_line(f"the table of seconds is not kept: {error}")
            return
        (_FOLDER / "seconds.txt").write_text("\n".join([*lines, *sums, ""]))
        record = {
            "wall_seconds": round(wall, 1),
            "modules": {name: _rounded(row) for name, row in rows},
        }
        (_FOLDER / "seconds.json").write_text(json.dumps(record, indent=1) + "\n")


_LINE: Final = "{:<56} {:>6} {:>8} {:>8} {:>8} {:>9}"


def _row() -> Row:
    return dict.fromkeys(("tests", "total", "builds", "waiting"), 0.0)


def _add(row: Row, more: Row) -> None:
    for name, value in more.items():
        row[name] += value


def _line(module: str, row: Row) -> str:
    own = row["total"] - row["builds"] - row["waiting"]
    numbers = (row["total"], row["builds"], row["waiting"], own)
    return _LINE.format(module, int(row["tests"]), *(f"{number:.1f}" for number in numbers))


def _rounded(row: Row) -> Row:
    return {name: round(value, 1) for name, value in row.items()}
