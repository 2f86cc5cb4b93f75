"""Literals of SQL, in the dialects of MySQL (and MariaDB) and SQLite."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

_MYSQL_ESCAPES: Final = {"0": "\0", "b": "\b", "n": "\n", "r": "\r", "t": "\t", "Z": "\x1a"}
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_UNISTR: Final = re.compile(
    r"\\(?:(\\)|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|\+([0-9A-Fa-f]{6})|([0-9A-Fa-f]{4}))"
)
_LITERAL: Final = re.compile(
    r"(?P<null>NULL)\b|(?P<true>TRUE)\b|(?P<false>FALSE)\b"
    r"|0x(?P<hex>[0-9A-F]+)\b|X'(?P<quoted_hex>(?:[0-9A-F]{2})*+)'"
    r"|B'(?P<quoted_bits>[01]+)'|0b(?P<bits>[01]+)\b"
    r"|(?P<number>[+-]?\s*(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:E[+-]?[0-9]+)?)(?![\w.])",
    re.IGNORECASE | re.ASCII,
)
_CHARSET: Final = re.compile(r"(?:_[a-z0-9]+[ ]*|n)(?=['\"])", re.IGNORECASE | re.ASCII)
_CALL: Final = re.compile(r"([a-z_][a-z0-9_]*)\s*\(", re.IGNORECASE | re.ASCII)
_WORD: Final = re.compile(r"[\w@$.:]+|[-+*/%|&^~!=<>?]")
NAME: Final = r"(?:`[^`]+`|\"[^\"]+\"|\[[^\]]+\]|[\w$]+)"


class Broken(Exception):
    """The text is not SQL at this place."""


class Short(Exception):
    """The text ends too early: there may be more of it."""


class NotLiteral(Exception):
    """A value that is computed; it was passed over."""


class Dialect(NamedTuple):
    """How a database writes strings and comments."""

    name: str
    single: re.Pattern[str]
    double: re.Pattern[str] | None  # None: double quotes hold names
    blank: re.Pattern[str]
    rest: re.Pattern[str]  # up to the semicolon that ends a statement
    unescaped: Callable[[str, str], str]


def _undoubled(body: str, quote: str) -> str:
    return body.replace(quote * 2, quote)


def _unescaped(body: str, quote: str) -> str:
    """Undo backslashes and doubled quotes, from left to right."""
    if "\\" not in body:
        return _undoubled(body, quote)
    pieces = re.split(r"(\\.|" + quote * 2 + ")", body, flags=re.DOTALL)
    return "".join(_unescaped_piece(piece, quote) for piece in pieces)


def _unescaped_piece(piece: str, quote: str) -> str:
    if piece == quote * 2:
        return quote
    if _ESCAPE.fullmatch(piece):
        # \% and \_ stay as they are: MySQL keeps them for LIKE.
        return piece if piece[1] in "%_" else _MYSQL_ESCAPES.get(piece[1], piece[1])
    return piece


MYSQL: Final = Dialect(
    "MySQL",
    re.compile(r"'((?:[^'\\]|\\.|'')*+)'", re.DOTALL),
    re.compile(r'"((?:[^"\\]|\\.|"")*+)"', re.DOTALL),
    re.compile(r"(?:\s++|/\*.*?\*/|--(?=\s)[^\n]*+|#[^\n]*+)*+", re.DOTALL),
    re.compile(
        r"(?:[^'\"`;/#-]++|'(?:[^'\\]|\\.|'')*+'|\"(?:[^\"\\]|\\.|\"\")*+\"|`[^`]*+`"
        r"|/\*.*?\*/|--(?=\s)[^\n]*+|#[^\n]*+|/(?!\*)|-(?!-\s))*+;",
        re.DOTALL,
    ),
    _unescaped,
)
SQLITE: Final = Dialect(
    "SQLite",
    re.compile(r"'((?:[^']|'')*+)'", re.DOTALL),
    None,
    re.compile(r"(?:\s++|/\*.*?\*/|--[^\n]*+)*+", re.DOTALL),
    re.compile(
        r"(?:[^'\"`;/-]++|'(?:[^']|'')*+'|\"(?:[^\"]|\"\")*+\"|`[^`]*+`"
        r"|/\*.*?\*/|--[^\n]*+|/(?!\*)|-(?!-))*+;",
        re.DOTALL,
    ),
    _undoubled,
)


class Cursor:
    """A place in a text of SQL that moves on as values are read."""

    def __init__(self, text: str, position: int, dialect: Dialect) -> None:
        self.text = text
        self.position = position
        self._dialect = dialect

    def skip_blank(self) -> None:
        """Pass over blanks and comments."""
        found = self._dialect.blank.match(self.text, self.position)
        self.position = found.end() if found else self.position

    def skip_statement(self) -> None:
        """Pass over all up to the semicolon. Raises ``Short``."""
        found = self._dialect.rest.match(self.text, self.position)
        if found is None:
            raise Short
        self.position = found.end()

    def next_mark(self, marks: str) -> str:
        """Return the next of ``marks``, and pass over it. Raises ``Broken`` or ``Short``."""
        self.skip_blank()
        if self.position >= len(self.text):
            raise Short
        mark = self.text[self.position]
        if mark not in marks:
            raise Broken
        self.position += 1
        return mark

    def row(self) -> list[str | type[NotLiteral] | None]:
        """Return the values of ``(…)``; ``NotLiteral`` stands for one that is computed."""
        self.next_mark("(")
        values: list[str | type[NotLiteral] | None] = []
        while True:
            try:
                values.append(self.value())
            except NotLiteral:
                values.append(NotLiteral)
            if self.next_mark(",)") == ")":
                return values

    def value(self) -> str | None:
        """Return the value of a literal: its text (of numbers too), or None for NULL.

        Raises ``NotLiteral`` for what is computed, after it was passed over; ``Broken`` and
        ``Short``.
        """
        self.skip_blank()
        start = self.position
        found = self._literal()
        if found is not _NOTHING:
            self.skip_blank()
            if self.position >= len(self.text):
                raise Short
            if self.text[self.position] in ",)" or self._at_word("USING", "AS"):
                return None if found is None else str(found)
        self.position = start
        self._skip_expression()
        raise NotLiteral

    def _literal(self) -> object:
        if introduced := _CHARSET.match(self.text, self.position):
            self.position = introduced.end()
        if (text := self._quoted()) is not None:
            return text
        if introduced:
            return self._literal()
        if found := _LITERAL.match(self.text, self.position):
            self.position = found.end()
            kind = found.lastgroup or ""
            try:
                return _READ[kind](found[kind])
            except UnicodeDecodeError:
                return _NOTHING
        if called := _CALL.match(self.text, self.position):
            self.position = called.end()
            return self._called(called.group(1).lower())
        return _NOTHING

    def _quoted(self) -> str | None:
        quote = self.text[self.position : self.position + 1]
        pattern = {"'": self._dialect.single, '"': self._dialect.double}.get(quote)
        if pattern is None:
            return None
        found = pattern.match(self.text, self.position)
        if found is None:
            raise Short
        self.position = found.end()
        return self._dialect.unescaped(found.group(1), quote)

    def _called(self, name: str) -> object:
        """Return what the function ``name`` gives, if dumps call it; its arguments come next."""
        if name in ("convert", "cast"):
            value = self.value()
            if not self._at_word("USING", "AS"):
                return _NOTHING
            self._skip_expression()
            self.next_mark(")")
            return value
        if name not in _FUNCTIONS:
            return _NOTHING
        arguments = []
        while True:
            arguments.append(self.value() or "")
            if self.next_mark(",)") == ")":
                break
        try:
            return _FUNCTIONS[name](arguments)
        except (ValueError, IndexError, OverflowError):
            return _NOTHING

    def _at_word(self, *words: str) -> bool:
        ahead = self.text[self.position : self.position + 6].upper()
        return any(re.match(rf"{word}\s", ahead) for word in words)

    def _skip_expression(self) -> None:
        """Pass over what stands before the next comma or bracket."""
        after_text = False
        while True:
            self.skip_blank()
            if self.position >= len(self.text):
                raise Short
            if self.text[self.position] in ",)":
                return
            if self.text[self.position] == "(":
                self.position += 1
                self._skip_brackets()
                after_text = False
            elif self._quoted() is not None:
                if after_text:
                    raise Broken
                after_text = True
            elif found := _WORD.match(self.text, self.position):
                if after_text and found.group()[0] not in "-+*/%|&^~!=<>?":
                    raise Broken  # a letter after a closing quote: the quote closes nothing
                self.position = found.end()
                after_text = False
            else:
                raise Broken

    def _skip_brackets(self) -> None:
        while True:
            self._skip_expression()
            if self.next_mark(",)") == ")":
                return


_NOTHING: Final = object()
_READ: Final[Mapping[str, Callable[[str], object]]] = {
    "null": lambda _: None,
    "true": lambda _: "1",
    "false": lambda _: "0",
    "hex": lambda text: bytes.fromhex("0" * (len(text) % 2) + text).decode(),
    "quoted_hex": lambda text: bytes.fromhex(text).decode(),
    "quoted_bits": lambda text: str(int(text, 2)),
    "bits": lambda text: str(int(text, 2)),
    "number": lambda text: re.sub(r"\s", "", text),
}


def _unistr(text: str) -> str:
    def read(found: re.Match[str]) -> str:
        if found.group(1):
            return "\\"
        return chr(int(next(filter(None, found.groups()[1:])), 16))

    plain = _UNISTR.sub(read, text)
    # Characters beyond the first 65,536 come as two halves.
    return plain.encode("utf-16", "surrogatepass").decode("utf-16")


_FUNCTIONS: Final[Mapping[str, Callable[[list[str]], str]]] = {
    # How SQLite's shell writes line ends: replace('a\nb','\n',char(10)), or unistr('a\u000ab').
    "replace": lambda given: given[0].replace(given[1], given[2]),
    "char": lambda given: "".join(chr(int(code)) for code in given),
    "unistr": lambda given: _unistr(given[0]),
}


def bare_name(text: str) -> str:
    """Return a name without its quotes."""
    return text.strip().strip('`"[]')
