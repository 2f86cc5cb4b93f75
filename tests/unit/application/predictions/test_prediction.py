from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from builders.patients import PATIENTS
from builders.predictions import NOON, patient
from fakes.predictions import (
    ACCURACY,
    FakePredictionObserver,
    FakePredictionRepository,
    FakeRiskModel,
)
from stroke.application.predictions.deployed import Serving
from stroke.application.predictions.prediction import PredictionService
from stroke.domain.errors import (
    IdempotencyKeyReused,
    InvalidPatient,
    PredictionNotFound,
    PredictionNotReplayable,
    PredictionRejected,
    ServiceOverloaded,
    StoreUnavailable,
)
from stroke.domain.patient import OPTIONAL, Patient
from stroke.domain.prediction import PredictionFilter

pytestmark = pytest.mark.anyio

KEY_LIFETIME = timedelta(hours=24)


class Parts:
    def __init__(self, may_be_missing: tuple[str, ...] = ()) -> None:
        self.now = NOON
        self.model = FakeRiskModel(may_be_missing)
        self.repository = FakePredictionRepository()
        self.observer = FakePredictionObserver()
        self.service = PredictionService(
            serving=Serving(self.model),
            repository=self.repository,
            observer=self.observer,
            now=lambda: self.now,
            queue_capacity=4,
            commit_size=100,
            key_lifetime=KEY_LIFETIME,
        )


@pytest.fixture
async def parts() -> Parts:
    return Parts()


async def test_an_answer_names_a_row_that_holds_the_same_values(parts: Parts) -> None:
    answer = await parts.service.predict(patient(age=80.0, name="A"))
    row = parts.repository.rows[answer.id]
    assert row.name == "A"
    assert row.timestamp == NOON
    assert row.probability == answer.assessment.probability
    assert row.risk_category == answer.assessment.category
    assert row.contributing_factors == answer.assessment.factors
    assert row.model_version == answer.model_version == "fake-1"


async def test_the_patients_name_is_stored_in_one_column_only(parts: Parts) -> None:
    answer = await parts.service.predict(patient(name="Canary"))
    row = parts.repository.rows[answer.id]
    assert "Canary" not in str(row.prediction_data)
    assert row.prediction_data["age_group"] == "Young adult"


async def test_concurrent_patients_share_one_graph_run_and_one_commit(parts: Parts) -> None:
    answers = await asyncio.gather(
        *(parts.service.predict(patient(age=float(age))) for age in (20, 50, 80))
    )
    assert parts.model.runs == [3]
    assert parts.repository.commits == [3]
    assert parts.observer.seen == [3]
    probabilities = [answer.assessment.probability for answer in answers]
    assert probabilities == sorted(probabilities)
    for age, answer in zip((20, 50, 80), answers, strict=True):
        assert parts.repository.rows[answer.id].age == age


async def test_a_row_that_the_store_refuses_fails_alone(parts: Parts) -> None:
    parts.repository.refused["bad"] = PredictionRejected("refused")
    good, bad = await asyncio.gather(
        parts.service.predict(patient(name="good")),
        parts.service.predict(patient(name="bad")),
        return_exceptions=True,
    )
    assert isinstance(bad, PredictionRejected)
    assert not isinstance(good, BaseException)
    assert [row.name for row in parts.repository.rows.values()] == ["good"]


async def test_nothing_is_observed_of_a_commit_that_failed(parts: Parts) -> None:
    parts.repository.failing = StoreUnavailable("away")
    with pytest.raises(StoreUnavailable):
        await parts.service.predict(patient())
    assert parts.observer.seen == []


async def test_a_full_queue_is_said_at_once(parts: Parts) -> None:
    parts.repository.held = asyncio.Event()
    waiting = [asyncio.create_task(parts.service.predict(patient())) for _ in range(4)]
    await asyncio.sleep(0.01)
    waiting += [asyncio.create_task(parts.service.predict(patient())) for _ in range(4)]
    await asyncio.sleep(0.01)
    assert parts.service.queue_depth == 4
    with pytest.raises(ServiceOverloaded):
        await parts.service.predict(patient())
    parts.repository.held.set()
    assert len({answer.id for answer in await asyncio.gather(*waiting)}) == 8


async def test_the_same_key_again_gives_the_same_answer_and_stores_nothing(parts: Parts) -> None:
    first = await parts.service.predict(patient(), idempotency_key="k")
    again = await parts.service.predict(patient(), idempotency_key="k")
    assert again == first
    assert len(parts.repository.rows) == 1


