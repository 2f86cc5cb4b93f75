"""A row of a file, as the imports of predictions and of outcomes read it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class FileRow:
    """One row: its line, its place among the rows that start there, its cells by column.

    ``problem`` says what is wrong with a row that could not be read; it then has no cells.
    """

    line: int
    place: int
    cells: dict[str, object] = field(default_factory=dict)
    problem: str | None = None
