"""What became of cards, by model."""

from __future__ import annotations

from datetime import timedelta

from builders.assessments import NOON, feedback
from stroke.domain.clinical.kept import CardTally, card_uses, latest_by_card


def test_cards_are_counted_by_model_and_reason() -> None:
    first, second = card_uses(
        [
            CardTally("m-2", "ignored", None, 5),
            CardTally("m-1", "accepted", None, 3),
            CardTally("m-1", "overridden", "known", 1),
            CardTally("m-1", "overridden", "wrong-data", 4),
            CardTally("m-1", "overridden", None, 2),
        ]
    )

    assert (first.model_version, first.shown) == ("m-1", 10)
    assert (first.accepted, first.overridden, first.ignored) == (3, 7, 0)
    assert list(first.reasons.items()) == [("wrong-data", 4), ("none", 2), ("known", 1)]
    assert (second.model_version, second.shown, second.ignored) == ("m-2", 5, 5)
    assert second.reasons == {}


def test_without_cards_there_is_nothing_to_say() -> None:
    assert card_uses([]) == []


def test_of_several_reports_on_a_card_the_latest_counts_wherever_it_stands() -> None:
    late = feedback(1, verdict="accepted", reason=None, at=NOON + timedelta(hours=1))
    early, other = feedback(1), feedback(2)

    for listed in ([late, early, other], [early, other, late]):
        found = latest_by_card(listed)
        assert found == {late.assessment_id: late, other.assessment_id: other}
    again = feedback(1, reason="not-relevant")
    assert latest_by_card([early, again]) == {early.assessment_id: again}