@pytest.mark.parametrize("missing", [["bmi"], ["avg_glucose_level"], ["avg_glucose_level", "bmi"]])
async def test_a_patient_who_lacks_measurements_is_stored_and_replayed_as_answered(
    missing: list[str],
) -> None:
    parts = Parts(may_be_missing=OPTIONAL)
    incomplete = patient(age=80.0, **dict.fromkeys(missing))
    first = await parts.service.predict(incomplete, idempotency_key="k")
    row = parts.repository.rows[first.id]
    assert [name for name in OPTIONAL if getattr(row, name) is None] == missing
    assert {row.prediction_data[name] for name in missing} == {None}
    assert first.assessment.missing == tuple(missing)
    assert first.assessment.accuracy == ACCURACY
    assert await parts.service.predict(incomplete, idempotency_key="k") == first
    assert len(parts.repository.rows) == 1


async def test_a_key_of_a_patient_who_lacked_a_measurement_is_refused_once_it_is_there() -> None:
    parts = Parts(may_be_missing=OPTIONAL)
    await parts.service.predict(patient(bmi=None), idempotency_key="k")
    with pytest.raises(IdempotencyKeyReused):
        await parts.service.predict(patient(), idempotency_key="k")


@pytest.mark.parametrize("accuracy", [7, [], {"patients": 1}, {"of no field": 1}])
async def test_a_stored_row_whose_accuracy_cannot_be_read_is_never_answered(
    accuracy: object,
) -> None:
    parts = Parts(may_be_missing=OPTIONAL)
    first = await parts.service.predict(patient(bmi=None), idempotency_key="k")
    row = parts.repository.rows[first.id]
    changed = {**row.prediction_data, "accuracy": accuracy}
    parts.repository.rows[first.id] = replace(row, prediction_data=changed)
    with pytest.raises(PredictionNotReplayable):
        await parts.service.predict(patient(bmi=None), idempotency_key="k")


async def test_a_patient_who_lacks_what_the_model_needs_is_refused_and_nobody_else(
    parts: Parts,
) -> None:
    good, bad = await asyncio.gather(
        parts.service.predict(patient()),
        parts.service.predict(patient(bmi=None)),
        return_exceptions=True,
    )
    assert isinstance(bad, InvalidPatient)
    assert not isinstance(good, BaseException)
    with pytest.raises(InvalidPatient):
        await parts.service.predict_many([patient(), patient(avg_glucose_level=None)])
    assert len(parts.repository.rows) == 1


async def test_the_row_of_a_patient_who_lacks_nothing_says_nothing_of_what_is_missing() -> None:
    parts = Parts(may_be_missing=OPTIONAL)
    first = await parts.service.predict(patient())
    assert "accuracy" not in parts.repository.rows[first.id].prediction_data


async def test_the_same_key_at_the_same_time_stores_one_row(parts: Parts) -> None:
    answers = await asyncio.gather(
        *(parts.service.predict(patient(), idempotency_key="k") for _ in range(4))
    )
    assert len({answer.id for answer in answers}) == 1
    assert len(parts.repository.rows) == 1


async def test_a_key_of_other_measurements_is_refused(parts: Parts) -> None:
    await parts.service.predict(patient(age=40.0), idempotency_key="k")
    with pytest.raises(IdempotencyKeyReused):
        await parts.service.predict(patient(age=41.0), idempotency_key="k")
    assert len(parts.repository.rows) == 1


@pytest.mark.parametrize(
    "lacking",
    [
        {"probability": None},
        {"probability": 1.5},
        {"risk_category": None},
        {"risk_category": "Unheard-of"},
        {"model_version": None},
        {"model_version": ""},
        {"prediction_data": None},
        {"prediction_data": "{not JSON"},
        {"prediction_data": [1, 2]},
        {"prediction_data": {}},
    ],
)
async def test_a_stored_row_without_a_complete_answer_is_never_answered(
    parts: Parts, lacking: dict[str, Any]
) -> None:
    first = await parts.service.predict(patient(), idempotency_key="k")
    parts.repository.rows[first.id] = replace(parts.repository.rows[first.id], **lacking)
    with pytest.raises(PredictionNotReplayable) as caught:
        await parts.service.predict(patient(), idempotency_key="k")
    assert caught.value.prediction_id == first.id
    assert len(parts.repository.rows) == 1


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("baseline_log_odds", None),
        ("baseline_log_odds", "text"),
        ("log_odds", None),
        ("log_odds", [1]),
        ("log_odds", {"age": None}),
        ("log_odds", {"of no feature": 0.5}),
    ],
)
async def test_a_stored_row_without_its_explanation_is_never_answered(
    parts: Parts, key: str, value: object
) -> None:
    first = await parts.service.predict(patient(), idempotency_key="k")
    row = parts.repository.rows[first.id]
    for changed in (
        {**row.prediction_data, key: value},
        {name: each for name, each in row.prediction_data.items() if name != key},
    ):
        parts.repository.rows[first.id] = replace(row, prediction_data=changed)
        with pytest.raises(PredictionNotReplayable):
            await parts.service.predict(patient(), idempotency_key="k")


