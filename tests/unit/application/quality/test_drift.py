from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from builders.predictions import NOON, prediction
from fakes.predictions import FakePredictionRepository, FakeRiskModel
from stroke.application.quality.drift import DriftService, beyond
from stroke.domain.drift import ReferenceHistogram
from stroke.domain.errors import InvalidModel
from stroke.domain.prediction import PredictionFilter

pytestmark = pytest.mark.anyio

SERVED = replace(
    FakeRiskModel().description,
    version="test-1",
    histograms={"age": ReferenceHistogram((0.5, 0.5), cuts=(50.0,))},
)


async def service(**of: float) -> DriftService:
    repository = FakePredictionRepository()
    await repository.add([prediction(age=20.0 + n % 60) for n in range(int(of.get("count", 0)))])
    await repository.add([prediction(age=90.0, model_version="other")] * 5)
    later = NOON + timedelta(days=1)
    await repository.add([prediction(age=90.0, made_at=later)] * int(of.get("old", 0)))
    return DriftService(repository=repository, served=SERVED)


async def test_every_page_is_read_and_only_of_the_served_model() -> None:
    seen: list[int] = []
    found = await (await service(count=2400)).report(PredictionFilter(), on_progress=seen.append)

    assert (found.model_version, found.predictions, seen[-1]) == ("test-1", 2400, 2400)
    [age] = found.drifts
    assert age.observed.counts == [1200, 1200]
    assert age.psi == pytest.approx(0)
    assert beyond(found, threshold=0.1, minimum=1) == []


async def test_what_has_shifted_is_named_within_the_time_that_is_asked_for() -> None:
    shifted = await service(count=60, old=60)
    today = await shifted.report(PredictionFilter(since=NOON + timedelta(hours=1)))
    before = await shifted.report(PredictionFilter(until=NOON + timedelta(hours=1)))

    assert beyond(today, threshold=0.25, minimum=60) == ["age"]
    assert beyond(today, threshold=0.25, minimum=61) == []
    assert beyond(before, threshold=0.25, minimum=1) == []


async def test_a_model_without_histograms_says_what_to_do() -> None:
    bare = DriftService(repository=FakePredictionRepository(), served=FakeRiskModel().description)
    with pytest.raises(InvalidModel, match="train it again"):
        await bare.report(PredictionFilter())
