"""Which of several media types a caller wants (RFC 9110, section 12.5.1)."""

from __future__ import annotations

from collections.abc import Sequence


def preferred(accept: str | None, offered: Sequence[str]) -> str:
    """Return the type of ``offered`` that ``accept`` wants most: the first one in doubt.

    A range without a readable ``q`` counts in full. Where none is wanted, it is the first one,
    too: such a caller gets an answer rather than a refusal.
    """
    if not accept:
        return offered[0]
    ranges = [_range(each) for each in accept.split(",")]
    wishes = [_wish(media_type, ranges) for media_type in offered]
    return offered[wishes.index(max(wishes))]


def wants_any(accept: str | None, offered: Sequence[str]) -> bool:
    """Return whether ``accept`` takes one of ``offered``. Without it, everything is taken."""
    if not accept or not accept.strip():
        return True
    ranges = [_range(each) for each in accept.split(",")]
    return any(_wish(media_type, ranges) > 0 for media_type in offered)


def _range(text: str) -> tuple[str, float]:
    name, *parameters = (part.strip().lower() for part in text.split(";"))
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip() == "q":
            return name, _share(value)
    return name, 1.0


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return 1.0
    return value if 0 <= value <= 1 else 1.0  # nan, too, is no share


def _wish(media_type: str, ranges: Sequence[tuple[str, float]]) -> float:
    """Return the ``q`` of the most specific range that ``media_type`` falls into."""
    for pattern in (media_type, media_type.partition("/")[0] + "/*", "*/*"):
        found = [q for name, q in ranges if name == pattern]
        if found:
            return max(found)
    return 0.0