async def test_the_stored_names_of_factors_are_not_needed_for_a_replay(parts: Parts) -> None:
    first = await parts.service.predict(patient(), idempotency_key="k")
    row = parts.repository.rows[first.id]
    parts.repository.rows[first.id] = replace(row, contributing_factors=None)
    assert await parts.service.predict(patient(), idempotency_key="k") == first


async def test_a_key_of_other_measurements_is_refused_even_without_an_answer(parts: Parts) -> None:
    first = await parts.service.predict(patient(age=40.0), idempotency_key="k")
    row = parts.repository.rows[first.id]
    parts.repository.rows[first.id] = replace(row, probability=None)
    with pytest.raises(IdempotencyKeyReused):
        await parts.service.predict(patient(age=41.0), idempotency_key="k")


@given(one=PATIENTS, other=PATIENTS, field=st.sampled_from(Patient.__slots__))
def test_a_key_belongs_to_every_field_of_its_request(
    one: Patient, other: Patient, field: str
) -> None:
    changed = replace(one, **{field: getattr(other, field)})
    assume(changed != one)

    async def ask() -> None:
        parts = Parts()
        first = await parts.service.predict(one, idempotency_key="k")
        with pytest.raises(IdempotencyKeyReused):
            await parts.service.predict(changed, idempotency_key="k")
        assert await parts.service.predict(one, idempotency_key="k") == first
        [*several] = await parts.service.predict_many([other, one], idempotency_key="m")
        with pytest.raises(IdempotencyKeyReused):
            await parts.service.predict_many([other, changed], idempotency_key="m")
        assert await parts.service.predict_many([other, one], idempotency_key="m") == several
        assert len(parts.repository.rows) == 3

    asyncio.run(ask())


@pytest.mark.parametrize("age_of_key", [timedelta(0), KEY_LIFETIME])
async def test_a_key_replays_to_the_end_of_its_time(parts: Parts, age_of_key: timedelta) -> None:
    one = await parts.service.predict(patient(), idempotency_key="one")
    many = await parts.service.predict_many([patient()] * 3, idempotency_key="many")
    parts.now = NOON + age_of_key
    assert await parts.service.predict(patient(), idempotency_key="one") == one
    assert await parts.service.predict_many([patient()] * 3, idempotency_key="many") == many
    assert len(parts.repository.rows) == 4


async def test_a_key_whose_time_is_over_is_a_new_one(parts: Parts) -> None:
    one = await parts.service.predict(patient(age=40.0), idempotency_key="one")
    many = await parts.service.predict_many([patient()] * 2, idempotency_key="many")
    parts.now = NOON + KEY_LIFETIME + timedelta(microseconds=1)

    answers = await asyncio.gather(
        *(parts.service.predict(patient(age=41.0), idempotency_key="one") for _ in range(4))
    )
    again = await parts.service.predict_many([patient(age=42.0)], idempotency_key="many")

    assert len({answer.id for answer in answers}) == 1
    assert answers[0].id != one.id
    assert len(parts.repository.rows) == 5
    assert not {answer.id for answer in again} & {answer.id for answer in many}
    assert await parts.service.predict(patient(age=41.0), idempotency_key="one") == answers[0]


async def test_a_row_without_a_time_keeps_its_key(parts: Parts) -> None:
    first = await parts.service.predict(patient(), idempotency_key="k")
    parts.repository.rows[first.id] = replace(parts.repository.rows[first.id], timestamp=None)
    parts.now = datetime.max.replace(tzinfo=NOON.tzinfo)
    assert await parts.service.predict(patient(), idempotency_key="k") == first


