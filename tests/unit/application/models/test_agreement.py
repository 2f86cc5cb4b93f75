"""How far a shadow agrees, from what is stored of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.predictions import NOON, prediction
from fakes.models import FakeShadowScores
from fakes.predictions import FakePredictionRepository
from stroke.application.models.agreement import NO_RISK, Agreement, AgreementService
from stroke.domain.agreement import AgreementGroup, AgreementReport
from stroke.domain.prediction import Origin, PredictionFilter
from stroke.domain.replay import CATEGORIES
from stroke.domain.risk import RiskBands
from stroke.domain.shadow import ShadowPair, ShadowScore

BANDS = RiskBands(0.02, 0.2)


def pair(answered: float, shadow: float, number: int = 1, /, **changes: Any) -> ShadowPair:
    whole = ShadowPair(
        number,
        "champion-1",
        answered,
        BANDS.categorise(answered).value,
        shadow,
        BANDS.categorise(shadow).value,
        None,
        "Female",
        60.0,
        "smokes",
    )
    return whole._replace(**changes)


def report(*pairs: ShadowPair, least: int = 1) -> AgreementReport:
    agreement = Agreement("shadow-1", least=least)
    for at in range(0, len(pairs), 3):
        agreement.take(pairs[at : at + 3])
    return agreement.report()


def group(found: AgreementReport, name: str, level: str) -> AgreementGroup:
    [one] = [each for each in found.groups if (each.group, each.level) == (name, level)]
    return one


def test_a_shadow_that_says_the_same_agrees_wholly() -> None:
    whole = report(*[pair(p / 100, p / 100) for p in range(1, 60)]).groups[0]

    assert (whole.group, whole.level, whole.compared) == ("all", "all", 59)
    assert whole.mean == (0, 0, 0)
    assert whole.standard_deviation == whole.largest == 0
    assert set(whole.quantiles.values()) == {0}
    assert whole.changed is not None
    assert whole.changed.value == whole.changed.low == 0 < whole.changed.high


def test_mean_and_shares_have_their_intervals() -> None:
    # 30 of 100 rise from Low to Medium by 0.02, 10 fall from High to Medium by 0.15.
    pairs = [pair(0.01, 0.03)] * 30 + [pair(0.3, 0.15)] * 10 + [pair(0.5, 0.5)] * 60
    whole = report(*pairs).groups[0]

    gaps = np.array([0.02] * 30 + [-0.15] * 10 + [0.0] * 60)
    width = 1.959963984540054 * gaps.std() / 10
    assert whole.mean is not None
    assert whole.mean == pytest.approx((gaps.mean(), gaps.mean() - width, gaps.mean() + width))
    assert whole.standard_deviation == pytest.approx(gaps.std())
    assert whole.largest == pytest.approx(0.15)
    assert whole.table == [[0, 30, 0], [0, 0, 0], [0, 10, 60]]
    # Wilson's interval of 30 of 100: 0.2189 to 0.3958 (Newcombe 1998).
    assert whole.up is not None
    assert whole.up == pytest.approx((0.3, 0.2189, 0.3958), abs=5e-5)
    assert whole.down is not None
    assert whole.down.value == 0.1
    assert whole.changed is not None
    assert whole.changed.value == 0.4


probabilities = st.floats(0, 1)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(probabilities, probabilities), min_size=1, max_size=60))
def test_sums_are_those_of_all_pairs_at_once(said: list[tuple[float, float]]) -> None:
    found = report(*[pair(*each) for each in said])
    whole = found.groups[0]
    gaps = np.array([shadow - answered for answered, shadow in said])

    assert found.predictions == whole.compared == len(said)
    assert whole.mean is not None
    assert whole.mean.value == pytest.approx(gaps.mean(), abs=1e-12)
    assert whole.largest == pytest.approx(np.abs(gaps).max())
    for name, share in (("p25", 0.25), ("p50", 0.5), ("p99", 0.99)):
        exact = np.quantile(gaps, share, method="inverted_cdf")
        assert whole.quantiles[name] == pytest.approx(exact, abs=0.00011)
    assert sum(map(sum, whole.table)) == len(said)
    of_gender = group(found, "gender", "Female")
    assert (of_gender.mean, of_gender.table) == (whole.mean, whole.table)


def test_groups_are_told_apart_in_their_order() -> None:
    found = report(
        pair(0.1, 0.2),
        pair(0.1, 0.1, gender="Male", age=20.0),
        pair(0.1, 0.1, gender="Other", age=80.0, smoking_status="Unknown"),
        pair(0.1, 0.1, gender=None, age=None, smoking_status=None),
    )

    assert [(each.group, each.level, each.compared) for each in found.groups] == [
        ("all", "all", 4),
        ("gender", "Female", 1),
        ("gender", "Male", 1),
        ("gender", "Other", 1),
        ("gender", "unknown", 1),
        ("age_group", "Young adult", 1),
        ("age_group", "Middle-aged", 1),
        ("age_group", "Very old", 1),
        ("age_group", "unknown", 1),
        ("smoking_status", "Unknown", 1),
        ("smoking_status", "smokes", 2),
        ("smoking_status", "unknown", 1),
    ]


def test_a_group_that_is_too_small_says_only_its_size() -> None:
    pairs = [pair(0.1, 0.2)] * 20 + [pair(0.1, 0.9, gender="Other")]
    found = report(*pairs, least=20)

    assert group(found, "gender", "Other") == AgreementGroup("gender", "Other", 1)
    assert group(found, "gender", "Female").mean is not None
    assert report(least=20).groups == [AgreementGroup("all", "all", 0)]


def test_what_cannot_be_compared_is_counted_by_its_reason() -> None:
    found = report(
        pair(0.1, 0.2),
        pair(0.1, 0.2, shadow=None, shadow_category=None, why_not="lacking"),
        pair(0.1, 0.2, shadow=None, shadow_category=None, why_not="failed"),
        pair(0.1, 0.2, answered=None),
        pair(0.1, 0.2, answered_category="Extreme"),
        pair(0.1, 0.2, answered_by=None),
    )

    assert found.predictions == 6
    assert found.not_comparable == {"failed": 1, "lacking": 1, NO_RISK: 2}
    assert found.answered_by == {"champion-1": 1, "unknown": 1}
    assert found.groups[0].compared == 2


@pytest.fixture
def stored() -> FakeShadowScores:
    predictions = FakePredictionRepository()
    scores = FakeShadowScores(predictions)

    async def fill() -> None:
        made = [
            prediction(0.1, origin=Origin(site="north-1" if n % 2 else "south-1"))
            for n in range(2_500)
        ]
        ids = await predictions.add(made)
        await scores.add([ShadowScore(n, "shadow-1", NOON, n / 2_500, CATEGORIES[1]) for n in ids])

    asyncio.run(fill())
    return scores


def asked(scores: FakeShadowScores, most: int | None = None) -> Iterator[AgreementReport]:
    service = AgreementService(scores, least=20)
    for within in (PredictionFilter(), PredictionFilter(site="north-1")):
        yield asyncio.run(service.report("shadow-1", within, most=most))


def test_all_pages_are_read_and_narrowed(stored: FakeShadowScores) -> None:
    everybody, north = asked(stored)

    assert (everybody.predictions, everybody.is_part) == (2_500, False)
    assert (north.predictions, north.is_part) == (1_250, False)
    assert asyncio.run(AgreementService(stored, least=20).versions()) == ["shadow-1"]


@pytest.mark.parametrize("most", [1_000, 1_700, 2_499])
def test_no_more_than_the_newest_are_read_where_that_is_asked_for(
    stored: FakeShadowScores, most: int
) -> None:
    everybody, _ = asked(stored, most=most)

    assert (everybody.predictions, everybody.is_part) == (most, True)
    # The newest have the highest ids, and so the highest risks.
    newest = np.arange(2_500 - most + 1, 2_501) / 2_500 - 0.1
    assert everybody.groups[0].mean is not None
    assert everybody.groups[0].mean.value == pytest.approx(newest.mean())


def test_as_many_as_are_asked_for_are_no_part(stored: FakeShadowScores) -> None:
    everybody, _ = asked(stored, most=2_500)
    assert (everybody.predictions, everybody.is_part) == (2_500, False)


def test_a_report_is_plain_json() -> None:
    found = report(pair(0.1, 0.2), least=2).as_dict()
    assert found["groups"][0]["mean"] is None
    whole = report(pair(0.1, 0.25)).as_dict()["groups"][0]
    assert whole["mean"] == {"value": 0.15, "low": 0.15, "high": 0.15}
    assert set(whole["changed"]) == {"value", "low", "high"}
