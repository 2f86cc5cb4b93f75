"""How comparisons are shown."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer

from stroke.application.pipeline.consistency import Comparison, DeadLetter, Discrepancy, runs

if TYPE_CHECKING:
    from rich.table import Table

_SHOWN = 5


def print_comparisons(
    comparisons: Sequence[Comparison],
    *,
    as_json: bool = False,
    stderr: bool = False,
    letters: Sequence[DeadLetter] = (),
) -> None:
    """Print one JSON object, or a table with the first ids.

    ``letters`` are dead letters that wait: those of ids that differ say why they do.
    """
    differing = {id_ for one in comparisons for kind in Discrepancy for id_ in one.ids(kind)}
    why = [letter for letter in letters if letter.prediction_id in differing]
    if as_json:
        typer.echo(json.dumps({**_summary(comparisons), "dead_letters": list(map(asdict, why))}))
        return
    from rich.console import Console

    Console(stderr=stderr).print(_table(comparisons))
    for letter in why[:_SHOWN]:
        typer.echo(
            f"{letter.connector} parked {letter.record}: {letter.cause or letter.reason}",
            err=stderr,
        )
    if len(why) > _SHOWN:
        typer.echo(f"and {len(why) - _SHOWN:,} more: `stroke pipeline dlq list`", err=stderr)


def _summary(comparisons: Sequence[Comparison]) -> dict[str, Any]:
    return {
        "equal": all(comparison.is_equal for comparison in comparisons),
        "replicas": [
            {
                "replica": one.replica,
                "rows": one.rows,
                **{kind.value: one.count(kind) for kind in Discrepancy},
                "duplicates": one.duplicates,
                "ids": {kind.value: one.ids(kind) for kind in Discrepancy},
            }
            for one in comparisons
        ],
    }


def _table(comparisons: Sequence[Comparison]) -> Table:
    from rich.table import Table

    kinds = [kind.value for kind in Discrepancy]
    table = Table("replica", "rows", *kinds, "duplicates", "first ids")
    for one in comparisons:
        counts = [f"{one.count(kind):,}" for kind in Discrepancy]
        first = [
            f"{kind.value}: {', '.join(map(str, one.ids(kind)[:_SHOWN]))}"
            for kind in Discrepancy
            if one.ids(kind)
        ]
        table.add_row(
            one.replica,
            f"{one.rows:,}",
            *counts,
            f"{one.duplicates:,}",
            "\n".join(first),
            style=None if one.is_equal else "red",
        )
    return table


def print_ids(comparisons: Sequence[Comparison]) -> None:
    """Print all listed ids, as ranges."""
    for one in comparisons:
        for kind in Discrepancy:
            if one.ids(kind):
                typer.echo(f"{one.replica} {kind.value}: {ranges(one.ids(kind))}")
            if one.unlisted[kind]:
                typer.echo(f"{one.replica} {kind.value}: and {one.unlisted[kind]:,} more")


def ranges(ids: Sequence[int]) -> str:
    """Return ids as text: ``1-3, 7``."""
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in runs(sorted(ids)))
