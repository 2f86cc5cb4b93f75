"""Values that a proof of an erasure looks for: names, record numbers, any text of a row."""

from __future__ import annotations

import json
import re
import struct
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from html import unescape
from typing import AnyStr, Final
from urllib.parse import unquote_plus

from stroke.application.erasure.ports import ValueTrace
from stroke.domain.errors import InvalidData

MOST_VALUES: Final = 100
SHORTEST: Final = 2
_MOST_TRACES: Final = 1_000  # of each value
# As JSON, dumps of SQL, Python and nginx may write characters. JSON may be a text in JSON.
_ESCAPED: Final = re.compile(r"""(?:\\u[0-9a-f]{4})+|(?:\\x[0-9a-f]{2})+|\\["'\\/bfnrt]""")
_DEPTH: Final = 3
# Bytes or characters that are searched at once: with all the ways to read them, and without their
# case, they take some thirty times as much memory.
_PIECE: Final = 2**18
# What is below is no number of a patient, and takes for ever to be written out: 1e999999999.
_LARGEST_EXPONENT: Final = 300


class SoughtValues:
    """Texts, each known by its number from 1: messages name the number, and never the text.

    Empty texts are not sought, and have a number. A text is found wherever it is a part of another
    one. Upper and lower case are the same, and so are the ways in which Unicode, JSON, SQL, CSV,
    HTML and addresses may write a character. A text that is a number also finds a number that is
    equal to it. Raises ``InvalidData`` where there is no text, where there are more than
    ``MOST_VALUES``, and for one of less than ``SHORTEST`` characters.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        numbered = [(number, text) for number, text in enumerate(texts, start=1) if text]
        if not numbered:
            raise InvalidData("there is no value to search for")
        if len(numbered) > MOST_VALUES:
            raise InvalidData(f"search for at most {MOST_VALUES} values at once")
        for number, text in numbered:
            if len(text) < SHORTEST:
                raise InvalidData(f"value {number} is too short: it would be found everywhere")
        self._forms: Final = [(form, number) for number, text in numbered for form in _forms(text)]
        self._numbers: Final[dict[Decimal, set[int]]] = {}
        for number, text in numbered:
            for decimal in _decimals(text):
                self._numbers.setdefault(decimal, set()).add(number)
        self._count: Final = len(numbered)

    def __repr__(self) -> str:
        return f"<{self._count} values>"

    @property
    def longest(self) -> int:
        """The most bytes that a text may be written in."""
        return max(24 * len(form) for form, _ in self._forms)  # each an escaped pair, in UTF-16

    @property
    def numbers(self) -> Mapping[Decimal, set[int]]:
        """Of the texts that are numbers, which ones have each value, also where it is rounded."""
        return self._numbers

    def in_text(self, text: str) -> set[int]:
        """Return which texts a text has, however long it is."""
        found: set[int] = set()
        for piece in self._pieces(text):
            found |= self._in_piece(piece)
        return found

    def _in_piece(self, text: str) -> set[int]:
        whole = folded = text.casefold()
        for _ in range(_DEPTH):
            if "\\" not in folded:
                break
            folded = _ESCAPED.sub(_unescaped, folded).casefold()
            whole = f"{whole}\0{folded}"
        if "&" in text:
            whole = f"{whole}\0{unescape(text).casefold()}"
        if "%" in text or "+" in text:
            whole = f"{whole}\0{unquote_plus(text).casefold()}"
        return {number for form, number in self._forms if form in whole}

    def in_bytes(self, content: bytes) -> set[int]:
        """Return which texts some bytes have, whatever else is around them.

        They are looked for as UTF-8; where that is not what the bytes are, as Windows-1252, too;
        and as UTF-16.
        """
        found: set[int] = set()
        for piece in self._pieces(content):
            found |= self._in_piece("\0".join(_decoded(piece)))
        return found

    def in_value(self, value: object) -> set[int]:
        """Return which texts a value of a row or an event has, however deep in it."""
        return self.in_values([value])

    def in_values(self, values: Iterable[object]) -> set[int]:
        """Return which texts some values have."""
        texts: list[str] = []
        length = 0
        found: set[int] = set()
        for value in _leaves(values):
            match value:
                case bytes() | bytearray() | memoryview():
                    content = bytes(value)
                    if len(content) > _PIECE:
                        found |= self.in_bytes(content)
                    else:
                        texts += _decoded(content)
                        length += len(content)
                case int() | float() | Decimal():
                    if (number := _decimal(str(value))) is not None:
                        found |= self._numbers.get(number, set())
                case _:
                    texts.append(str(value))
                    length += len(texts[-1])
            if length > _PIECE:
                found |= self.in_text("\0".join(texts))
                texts, length = [], 0
        return found | self.in_text("\0".join(texts))  # many at once, which is much faster

    def _pieces(self, content: AnyStr) -> Iterator[AnyStr]:
        """Give the parts of a text or of bytes, each with so much of the next that none is cut."""
        overlap = self.longest
        step = max(_PIECE, overlap)
        yield content[: step + overlap]
        for start in range(step, len(content) - overlap, step):
            yield content[start : start + step + overlap]

    def without(self, path: str) -> str:
        """Return a path in which each part that has a value says the value's number instead."""
        shown = "/".join(self._shown(part) for part in path.split("/"))
        return self._shown(shown)  # a value may have slashes

    def _shown(self, text: str) -> str:
        numbers = sorted(self.in_text(text))
        return f"[value {', '.join(map(str, numbers))}]" if numbers else text


