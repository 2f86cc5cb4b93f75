"""A page of Markdown as a list of commands, with the output that it shows for them.

Every ```sh block is run, in order, unless ``<!-- not run: reason -->`` stands before it. The next
block, when it is ```json or ```text, shows the output.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

_FENCE = re.compile(
    r"(?:^<!-- not run:(?P<reason>[^\n]*?)-->\s*?\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*(?:e-?\d+)?")
_ENDLESS = re.compile(r"^(\./run\.sh|\.venv/bin/stroke serve|stroke serve)\b", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Command:
    """One block of commands. ``line`` is where the page has it."""

    text: str
    line: int
    not_run: str | None  # the reason
    shown: str | None  # output
    shown_as: str | None  # json or text

    @property
    def serves(self) -> bool:
        """Whether it runs until it is stopped."""
        return _ENDLESS.search(self.text) is not None


def commands(page: str) -> list[Command]:
    """Return the ```sh blocks of ``page``."""
    fences = list(_FENCE.finditer(page))
    found = []
    for fence, following in zip_longest(fences, fences[1:]):
        if fence["language"] != "sh":
            continue
        shows = following is not None and following["language"] in {"json", "text"}
        found.append(
            Command(
                text=fence["text"],
                line=page.count("\n", 0, fence.start("text")),
                not_run=None if fence["reason"] is None else fence["reason"].strip(),
                shown=following["text"] if following and shows else None,
                shown_as=following["language"] if following and shows else None,
            )
        )
    return found


def disagreement(command: Command, output: str) -> str | None:
    """Return how ``output`` differs in kind from what is shown, or None.

    JSON must have the same keys and types; text the same lines, in order, in which numbers may
    differ and ``...`` stands for anything.
    """
    if command.shown is None:
        return None
    if command.shown_as == "json":
        return _shapes_differ(json.loads(command.shown), json.loads(output), "$")
    lines = iter(output.splitlines())
    for line in filter(str.strip, command.shown.splitlines()):
        if not any(_pattern(line).fullmatch(_blank(candidate)) for candidate in lines):
            return f"no line like {line.strip()!r}"
    return None


def _shapes_differ(shown: Any, given: Any, where: str) -> str | None:
    if isinstance(shown, int | float) and isinstance(given, int | float):
        return None
    if type(shown) is not type(given):
        return f"{where} is a {type(given).__name__}, not a {type(shown).__name__}"
    if isinstance(shown, dict):
        if shown.keys() != given.keys():
            return f"{where} differs in {sorted(shown.keys() ^ given.keys())}"
        pairs = [(shown[key], given[key], f"{where}.{key}") for key in shown]
    elif isinstance(shown, list) and shown:
        if not given:
            return f"{where} is empty"
        pairs = [(shown[0], given[0], f"{where}[0]")]
    else:
        return None
    return next(filter(None, (_shapes_differ(*pair) for pair in pairs)), None)


def _blank(line: str) -> str:
    return " ".join(_NUMBER.sub("#", line).split())


def _pattern(line: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in _blank(line).split("...")))
