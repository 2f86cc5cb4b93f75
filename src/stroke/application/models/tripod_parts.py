"""How an item of the TRIPOD+AI checklist is answered: as a whole, in part, or by whom it can be."""

from __future__ import annotations

from typing import Final

from stroke.application.models import answers
from stroke.domain.risk import ModelDescription

DEVELOPER: Final = "whoever trained the model"
REPORTER: Final = "whoever reports a study of the model"
USER: Final = "whoever uses the model"

Answered = tuple[str | None, str, str]
"""An answer, what it leaves open, and who can say the rest."""

Row = tuple[str, str, str, str, Answered]
"""The item, its section, where it applies, what it asks, and the answer."""


def whole(answer: str | None, whose: str = DEVELOPER) -> Answered:
    """Return a whole answer; ``whose`` counts where there is none."""
    return answer, "", whose


def part(answer: str | None, remains: str, whose: str = DEVELOPER) -> Answered:
    """Return an answer that leaves something open."""
    return answer, remains, whose


def unanswered(whose: str = DEVELOPER) -> Answered:
    """Return that an artefact cannot know it."""
    return None, "", whose


def of_training(model: ModelDescription, answer: str) -> str | None:
    """Return what is true of every model that `stroke model train` makes."""
    return answer if answers.trained_here(model) else None
