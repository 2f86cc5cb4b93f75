"""Which letters the bytes of a text file are.

The reader recognises UTF-8, UTF-16 with a byte-order mark and Windows-1252 by content that only
one of them can have. Ambiguous text is refused: a name that is read wrongly is worse than none.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import AnyStr, Final

from stroke.domain.errors import InvalidData

_UTF8_BOM: Final = codecs.BOM_UTF8
_MARKS: Final = (  # the longer ones first
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_LETTERS: Final = "A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u00ff"
# What text in Windows-1252 has: accented letters next to plain ones, or a curved apostrophe.
_EVIDENCE: Final = re.compile(
    "[A-Za-z][\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u00ff]"
    "|[\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u00ff][A-Za-z]|[A-Za-z]\u2019[A-Za-z]"
)
# What it has not, and what text of other code pages looks like when it is taken for it.
_GARBAGE: Final = re.compile(
    "[\ufffd\u0080-\u009f]"  # bytes that stand for nothing
    "|[^\x00-\x7f]{3}"  # Cyrillic, Greek, Chinese: letter after letter
    "|[a-z\u00df-\u00f6\u00f8-\u00ff][\u00c0-\u00d6\u00d8-\u00de\u0160\u017d\u0152\u0178](?![A-Z])"
    f"|[{_LETTERS}][\u20ac\u201a\u0192\u201e\u2026\u2020\u2021\u02c6\u2030\u2039\u2018\u201c\u201d"
    f"\u2022\u2013\u2014\u02dc\u2122\u203a\u00a1-\u00ac\u00ae-\u00b6\u00b8-\u00bf\u00d7\u00f7]"
    f"[{_LETTERS}]"  # a symbol within a word
    '|(?:^|[,;\t|"])[\u00c0-\u00ff](?:$|[,;\t|"\r])',  # one letter alone in its cell
    re.MULTILINE,
)
_SAVE: Final = "save it as UTF-8"


@dataclass(frozen=True, slots=True)
class Encoding:
    """How the text is encoded: Python's name of it, the length of its mark, and its usual name.

    ``torn`` says that some bytes are not of this encoding: their rows are to be rejected.
    """

    codec: str
    mark: int = 0
    name: str = "UTF-8"
    torn: bool = False


UTF8: Final = Encoding("utf-8")


def encoding_of(name: str, head: bytes, whole: Iterable[bytes]) -> Encoding:
    """Return the encoding of a text that begins with ``head`` and of which ``whole`` is all.

    ``whole`` is read up to three times. Raises ``InvalidData`` where it could be several.
    """
    for mark, codec in _MARKS:
        if head.startswith(mark):
            if codec == "utf-32":
                raise InvalidData(f"{name} is UTF-32 text: {_SAVE}")
            return Encoding(codec, len(mark), "UTF-16")
    if b"\x00" in head[:4096]:
        is_utf16 = _looks_like_utf16(head[:4096])
        kind = "UTF-16 text without a byte-order mark" if is_utf16 else "no text"
        raise InvalidData(f"{name} is {kind}: {_SAVE}")
    marked = len(_UTF8_BOM) * head.startswith(_UTF8_BOM)
    if _is_utf8(whole):
        return Encoding("utf-8", marked)
    letters, torn = _counts(whole)
    if marked or letters >= torn:  # two bytes of other text may look like a letter, not many do
        return Encoding("utf-8", marked, torn=True)
    if _is_windows_1252(whole):
        return Encoding("cp1252", 0, "Windows-1252")
    raise InvalidData(f"{name} is not UTF-8 text, and not surely text of one other kind: {_SAVE}")


def decoded(name: str, blocks: Iterable[bytes], encoding: Encoding) -> Iterator[str]:
    """Yield the text of ``blocks`` (with their mark); what is torn has lone surrogates."""
    decoder = codecs.getincrementaldecoder(encoding.codec)(
        "surrogateescape" if encoding.codec == "utf-8" else "strict"
    )
    skipped = encoding.mark
    try:
        for block in blocks:
            if text := decoder.decode(block[skipped:]):
                yield text
            skipped = max(skipped - len(block), 0)
        if text := decoder.decode(b"", final=True):
            yield text
    except UnicodeDecodeError as error:
        raise InvalidData(f"{name} is not whole {encoding.name} text: {_SAVE}") from error


def without_end_mark(pieces: Iterator[AnyStr], mark: AnyStr) -> Iterator[AnyStr]:
    """Yield ``pieces`` without the ``mark`` at the end of the last one; elsewhere it is text."""
    held = mark[:0]
    for piece in pieces:
        text = held + piece
        kept = text.rstrip(mark)
        held = text[len(kept) :]
        if kept:
            yield kept


END_MARK: Final = "\x1a"
"""What programs of DOS write behind a text: Ctrl-Z."""


def is_torn(text: str) -> bool:
    """Return whether ``text`` has bytes that are not of its encoding."""
    return not text.isascii() and _TORN.search(text) is not None


_TORN: Final = re.compile("[\udc80-\udcff]")
_ASCII: Final = re.compile("[\x00-\x7f]+")


def _looks_like_utf16(head: bytes) -> bool:
    """Return whether every second byte is mostly zero, and hardly any of the others is."""
    few, many = sorted(head[at::2].count(b"\x00") for at in (0, 1))
    return many > len(head) / 4 and few <= many / 20


def _is_utf8(blocks: Iterable[bytes]) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for block in blocks:
            decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _counts(blocks: Iterable[bytes]) -> tuple[int, int]:
    """Return how many letters beyond ASCII there are, and how many bytes that are not UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    letters, torn, pending = 0, 0, False
    for block in blocks:
        if block.isascii() and not pending:
            continue
        text = decoder.decode(block)
        pending = decoder.getstate()[0] != b""
        found = len(_TORN.findall(text))
        torn += found
        letters += len(text) - sum(map(len, _ASCII.findall(text))) - found
    return letters, torn + len(decoder.decode(b"", final=True))


def _is_windows_1252(blocks: Iterable[bytes]) -> bool:
    evidence, before = False, ""
    for block in blocks:
        if block.isascii():
            before = ""
            continue
        text = before + block.decode("cp1252", "replace")
        if _GARBAGE.search(text):
            return False
        evidence = evidence or _EVIDENCE.search(text) is not None
        before = text[-3:]
    return evidence
