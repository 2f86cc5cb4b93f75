"""What an examination of a running stack finds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How one check ended."""

    OK = "ok"
    FAILED = "failed"
    NOT_CHECKED = "not checked"
    NOT_CONFIGURED = "not configured"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's end. ``remedy`` is a command or a page; only a failure has one.

    ``detail`` never quotes a patient's value.
    """

    check: str
    state: State
    detail: str
    remedy: str = ""


def is_well(findings: Iterable[Finding]) -> bool:
    """Return whether nothing failed, and nothing was left out because something else failed."""
    return all(one.state in {State.OK, State.NOT_CONFIGURED} for one in findings)
