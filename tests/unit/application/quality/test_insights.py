from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from builders.predictions import NOON, prediction
from fakes.predictions import FakePredictionRepository, FakeRiskModel
from stroke.application.quality.insights import Insights, InsightsService
from stroke.domain.prediction import Origin, Prediction, PredictionFilter

pytestmark = pytest.mark.anyio


async def insights(
    made: Sequence[Prediction], most: int = 1_000, within: PredictionFilter | None = None
) -> Insights:
    repository = FakePredictionRepository()
    await repository.add(made)
    described = FakeRiskModel().description
    service = InsightsService(repository=repository, served=lambda: described, most=most)
    return await service.report(within or PredictionFilter())


class Noting(dict[str, Any]):
    """Histograms that note which threads go through them."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: set[int] = set()

    def items(self) -> Any:
        self.threads.add(threading.get_ident())
        return super().items()


async def test_counting_does_not_hold_up_the_event_loop() -> None:
    noting = Noting()
    served = replace(FakeRiskModel().description, histograms=noting)
    service = InsightsService(repository=FakePredictionRepository(), served=lambda: served, most=9)

    await service.report(PredictionFilter())

    assert noting.threads
    assert threading.get_ident() not in noting.threads


async def test_nothing_is_counted_of_nothing() -> None:
    found = await insights([])
    assert (found.size, found.made, found.high, found.ages) == (0, None, None, [])


async def test_estimates_are_counted_by_day_band_and_height() -> None:
    made = [prediction(0.01), prediction(0.06), prediction(0.9, made_at=NOON + timedelta(days=2))]
    found = await insights(made)
    assert list(found.by_day.values()) == [1, 2]
    assert found.bands == {"Low": 1, "Medium": 1, "High": 1}
    # 0.06 stands at a cut: it belongs to "6 to 8".
    assert (found.distribution[0], found.distribution[3], found.distribution[-1]) == (1, 1, 1)
    assert sum(found.distribution) == found.size == 3


async def test_a_small_group_shows_nothing_but_its_size() -> None:
    made = [prediction(0.5, age=80.0) for _ in range(9)] + [prediction(0.5) for _ in range(10)]
    middle, old = (await insights(made)).ages
    assert (old.label, old.size, old.bands, old.high) == ("75 and older", 9, {}, None)
    assert (middle.label, middle.size, middle.bands["High"]) == ("40 to 54", 10, 10)
    assert middle.high is not None
    assert middle.high.low < 1 == middle.high.value


@pytest.mark.parametrize(
    ("age", "label"),
    [
        (0.0, "0 to 39"),
        (39.9, "0 to 39"),
        (40.0, "40 to 54"),
        (74.9, "65 to 74"),
        (75.0, "75 and older"),
    ],
)
async def test_each_age_is_in_one_band(age: float, label: str) -> None:
    assert [each.label for each in (await insights([prediction(age=age)])).ages] == [label]


async def test_only_the_newest_are_counted_and_it_says_so() -> None:
    made = [prediction(0.01) for _ in range(1_500)] + [prediction(0.9) for _ in range(500)]
    found = await insights(made, most=500)
    assert found.is_part
    assert found.bands["High"] == found.size == 500
    assert not (await insights(made, most=2_000)).is_part


async def test_another_sites_estimates_are_not_counted() -> None:
    made = [prediction(origin=Origin("north")), prediction(origin=Origin("south"))]
    assert (await insights(made, within=PredictionFilter(site="north"))).size == 1


async def test_provinces_are_in_the_order_of_their_size() -> None:
    made = [prediction(province="Bern"), *(prediction(province="Uri") for _ in range(2))]
    assert [(each.label, each.size) for each in (await insights(made)).provinces] == [
        ("Uri", 2),
        ("Bern", 1),
    ]
