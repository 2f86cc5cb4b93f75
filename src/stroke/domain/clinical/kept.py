"""An assessment of a chart as it is kept: whose it is, and what became of its card."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal, NamedTuple


@dataclass(frozen=True, slots=True)
class KeptAssessment:
    """What is kept of an assessed chart, beside its prediction.

    ``id`` is that of the RiskAssessment and of its card. ``subject`` is the patient's id on
    ``server``; ``basis`` are references to what values came from; ``notes`` were said with it.
    ``shown`` says whether a card was shown. ``made_at`` is aware.
    """

    id: str
    prediction_id: int
    subject: str = field(repr=False)
    server: str | None
    hook_instance: str | None
    basis: tuple[str, ...] = field(repr=False)
    notes: tuple[str, ...] = field(repr=False)
    shown: bool
    model_version: str
    site: str | None
    made_at: datetime


Verdict = Literal["accepted", "overridden"]


@dataclass(frozen=True, slots=True)
class Feedback:
    """What a clinician did with a card. ``at`` is aware; ``comment`` is free text of theirs."""

    assessment_id: str
    verdict: Verdict
    reason: str | None
    comment: str | None = field(repr=False)
    at: datetime


def latest_by_card(feedback: Iterable[Feedback]) -> dict[str, Feedback]:
    """Return the latest feedback on each card; of two at the same time, the one behind."""
    latest: dict[str, Feedback] = {}
    for each in feedback:
        former = latest.get(each.assessment_id)
        if former is None or former.at <= each.at:
            latest[each.assessment_id] = each
    return latest


@dataclass(frozen=True, slots=True)
class AssessmentFilter:
    """What a search is narrowed to; None narrows nothing. ``until`` is not included.

    Those made within one of the ``outside`` spans, each until before its end, do not count.
    """

    subject: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    site: str | None = None
    ids: frozenset[str] | None = None
    outside: tuple[tuple[datetime, datetime], ...] = ()


class CardTally(NamedTuple):
    """How often cards of a model were shown, and came to an end; ``reason`` of overridden ones."""

    model_version: str
    verdict: Literal["accepted", "overridden", "ignored"]
    reason: str | None
    cards: int


@dataclass(frozen=True, slots=True)
class CardUse:
    """What became of the cards that one model's assessments showed.

    ``ignored`` ones got no feedback so far. ``reasons`` counts why cards were overridden; one
    without a reason counts as ``none``.
    """

    model_version: str
    accepted: int
    overridden: int
    ignored: int
    reasons: Mapping[str, int]

    @property
    def shown(self) -> int:
        """How many cards there were."""
        return self.accepted + self.overridden + self.ignored


NO_REASON: Final = "none"


def card_uses(tallies: Iterable[CardTally]) -> list[CardUse]:
    """Return what became of the cards of each model, by its version."""
    cards: dict[str, Counter[str]] = {}
    reasons: dict[str, Counter[str]] = {}
    for each in tallies:
        cards.setdefault(each.model_version, Counter())[each.verdict] += each.cards
        if each.verdict == "overridden":
            found = reasons.setdefault(each.model_version, Counter())
            found[each.reason or NO_REASON] += each.cards
    return [
        CardUse(
            version,
            counts["accepted"],
            counts["overridden"],
            counts["ignored"],
            dict(reasons.get(version, Counter()).most_common()),
        )
        for version, counts in sorted(cards.items())
    ]