async def test_the_same_batch_with_the_same_key_at_the_same_time_is_stored_once(
    parts: Parts,
) -> None:
    patients = [patient(age=float(age)) for age in range(5)]
    answers = await asyncio.gather(
        *(parts.service.predict_many(patients, idempotency_key="k") for _ in range(4))
    )
    assert all(answer == answers[0] for answer in answers)
    assert parts.repository.commits == [5]


async def test_a_key_of_a_single_patient_is_none_of_a_batch_nor_the_other_way_round(
    parts: Parts,
) -> None:
    await parts.service.predict(patient(), idempotency_key="one")
    await parts.service.predict_many([patient()], idempotency_key="many")
    with pytest.raises(IdempotencyKeyReused):
        await parts.service.predict_many([patient()], idempotency_key="one")
    with pytest.raises(IdempotencyKeyReused):
        await parts.service.predict(patient(), idempotency_key="many")
    for other in ([patient()] * 2, []):
        with pytest.raises(IdempotencyKeyReused):
            await parts.service.predict_many(other, idempotency_key="many")
    assert len(parts.repository.rows) == 2


@pytest.mark.parametrize("erased", [0, 1])
async def test_a_batch_of_which_a_prediction_was_erased_is_neither_answered_nor_stored_again(
    parts: Parts, erased: int
) -> None:
    patients = [patient(age=40.0), patient(age=50.0)]
    stored = await parts.service.predict_many(patients, idempotency_key="k")
    await parts.service.erase(stored[erased].id)
    with pytest.raises(PredictionNotReplayable, match="erased") as caught:
        await parts.service.predict_many(patients, idempotency_key="k")
    assert caught.value.prediction_id == stored[erased].id
    with pytest.raises(IdempotencyKeyReused):
        await parts.service.predict(patients[0], idempotency_key="k")
    assert len(parts.repository.rows) == 1


async def test_a_batch_that_the_store_refuses_leaves_its_key_free(parts: Parts) -> None:
    parts.repository.refused["bad"] = PredictionRejected("refused")
    for _ in range(2):
        with pytest.raises(PredictionRejected):
            await parts.service.predict_many([patient(name="bad")], idempotency_key="k")
    assert await parts.service.predict_many([patient()], idempotency_key="k")


async def test_many_patients_are_one_graph_run_and_one_transaction_in_order(parts: Parts) -> None:
    ages = [float(age) for age in range(100)]
    answers = await parts.service.predict_many([patient(age=age) for age in ages])
    assert parts.model.runs == [100]
    assert parts.repository.commits == [100]
    assert [parts.repository.rows[answer.id].age for answer in answers] == ages


async def test_many_patients_are_stored_all_or_none(parts: Parts) -> None:
    parts.repository.refused["bad"] = PredictionRejected("refused")
    with pytest.raises(PredictionRejected):
        await parts.service.predict_many([patient(), patient(name="bad"), patient()])
    assert parts.repository.rows == {}


async def test_pages_hold_every_row_once_and_the_last_one_says_so(parts: Parts) -> None:
    await parts.service.predict_many([patient() for _ in range(7)])
    seen: list[int] = []
    before = None
    while True:
        page = await parts.service.page(PredictionFilter(), limit=3, before=before)
        seen += [record.id for record in page.records]
        if (before := page.next_before) is None:
            break
    assert seen == sorted(parts.repository.rows, reverse=True)


async def test_a_page_that_is_exactly_full_is_the_last_one(parts: Parts) -> None:
    await parts.service.predict_many([patient() for _ in range(3)])
    page = await parts.service.page(PredictionFilter(), limit=3)
    assert page.next_before is None


async def test_an_erased_prediction_is_gone(parts: Parts) -> None:
    answer = await parts.service.predict(patient())
    await parts.service.erase(answer.id)
    with pytest.raises(PredictionNotFound):
        await parts.service.find(answer.id)
    with pytest.raises(PredictionNotFound):
        await parts.service.erase(answer.id)


async def test_closing_answers_those_who_wait(parts: Parts) -> None:
    parts.repository.held = asyncio.Event()
    caller = asyncio.create_task(parts.service.predict(patient()))
    await asyncio.sleep(0.01)
    closing = asyncio.create_task(parts.service.close())
    await asyncio.sleep(0.01)
    parts.repository.held.set()
    await closing
    assert caller.done()
    assert (await caller).id in parts.repository.rows
