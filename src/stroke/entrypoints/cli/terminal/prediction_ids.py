"""Ids of predictions, and references to patients, as commands take them."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from stroke.application.erasure.ports import Subject
from stroke.application.erasure.subjects import subject_of
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


def read_subjects(file: str) -> list[Subject]:
    """Return the patients that a file names, each once; ``-`` is standard input.

    Raises ``InvalidData``, which does not say what stands in the file.
    """
    try:
        content = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        lines = content.decode("utf-8-sig").split()
    except (OSError, UnicodeDecodeError):
        raise InvalidData("--subject-key cannot be read as text") from None
    found: list[Subject] = []
    for number, line in enumerate(lines, start=1):
        if (subject := subject_of(line)) is None:
            raise InvalidData(f"--subject-key: entry {number} is no reference to a patient")
        found.append(subject)
    if not found:
        raise InvalidData("--subject-key names no patient")
    return list(dict.fromkeys(found))
