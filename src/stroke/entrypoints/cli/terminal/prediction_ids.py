"""What erasures and proofs take: ids of predictions, references to patients, values, logs."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from stroke.application.erasure.ports import Subject
from stroke.application.erasure.subjects import subject_of
from stroke.application.erasure.values import SoughtValues
from stroke.domain.errors import InvalidData

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
    lines = (line.strip() for line in _text(file, "--values").splitlines())
    return SoughtValues([line for line in lines if line])


@contextmanager
def log_paths(given: Sequence[str]) -> Iterator[list[Path]]:
    """Give the files and folders that were given as logs; ``-`` is standard input, kept meanwhile.

    Raises ``InvalidData`` for one that is not there.
    """
    with TemporaryDirectory() as folder:
        paths = []
        for each in given:
            path = Path(folder) / "standard input" if each == "-" else Path(each)
            if each == "-":
                with path.open("wb") as copy:
                    shutil.copyfileobj(sys.stdin.buffer, copy)
            elif not path.exists():
                raise InvalidData(f"--logs: there is no {each}")
            paths.append(path)
        yield paths


def _text(file: str, option: str) -> str:
    try:
        content = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        return content.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError):
        raise InvalidData(f"{option} cannot be read as text") from None


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
