"""What erasures and proofs take: ids of predictions, references to patients, values, logs."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, BinaryIO, Final

import typer

from stroke.application.erasure.ports import Subject
from stroke.application.erasure.subjects import subject_of
from stroke.application.erasure.values import SoughtValues
from stroke.domain.errors import InvalidData

Ids = Annotated[list[int] | None, typer.Argument(metavar="[ID]...", help="Ids of predictions.")]
IdFile = Annotated[
    Path | None, typer.Option("--file", metavar="FILE", help="A file with an id on each line.")
]
SubjectFile = Annotated[
    str | None,
    typer.Option(
        "--subject-key",
        metavar="FILE",
        help="A file (- is standard input) with a patient of a record system on each line: "
        "https://SERVER/Patient/ID, Patient/ID or ID.",
    ),
]

_ID: Final = re.compile(r"\d{1,18}")


def prediction_ids(given: Sequence[int], file: Path | None) -> set[int]:
    """Return the ids that were given, and those of the file. Raises ``InvalidData``."""
    found = list(given)
    if file is not None:
        try:
            lines = file.read_text("utf-8-sig").split()
        except (OSError, UnicodeDecodeError):
            raise InvalidData(f"{file} cannot be read as text") from None
        for number, line in enumerate(lines, start=1):
            if not _ID.fullmatch(line):
                raise InvalidData(f"{file}: entry {number} is no id of a prediction")
            found.append(int(line))
    if not found:
        raise InvalidData("name the ids of the predictions, or a --file with them")
    return set(found)


def read_values(file: str) -> SoughtValues:
    """Return the values that a file names, one on each line; ``-`` is standard input.

    Raises ``InvalidData``, which does not say what stands in the file.
    """
    lines = StringIO(_text(file, "--values"), newline=None)
    return SoughtValues([line.strip() for line in lines])


@contextmanager
def log_paths(given: Sequence[str]) -> Iterator[list[Path]]:
    """Give the files and folders that were given as logs; ``-`` is standard input.

    What can be read once only, such as that or a pipe, is kept meanwhile. Raises ``InvalidData``
    for one that is not there.
    """
    with TemporaryDirectory() as folder:
        paths = []
        for number, each in enumerate(given, start=1):
            path = Path(each)
            if each == "-":
                path = Path(folder) / "standard input"
                _keep(sys.stdin.buffer, path)
            elif not each or not path.exists():
                raise InvalidData(f"--logs: there is no {each or 'file without a name'}")
            elif not path.is_file() and not path.is_dir():
                path = Path(folder) / f"pipe {number}"
                try:
                    with Path(each).open("rb") as pipe:
                        _keep(pipe, path)
                except OSError:
                    raise InvalidData(f"--logs: {each} cannot be read") from None
            paths.append(path)
        yield paths


def _keep(stream: BinaryIO, path: Path) -> None:
    with path.open("wb") as copy:
        shutil.copyfileobj(stream, copy)


def _text(file: str, option: str) -> str:
    try:
        content = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        text = content.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError):
        raise InvalidData(f"{option} cannot be read as text") from None
    if "\0" in text:  # as UTF-16 of Windows has them; nothing would be found
        raise InvalidData(f"{option} cannot be read as text: write the file as UTF-8")
    return text


def read_subjects(file: str) -> list[Subject]:
    """Return the patients that a file names, each once; ``-`` is standard input.

    Raises ``InvalidData``, which does not say what stands in the file.
    """
    found: list[Subject] = []
    for number, line in enumerate(_text(file, "--subject-key").split(), start=1):
        if (subject := subject_of(line)) is None:
            raise InvalidData(f"--subject-key: entry {number} is no reference to a patient")
        found.append(subject)
    if not found:
        raise InvalidData("--subject-key names no patient")
    return list(dict.fromkeys(found))
