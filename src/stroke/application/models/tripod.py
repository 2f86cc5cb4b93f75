"""The TRIPOD+AI checklist of a model: 27 items, 52 with their parts, each answered or open.

Collins et al. 2024, BMJ 385:e078378, table 2 (CC BY 4.0); what an item asks is in our own, shorter
words. TRIPOD+AI is for the report of a study. An artefact cannot know who was asked, who paid, or
where patients came from: such items stay open, and say who can answer them. A checklist is no
proof that a study was well made.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from stroke.application.models.tripod_methods import analysis, introduction, participants, variables
from stroke.application.models.tripod_parts import Row
from stroke.application.models.tripod_results import discussion, open_science, results
from stroke.domain.risk import ModelDescription

SOURCE: Final = "Collins et al. 2024, BMJ 385:e078378"


class Status(StrEnum):
    """Whether an item is answered as a whole, in part, or not at all."""

    ANSWERED = "answered"
    PARTLY = "partly"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class ChecklistItem:
    """One item, or a part of one, as ``item`` numbers it (``12c``).

    ``applies`` is D (development), E (evaluation) or D;E. ``remains`` says what the answer leaves
    open, and ``whose`` who can say the rest.
    """

    item: str
    section: str
    applies: str
    asks: str
    status: Status
    answer: str | None
    remains: str = ""
    whose: str = ""


def checklist(model: ModelDescription) -> tuple[ChecklistItem, ...]:
    """Return all 52 parts in the checklist's order."""
    return tuple(
        _item(row)
        for row in (
            *introduction(model),
            *participants(model),
            *variables(model),
            *analysis(model),
            *open_science(model),
            *results(model),
            *discussion(model),
        )
    )


def _item(row: Row) -> ChecklistItem:
    item, section, applies, asks, (answer, remains, whose) = row
    if answer is None:
        return ChecklistItem(item, section, applies, asks, Status.OPEN, None, remains, whose)
    if remains:
        return ChecklistItem(item, section, applies, asks, Status.PARTLY, answer, remains, whose)
    return ChecklistItem(item, section, applies, asks, Status.ANSWERED, answer)
