"""What the commands of `stroke model` share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from stroke.entrypoints.cli.terminal.output import progress

ModelPlace = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        help="A name in the store, a folder or an .onnx file.",
        show_default="the served",
    ),
]


@contextmanager
def steps_bar(title: str, steps: int) -> Iterator[Callable[[], None]]:
    """Show a bar of ``steps``; yield what moves it on by one."""
    with progress() as display:
        task = display.add_task(title, total=steps)
        yield lambda: display.advance(task)


def print_metrics(metrics: dict[str, dict[str, float]], title: str) -> None:
    """Print a table of each metric's value and interval."""
    from rich.console import Console
    from rich.table import Table

    table = Table("metric", "value", "95 % interval", title=title, title_justify="left")
    for name, metric in metrics.items():
        interval = f"{metric['low']:.4f} to {metric['high']:.4f}"
        table.add_row(name, f"{metric['value']:.4f}", interval)
    Console().print(table)
