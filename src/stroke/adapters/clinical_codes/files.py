"""The book of codes: the file of this package, and that of a site."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from stroke.domain.clinical.codes import CodeBook, code_book
from stroke.domain.errors import InvalidCodes

_MOST_BYTES: Final = 4 * 1024 * 1024


def read_code_book(site: Path | None = None) -> CodeBook:
    """Return the shipped codes, changed by the file ``site``. Raises ``InvalidCodes``."""
    return code_book(shipped_codes(), None if site is None else _read(site))


def shipped_codes() -> dict[str, Any]:
    """Return the document that is shipped."""
    text = files(__package__).joinpath("codes.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def _read(path: Path) -> Any:
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise InvalidCodes(f"the codes in {path} cannot be read: {error.strerror}") from None
    if len(content) > _MOST_BYTES:
        raise InvalidCodes(f"the codes in {path} are larger than {_MOST_BYTES} bytes")
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        raise InvalidCodes(f"the codes in {path} are no JSON") from None