class FoundValues:
    """The traces of one place: of each value the first of many, and that there are more."""

    def __init__(self) -> None:
        self._traces: dict[int, set[ValueTrace]] = {}
        self._more: dict[int, datetime | None] = {}

    def add(self, numbers: Iterable[int], where: str, until: datetime | None = None) -> None:
        """Note that the place has these values."""
        for number in numbers:
            traces = self._traces.setdefault(number, set())
            trace = ValueTrace(number, where, until)
            if trace in traces or len(traces) < _MOST_TRACES:
                traces.add(trace)
            else:
                before = self._more.get(number, until)
                self._more[number] = None if before is None or until is None else max(before, until)

    def listed(self) -> list[ValueTrace]:
        """Return what was noted, sorted. What is not named says until when the last of it is."""
        traces = (trace for of_value in self._traces.values() for trace in of_value)
        order = sorted(traces, key=lambda trace: (trace.value, trace.where))
        more = sorted(self._more.items())
        return [*order, *(ValueTrace(number, "and more", until) for number, until in more)]


def _leaves(values: Iterable[object]) -> Iterator[object]:
    """Give the values within values, but those that say nothing."""
    for value in values:
        match value:
            case None | bool():
                pass
            case Mapping():
                yield from _leaves([*value.keys(), *value.values()])
            case list() | tuple() | set():
                yield from _leaves(value)
            case _:
                yield value


def _decoded(content: bytes) -> list[str]:
    """Return the texts that some bytes may be."""
    texts = [content.decode("utf-8", "replace")]
    if "\ufffd" in texts[0]:
        texts.append(content.decode("cp1252", "replace"))
    if b"\0" in content:
        for coding in ("utf-16-le", "utf-16-be"):
            texts += [content[start:].decode(coding, "replace") for start in (0, 1)]
    return texts


def _forms(text: str) -> set[str]:
    """Return the ways in which Unicode, SQL and CSV may write a text, without its case."""
    normal = {unicodedata.normalize(form, text).casefold() for form in ("NFC", "NFD")}
    forms = {text.casefold(), *normal}
    return forms | {form.replace(quote, 2 * quote) for form in forms for quote in "'\""}


def _unescaped(escaped: re.Match[str]) -> str:
    written = escaped.group()
    if written == "\\'":
        return "'"
    if written.startswith("\\x"):
        content = bytes.fromhex(written.replace("\\x", ""))
        try:
            return content.decode()
        except UnicodeDecodeError:
            return content.decode("latin-1")
    found: str = json.loads(f'"{written}"')
    return found


def _decimal(text: str) -> Decimal | None:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    known = number.is_finite() and abs(number.adjusted()) <= _LARGEST_EXPONENT
    return number if known else None


def _decimals(text: str) -> set[Decimal]:
    """Return the number that a text is, and what columns of floating numbers make of it."""
    if (number := _decimal(text)) is None:
        return set()
    found = {number, Decimal(repr(float(number)))}
    if number != number.to_integral_value():
        try:
            [single] = struct.unpack("f", struct.pack("f", float(number)))
        except OverflowError:
            return found
        found.add(Decimal(repr(single)))
    return found
