"""Values that a proof of an erasure looks for: names, record numbers, any text of a row."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Final

from stroke.application.erasure.ports import ValueTrace
from stroke.domain.errors import InvalidData

MOST_VALUES: Final = 100
SHORTEST: Final = 2
_MOST_TRACES: Final = 1_000
# As JSON may write characters; and JSON may be a text in JSON, so often.
_ESCAPED: Final = re.compile(r'(?:\\u[0-9a-f]{4})+|\\["\\/bfnrt]')
_DEPTH: Final = 3


class SoughtValues:
    """Texts, each known by its number from 1: messages name the number, and never the text.

    A text is found wherever it is a part of another one. Upper and lower case are the same, and so
    are the ways in which Unicode and JSON may write a character. A text that is a number also
    finds a number that is equal to it. Raises ``InvalidData`` where there is no text, where there
    are more than ``MOST_VALUES``, and for one of less than ``SHORTEST`` characters.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        if not texts:
            raise InvalidData("there is no value to search for")
        if len(texts) > MOST_VALUES:
            raise InvalidData(f"search for at most {MOST_VALUES} values at once")
        for number, text in enumerate(texts, start=1):
            if len(text) < SHORTEST:
                raise InvalidData(f"value {number} is too short: it would be found everywhere")
        self._forms: Final = [
            (form, number) for number, text in enumerate(texts, start=1) for form in _forms(text)
        ]
        self._numbers: Final[dict[Decimal, set[int]]] = {}
        for number, text in enumerate(texts, start=1):
            if (decimal := _decimal(text)) is not None:
                self._numbers.setdefault(decimal, set()).add(number)
        self._count: Final = len(texts)

    def __repr__(self) -> str:
        return f"<{self._count} values>"

    @property
    def longest(self) -> int:
        """The most bytes that a text may be written in."""
        return max(12 * len(form) for form, _ in self._forms)  # each an escaped pair

    @property
    def numbers(self) -> Mapping[Decimal, set[int]]:
        """Of the texts that are numbers, which ones have each value."""
        return self._numbers

    def in_text(self, text: str) -> set[int]:
        """Return which texts a text has."""
        whole = folded = text.casefold()
        for _ in range(_DEPTH):
            if "\\" not in folded:
                break
            folded = _ESCAPED.sub(_unescaped, folded).casefold()
            whole = f"{whole}\0{folded}"
        return {number for form, number in self._forms if form in whole}

    def in_bytes(self, content: bytes) -> set[int]:
        """Return which texts have their UTF-8 in some bytes, whatever else is around it."""
        return self.in_text(content.decode("utf-8", "replace"))

    def in_value(self, value: object) -> set[int]:
        """Return which texts a value of a row or an event has, however deep in it."""
        match value:
            case None | bool():
                return set()
            case bytes() | bytearray() | memoryview():
                return self.in_bytes(bytes(value))
            case int() | float() | Decimal():
                return self._equal_to(_decimal(str(value)))
            case Mapping():
                return self.in_values([*value.keys(), *value.values()])
            case list() | tuple() | set():
                return self.in_values(value)
            case _:
                return self.in_text(str(value))

    def in_values(self, values: Iterable[object]) -> set[int]:
        """Return which texts some values have."""
        return {number for value in values for number in self.in_value(value)}

    def _equal_to(self, number: Decimal | None) -> set[int]:
        return set() if number is None else self._numbers.get(number, set())


class FoundValues:
    """The traces of one place: the first of many, and that there are more."""

    def __init__(self) -> None:
        self._traces: set[ValueTrace] = set()
        self._more: set[int] = set()

    def add(self, numbers: Iterable[int], where: str, until: datetime | None = None) -> None:
        """Note that the place has these values."""
        for number in numbers:
            if len(self._traces) < _MOST_TRACES:
                self._traces.add(ValueTrace(number, where, until))
            else:
                self._more.add(number)

    def listed(self) -> list[ValueTrace]:
        """Return what was noted, sorted."""
        order = sorted(self._traces, key=lambda trace: (trace.value, trace.where))
        return [*order, *(ValueTrace(number, "and more") for number in sorted(self._more))]


def _forms(text: str) -> set[str]:
    """Return the ways in which Unicode may write a text, without the difference of case."""
    normal = {unicodedata.normalize(form, text) for form in ("NFC", "NFD")}
    return {form.casefold() for form in (text, *normal)}


def _unescaped(escaped: re.Match[str]) -> str:
    found: str = json.loads(f'"{escaped.group()}"')
    return found


def _decimal(text: str) -> Decimal | None:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None
