"""Ids of predictions as commands take them: one by one, or in a file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

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
