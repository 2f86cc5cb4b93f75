"""The tables of the page's templates, as a phone needs them."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

TEMPLATES = {
    each.name: each.read_text()
    for each in (files("stroke.entrypoints.ui") / "templates").iterdir()
    if each.name.endswith(".html")
}
TABLES = [
    (name, table)
    for name, text in sorted(TEMPLATES.items())
    for table in re.findall(r"<table.*?</table>", text, re.DOTALL)
]
# So many columns fit beside each other where a page is 360 px wide.
FIT = 5


def classes(tag: str) -> list[str]:
    found = re.search(r'class="([^"]*)"', tag)
    return found[1].split() if found else []


def columns(table: str) -> int:
    head = table[: table.index("</thead>")]
    return 99 if "{% for" in head else head.count("<th") - 1  # <thead> begins so, too


def test_the_templates_have_tables_of_both_kinds() -> None:
    wide = [columns(table) > FIT for _, table in TABLES]
    assert any(wide)
    assert not all(wide)


@pytest.mark.parametrize("name", sorted(TEMPLATES))
def test_a_table_of_many_columns_becomes_blocks_where_there_is_little_room(name: str) -> None:
    for place, table in TABLES:
        if place == name and columns(table) > FIT:
            assert "stack" in classes(table), table[:200]


@pytest.mark.parametrize("name", sorted(TEMPLATES))
def test_each_cell_of_such_a_block_bears_the_name_of_its_column(name: str) -> None:
    for place, table in TABLES:
        if place != name or "stack" not in classes(table):
            continue
        for cell in re.findall(r"<td[^>]*>", table):
            alone = "colspan" in cell or {"plot", "no", "break", "small"} & set(classes(cell))
            assert "data-label" in cell or alone, cell
