"""What a chart says of a patient: each value with where it came from, and what is to be said."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple


class Source(NamedTuple):
    """A resource that a value came from: its reference, code, and when it was made (aware)."""

    reference: str | None
    code: str | None = None
    moment: datetime | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """One of the model's features as the chart has it; ``how`` says how it was read, in words."""

    feature: str
    value: float | int | str
    how: str
    sources: tuple[Source, ...] = ()


class Note(NamedTuple):
    """Something that a reader of the assessment has to know, about one feature.

    The text says what happened in words; it quotes no value of the record but a date.
    """

    feature: str
    text: str


@dataclass(slots=True)
class Findings:
    """Collects what is found while a chart is read."""

    most_notes: int
    values: dict[str, Found] = field(default_factory=dict)
    unmapped: dict[str, int] = field(default_factory=dict)
    _notes: dict[str, dict[str, None]] = field(default_factory=dict)
    _left_out: dict[str, int] = field(default_factory=dict)

    def found(self, found: Found) -> None:
        """Keep a value."""
        self.values[found.feature] = found

    def note(self, feature: str, text: str) -> None:
        """Keep something to be said, once. What is above ``most_notes`` is only counted."""
        texts = self._notes.setdefault(feature, {})
        if text in texts or len(texts) < self.most_notes:
            texts[text] = None
        else:
            self._left_out[feature] = self._left_out.get(feature, 0) + 1

    @property
    def said(self) -> tuple[Note, ...]:
        """What is to be said, by feature; behind each, how much was left out."""
        notes: list[Note] = []
        for feature, texts in self._notes.items():
            notes += [Note(feature, text) for text in texts]
            if left_out := self._left_out.get(feature):
                words = feature.replace("_", " ")
                notes.append(Note(feature, f"further remarks on {words} were left out: {left_out}"))
        return tuple(notes)

    def count_unmapped(self, system: str) -> None:
        """Count a resource of whose codes the book has none, by the system of its first code."""
        self.unmapped[system] = self.unmapped.get(system, 0) + 1
