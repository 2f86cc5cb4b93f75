"""What commands against a platform write into its audit trail."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from components.stack import PipelineStack

Written = list[tuple[str, str | None, str]]


@contextmanager
def written_by_commands(stack: PipelineStack, *values: str) -> Iterator[Written]:
    """Give a list that holds, once the block has ended, what commands wrote in it.

    It has action, target and outcome of each entry, the oldest first. Fails when one of ``values``,
    which are a patient's, is anywhere in these entries.
    """
    before = {entry["number"] for entry in _newest(stack)}
    written: Written = []
    yield written
    entries = [entry for entry in reversed(_newest(stack)) if entry["number"] not in before]
    text = json.dumps(entries, ensure_ascii=False)
    assert not [place for place, value in enumerate(values) if value in text], "a patient's value"
    written += [
        (entry["action"], entry["target"], entry["outcome"])
        for entry in entries
        if entry["actor"].startswith("user:")
    ]


def _newest(stack: PipelineStack) -> list[dict[str, Any]]:
    done = stack.stroke("audit", "list", "--limit", "1000", "--json")
    assert done.returncode == 0, done.stderr
    entries: list[dict[str, Any]] = json.loads(done.stdout)["entries"]
    return entries
