"""Where a command writes: standard output, or a file that appears whole or not at all."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import typer

from stroke.domain.errors import InvalidData
from stroke.entrypoints.cli.terminal.said import say
from stroke.entrypoints.cli.terminal.signals import end_if_asked

if TYPE_CHECKING:
    from rich.progress import Progress
    from rich.table import Table

STDOUT = Path("-")


def counted(count: int, noun: str) -> str:
    """Return ``count`` and the noun in its number: 1 row, 1,000 rows."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def print_notes(notes: Iterable[str]) -> None:
    """Say on stderr how a file is read that is not as stroke writes one."""
    for note in notes:
        say(note, "note")


def print_table(table: Table) -> None:
    """Print a table; where no terminal says how wide, as wide as it needs to be.

    A file or a pipe has no edge: whoever searches it finds every name in one piece. Cells are shown
    as they are: ``[lb_av]`` of a record is a unit, and no style of rich's.
    """
    from rich.console import Console

    console = Console(markup=False, emoji=False)
    if not console.is_terminal:
        wide = Console(width=10_000, markup=False, emoji=False)
        width = max(80, wide.measure(table).maximum)
        console = Console(width=width, markup=False, emoji=False)
    console.print(table)


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Give a stream whose content is at ``path`` once the block ends well; ``-`` is stdout.

    A file is written next to its place and renamed, so an interrupted run leaves what was there
    before. When the reader of stdout goes away (``| head``) the command ends quietly.
    """
    if path == STDOUT:
        with _to_stdout() as stream:
            yield stream
    elif path.exists() and not path.is_file():  # a device or a named pipe has no name to change
        with _refusal(path), path.open("wb") as stream:
            yield stream
    else:
        with _replaced(path) as stream:
            yield stream


@contextmanager
def progress() -> Iterator[Progress]:
    """Give a progress display on stderr, silent unless that is a terminal."""
    from rich.console import Console
    from rich.progress import Progress, TaskID

    class Endable(Progress):
        def update(self, task_id: TaskID, *args: Any, **changes: Any) -> None:
            end_if_asked()
            super().update(task_id, *args, **changes)

    console = Console(stderr=True)
    with Endable(console=console, transient=True, disable=not console.is_terminal) as display:
        yield display


@contextmanager
def _to_stdout() -> Iterator[BinaryIO]:
    stream = sys.stdout.buffer
    try:
        yield stream
        stream.flush()
    except BrokenPipeError:
        # What is still buffered would fail once more when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(0) from None


@contextmanager
def _replaced(path: Path) -> Iterator[BinaryIO]:
    path = path.resolve()  # of a link, what it points to is replaced
    with _refusal(path):
        descriptor, name = tempfile.mkstemp(
            prefix=f".{path.name}.", suffix=".part", dir=path.parent
        )
    part = Path(name)
    try:
        with _refusal(path), os.fdopen(descriptor, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
            os.fchmod(stream.fileno(), _mode(path))
        end_if_asked()
        part.replace(path)
    except BaseException:
        with suppress(FileNotFoundError):
            part.unlink()
        raise


def _mode(path: Path) -> int:
    """Return the permissions that ``path`` has, or that a new file gets."""
    if path.exists():
        return path.stat().st_mode & 0o777
    mask = os.umask(0o022)
    os.umask(mask)
    return 0o666 & ~mask


@contextmanager
def _refusal(path: Path) -> Iterator[None]:
    """Say in one line why ``path`` cannot be written."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise InvalidData(f"{path} cannot be written: {error.strerror}") from error
