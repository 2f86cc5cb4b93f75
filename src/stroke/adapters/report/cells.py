"""Cells of tables, as the templates show them."""

from __future__ import annotations

from typing import NamedTuple


class Drawn(NamedTuple):
    """An interval as it is drawn, in hundredths of the width; ``whole`` is everybody's value."""

    value: float
    low: float
    high: float
    whole: float | None = None


class Cell(NamedTuple):
    """One cell of a table: numbers stand right, and a header names its row or column.

    A cell may hold a ``drawn`` interval in place of text.
    """

    text: str
    is_number: bool = False
    is_header: bool = False
    drawn: Drawn | None = None
