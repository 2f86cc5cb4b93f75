"""Which models are served after each change."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from stroke.domain.deployment import (
    LONGEST_REASON,
    MOST_FORMER,
    Change,
    Deployment,
    DeploymentAction,
    checked_reason,
)
from stroke.domain.errors import DeploymentRefused

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)
BY = Change(NOON, "key:1", "why")
LATER = Change(NOON + timedelta(hours=1), "key:2", None)
BASE = Deployment.of_setting("a")


def test_the_setting_is_served_while_nothing_was_changed() -> None:
    assert (BASE.number, BASE.champion.version, BASE.versions) == (0, "a", ("a",))
    assert (BASE.champion.since, BASE.champion.by, BASE.at) == (None, None, None)


def test_a_promotion_says_since_when_by_whom_and_why() -> None:
    made = BASE.begun(BY).promoted("b", LATER)

    assert (made.number, made.action, made.model) == (2, DeploymentAction.PROMOTE, "b")
    assert (made.champion.version, made.champion.since, made.champion.by) == (
        "b",
        LATER.at,
        "key:2",
    )
    assert made.former == ("a",)


def test_rollbacks_go_back_one_by_one_and_not_to_and_fro() -> None:
    third = BASE.begun(BY).promoted("b", BY).promoted("c", BY)

    second = third.rolled_back(LATER)
    first = second.rolled_back(LATER)

    assert [each.champion.version for each in (third, second, first)] == ["c", "b", "a"]
    assert first.champion.since == LATER.at
    with pytest.raises(DeploymentRefused, match="no champion before"):
        first.rolled_back(LATER)


def test_only_the_last_champions_are_remembered() -> None:
    deployment = BASE.begun(BY)
    for number in range(2 * MOST_FORMER):
        deployment = deployment.promoted(f"b{number}", BY)

    assert len(deployment.former) == MOST_FORMER
    assert deployment.rolled_back(BY).champion.version == f"b{2 * MOST_FORMER - 2}"


def test_a_canary_may_change_its_share_and_keeps_its_time() -> None:
    begun = BASE.begun(BY).with_canary("b", 0.1, BY)
    more = begun.with_canary("b", 0.5, LATER)

    assert more.challenger is not None
    assert (more.challenger.share, more.challenger.since) == (0.5, NOON)
    assert more.champion == begun.champion


@pytest.mark.parametrize("change", ["promote", "roll back"])
def test_a_canary_ends_with_its_champion(change: str) -> None:
    canary = BASE.begun(BY).promoted("b", BY).with_canary("c", 0.1, BY)
    after = canary.promoted("c", BY) if change == "promote" else canary.rolled_back(BY)

    assert after.challenger is None
    assert after.champion.version == ("c" if change == "promote" else "a")


def test_a_shadow_that_answers_is_a_shadow_no_more_and_others_go_on() -> None:
    shadows = BASE.begun(BY).with_shadow("b", BY, most=2).with_shadow("c", BY, most=2)

    assert [each.version for each in shadows.promoted("b", BY).shadows] == ["c"]
    assert [each.version for each in shadows.with_canary("c", 0.1, BY).shadows] == ["b"]
    assert [each.version for each in shadows.without_shadow("b", BY).shadows] == ["c"]


CANARY = BASE.begun(BY).with_canary("b", 0.1, BY)
SHADOW = BASE.begun(BY).with_shadow("s", BY, most=1)
REFUSED: dict[str, Callable[[], Deployment]] = {
    "a is the champion already": lambda: BASE.promoted("a", BY),
    "cannot be its own canary": lambda: BASE.with_canary("a", 0.1, BY),
    "b is the canary: stop it first": lambda: CANARY.with_canary("c", 0.1, BY),
    "with this share already": lambda: CANARY.with_canary("b", 0.1, BY),
    "there is no canary": lambda: BASE.without_canary(BY),
    "b is deployed already": lambda: CANARY.with_shadow("b", BY, most=9),
    "s is deployed already": lambda: SHADOW.with_shadow("s", BY, most=9),
    "no more are allowed": lambda: SHADOW.with_shadow("t", BY, most=1),
    "t is no shadow": lambda: SHADOW.without_shadow("t", BY),
}


@pytest.mark.parametrize("why", REFUSED)
def test_what_cannot_be_is_refused_in_words(why: str) -> None:
    with pytest.raises(DeploymentRefused, match=why):
        REFUSED[why]()


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.5, float("nan")])
def test_a_share_is_a_part(share: float) -> None:
    with pytest.raises(DeploymentRefused, match="above 0 and below 1"):
        BASE.with_canary("b", share, BY)


def test_a_reason_is_one_line() -> None:
    assert checked_reason("  it is better ") == "it is better"
    assert checked_reason("  ") is checked_reason(None) is None
    for wrong in ("a\nb", "x" * (LONGEST_REASON + 1), "a\x1b[0m"):
        with pytest.raises(DeploymentRefused, match="one line"):
            checked_reason(wrong)
