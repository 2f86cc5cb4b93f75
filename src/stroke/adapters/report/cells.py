"""Cells of tables, as the templates show them."""

from __future__ import annotations

from typing import NamedTuple


class Cell(NamedTuple):
    """One cell of a table: numbers stand right, and a header names its row or column."""

    text: str
    is_number: bool = False
    is_header: bool = False
