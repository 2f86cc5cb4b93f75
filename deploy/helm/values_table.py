"""Prints the table of values in deploy/helm/stroke/README.md from the comments of values.yaml.

    .venv/bin/python deploy/helm/values_table.py

A comment that begins with `# --` tells of the value that follows it.
"""  # noqa: INP001

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

_VALUES = Path(__file__).parent / "stroke" / "values.yaml"
_KEY = re.compile(r"( *)([\w.-]+):")


def described(lines: list[str]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield the path of each value that has a description, with it."""
    path: tuple[str, ...] = ()
    words: list[str] = []
    for line in lines:
        comment = line.strip().removeprefix("#").strip() if line.strip().startswith("#") else None
        if comment is not None and comment.startswith("-- "):
            words = [comment[3:]]
        elif comment is not None and words:
            words.append(comment)
        elif key := _KEY.match(line):
            path = (*path[: len(key[1]) // 2], key[2])
            if words:
                yield path, " ".join(words)
            words = []


def _default(values: Any, path: tuple[str, ...]) -> str:
    for part in path:
        values = values[part]
    return json.dumps(values)


def main() -> None:
    text = _VALUES.read_text(encoding="utf-8")
    values = yaml.safe_load(text)
    rows = ["| value | default | what it is |", "|---|---|---|"]
    for path, what in described(text.splitlines()):
        rows.append(f"| `{'.'.join(path)}` | `{_default(values, path)}` | {what} |")
    sys.stdout.write("\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
