"""What a command says on stderr: lines for people, or JSON lines where STROKE_LOG_FORMAT=json."""

from __future__ import annotations

import logging
from functools import cache
from typing import Final, Literal

import typer

from stroke.entrypoints.logs import JsonFormatter, outline

Level = Literal["info", "note", "warning", "error"]

_LEVELS: Final[dict[Level, tuple[str, int]]] = {
    "info": ("", logging.INFO),
    "note": ("note: ", logging.INFO),
    "warning": ("warning: ", logging.WARNING),
    "error": ("stroke: ", logging.ERROR),
}
_LOGGER: Final = "stroke.cli"


def say(text: str, level: Level = "info") -> None:
    """Print ``text`` on stderr: as it is, with the prefix of its level, or as a line of JSON."""
    prefix, number = _LEVELS[level]
    if _as_json():
        record = logging.LogRecord(_LOGGER, number, "", 0, text, None, None)
        typer.echo(JsonFormatter().format(record), err=True)
    else:
        typer.echo(f"{prefix}{text}", err=True)


class Lines(logging.Handler):
    """Says what libraries log, in the format of the command; an exception only as its outline."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one record."""
        if _as_json():
            typer.echo(JsonFormatter().format(record), err=True)
            return
        error = record.exc_info[1] if record.exc_info else None
        text = record.getMessage()
        typer.echo(f"{text}: {outline(error)}" if error is not None else text, err=True)


@cache
def _as_json() -> bool:
    from stroke.config import LogSettings
    from stroke.domain.errors import InvalidSetting

    try:
        return LogSettings.load().format == "json"
    except InvalidSetting:
        return False  # the command names the wrong setting, and has to say so somehow
