"""Options and checks that the commands that score files share."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stroke.domain.errors import InvalidData
from stroke.domain.risk import FULL
from stroke.entrypoints.cli.terminal.output import STDOUT

if TYPE_CHECKING:
    from stroke.config import Settings
    from stroke.container.service import Container

ModelName = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="A model's name, folder or .onnx file; see SAVED_MODEL."),
]

Variants = Annotated[
    bool,
    typer.Option(
        "--variants", help="Add model_variant: which variant of the model scored the row."
    ),
]

WithContext = Annotated[
    bool,
    typer.Option(
        "--context",
        help="Add the 95 % interval, support by the training data, and comparison with others.",
    ),
]


def container_of(model: str | None) -> Container:
    """Return the service's parts, with ``model`` instead of the one that is served, if given."""
    from stroke.container.service import Container

    return Container(settings=settings_with(model))


def settings_with(model: str | None) -> Settings:
    """Return the service's settings, with ``model`` instead of the one they name, if given."""
    from stroke.config import Settings

    settings = Settings.load()
    if model is not None:
        chosen = settings.model.model_copy(update={"saved_model": model})
        settings = settings.model_copy(update={"model": chosen})
    return settings


def refuse_same_file(said: str, *paths: Path) -> None:
    """Raise ``InvalidData`` with what is ``said`` where two of ``paths`` are one file."""
    files = [path.resolve() for path in paths if path != STDOUT]
    regular = [path for path in files if path.is_file() or not path.exists()]
    if len(set(regular)) < len(regular):
        raise InvalidData(said)


def sentence(summary: Mapping[str, object]) -> str:
    """Return a run's ``summary`` in words."""
    parts = [f"{summary['rows']:,} rows: {summary['scored']:,} scored"]
    if summary.get("stored"):
        parts.append(f"{summary['stored']:,} stored")
    rejected = f"{summary['rejected']:,} rejected"
    parts.append(rejected + (f" (see {summary['rejects']})" if summary["rejects"] else ""))
    companions = ", ".join(
        f"{count:,} {name}"
        for name, count in _variants(summary.get("variants")).items()
        if count and name != FULL
    )
    gaps = f"; {companions}" if companions else ""
    return f"{', '.join(parts)}{gaps}; {summary['rows_per_second']:,} rows/s"


def _variants(counts: object) -> dict[str, int]:
    return counts if isinstance(counts, dict) else {}
