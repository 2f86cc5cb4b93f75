"""Which model answers, and that an answer is of one model whatever is swapped meanwhile."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta

import pytest

from builders.further import OF_ALL_KINDS
from builders.predictions import NOON, patient
from fakes.predictions import FakePredictionObserver, FakePredictionRepository, FakeRiskModel
from stroke.application.predictions.deployed import Deployed, Serving
from stroke.application.predictions.prediction import PredictionService
from stroke.domain.errors import InvalidModel, InvalidPatient, OutsideSupport
from stroke.domain.patient import extended
from stroke.domain.prediction import NOBODY, Origin

pytestmark = pytest.mark.anyio
OLD = FakeRiskModel(("bmi",), version="old-1")
NEW = FakeRiskModel(("bmi",), version="new-1", shift=1.0)
STRICT = FakeRiskModel(version="strict-1")


def service(deployed: Deployed) -> tuple[PredictionService, Serving, FakePredictionRepository]:
    repository = FakePredictionRepository()
    serving = Serving(deployed.champion)
    serving.swap(deployed)
    made = PredictionService(
        serving=serving,
        repository=repository,
        observer=FakePredictionObserver(),
        now=lambda: NOON,
        queue_capacity=1000,
        commit_size=100,
        key_lifetime=timedelta(hours=1),
    )
    return made, serving, repository


def answers(deployed: Deployed, names: range, origin: Origin = NOBODY) -> list[str]:
    return [deployed.model_for(patient(name=f"n{n}"), origin).description.version for n in names]


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9])
def test_the_share_of_a_canary_is_within_its_interval_over_20_000_patients(share: float) -> None:
    counted = Counter(answers(Deployed(OLD, NEW, share), range(20_000)))

    standard_error = (share * (1 - share) / 20_000) ** 0.5
    assert abs(counted["new-1"] / 20_000 - share) <= 4 * standard_error


def test_a_patient_keeps_the_model_when_measurements_or_the_share_rise() -> None:
    tenth, half = Deployed(OLD, NEW, 0.1), Deployed(OLD, NEW, 0.5)
    for n in range(500):
        young = patient(name=f"n{n}", age=40.0, bmi=22.0)
        older = patient(name=f"n{n}", age=80.0, bmi=31.0, avg_glucose_level=250.0)
        first = tenth.model_for(young, NOBODY)
        assert tenth.model_for(older, NOBODY) is first
        if first is NEW:
            assert half.model_for(older, NOBODY) is NEW


def test_patients_of_two_sites_and_of_two_canaries_are_drawn_anew() -> None:
    one = Deployed(OLD, NEW, 0.5)
    names = range(2_000)
    north, south = answers(one, names, Origin("north")), answers(one, names, Origin("south"))
    third = Deployed(OLD, FakeRiskModel(("bmi",), version="third-1"), 0.5)

    for other in (south, ["new-1" if v == "third-1" else v for v in answers(third, names)]):
        same = sum(a == b for a, b in zip(north, other, strict=True))
        assert 850 <= same <= 1150


def test_a_subject_decides_alone_where_there_is_one() -> None:
    deployed = Deployed(OLD, NEW, 0.5)
    for n in range(100):
        subject = f"subject-{n}"
        chosen = {deployed.model_for(patient(name=name), NOBODY, subject) for name in "AB"}
        assert len(chosen) == 1


def test_a_patient_who_lacks_what_the_challenger_needs_gets_the_champion() -> None:
    deployed = Deployed(OLD, STRICT, 1 - 1e-9)

    assert deployed.model_for(patient(), NOBODY) is STRICT
    assert deployed.model_for(patient(bmi=None), NOBODY) is OLD


async def test_answers_and_rows_say_which_model_it_was_and_hold_what_it_said() -> None:
    deployed = Deployed(OLD, NEW, 0.5)
    predictions, _, repository = service(deployed)
    patients = [patient(name=f"n{n}") for n in range(60)]

    single = await asyncio.gather(*(predictions.predict(each) for each in patients))
    batch = await predictions.predict_many(patients)

    for made in (single, batch):
        assert {each.model_version for each in made} == {"old-1", "new-1"}
        for who, answer in zip(patients, made, strict=True):
            model = deployed.model_for(who, NOBODY)
            [right] = model.assess([who])
            row = repository.rows[answer.id]
            assert answer.model_version == row.model_version == model.description.version
            assert answer.assessment == right
            assert (row.name, row.probability) == (who.name, right.probability)
    assert [each.model_version for each in single] == [each.model_version for each in batch]


async def test_no_answer_is_of_two_models_whatever_is_swapped_while_they_wait() -> None:
    predictions, serving, repository = service(Deployed(OLD))
    repository.held = asyncio.Event()
    right = {
        model.description.version: model.assess([patient()])[0].probability for model in (OLD, NEW)
    }

    async def swap() -> None:
        for turn in range(40):
            serving.swap(Deployed(NEW if turn % 2 else OLD))
            await asyncio.sleep(0)
        assert repository.held is not None
        repository.held.set()

    waiting = []
    for _ in range(40):
        waiting.append(asyncio.create_task(predictions.predict(patient())))
        await asyncio.sleep(0)
        serving.swap(Deployed(NEW if len(waiting) % 2 else OLD))
    made, _ = await asyncio.gather(asyncio.gather(*waiting), swap())

    assert {each.model_version for each in made} == {"old-1", "new-1"}
    for each in made:
        assert each.assessment.probability == right[each.model_version]
        assert repository.rows[each.id].model_version == each.model_version


async def test_a_request_that_was_read_for_the_former_model_is_answered_by_it() -> None:
    predictions, serving, _ = service(Deployed(OLD))
    taken = predictions.deployed
    serving.swap(Deployed(STRICT))

    answer = await predictions.predict(patient(bmi=None), deployed=taken)
    [assessed] = await predictions.assess([patient(bmi=None)], deployed=taken)
    moved = predictions.what_if(patient(bmi=None), patient(bmi=None), deployed=taken)

    assert answer.model_version == "old-1"
    assert answer.assessment == assessed == moved.after
    with pytest.raises(InvalidPatient):
        await predictions.predict(patient(bmi=None))


async def test_a_batch_names_the_places_of_those_whom_its_models_do_not_know() -> None:
    old = FakeRiskModel(knows=True, version="old-1")
    new = FakeRiskModel(knows=True, version="new-1")
    predictions, _, repository = service(Deployed(old, new, 0.5))
    patients = [patient(name=f"n{n}", age=110.0 if n % 3 == 0 else 50.0) for n in range(30)]

    with pytest.raises(OutsideSupport) as refusal:
        await predictions.predict_many(patients, refuse_outside=True)

    assert [place for place, _ in refusal.value.found] == list(range(0, 30, 3))
    assert repository.rows == {}


async def test_the_champion_alone_answers_where_that_is_asked_for() -> None:
    predictions, _, _ = service(Deployed(OLD, NEW, 0.9))
    made = await predictions.predict_many(
        [patient(name=f"n{n}") for n in range(50)], by_champion=True
    )

    assert {each.model_version for each in made} == {"old-1"}


async def test_a_challenger_that_fails_loses_no_request_for_its_champion_answers() -> None:
    broken = FakeRiskModel(("bmi",), version="broken-1")
    broken.failing = InvalidModel("broken")
    predictions, _, repository = service(Deployed(OLD, broken, 0.5))
    patients = [patient(name=f"n{n}") for n in range(40)]

    single = await asyncio.gather(*(predictions.predict(each) for each in patients))
    batch = await predictions.predict_many(patients)

    assert broken.runs, "it was asked"
    assert {each.model_version for each in (*single, *batch)} == {"old-1"}
    assert {row.model_version for row in repository.rows.values()} == {"old-1"}


async def test_a_champion_that_fails_is_an_error() -> None:
    broken = FakeRiskModel(version="broken-1")
    broken.failing = InvalidModel("broken")
    predictions, _, repository = service(Deployed(broken))

    with pytest.raises(InvalidModel):
        await predictions.predict(patient())
    assert repository.rows == {}


async def test_where_a_challenger_fails_each_request_gets_its_own_champion() -> None:
    broken = FakeRiskModel(("bmi",), version="broken-1")
    broken.failing = InvalidModel("broken")
    predictions, serving, repository = service(Deployed(OLD, broken, 0.999))
    repository.held = asyncio.Event()
    first = asyncio.create_task(predictions.predict(patient()))
    await asyncio.sleep(0)  # it holds the commit: the others share the next one

    waiting = []
    for turn in range(40):
        serving.swap(Deployed(NEW if turn % 2 else OLD, broken, 0.999))
        waiting.append(asyncio.create_task(predictions.predict(patient(name=f"n{turn}"))))
        await asyncio.sleep(0)
    # Promoted while they wait: for this one it is no challenger any more.
    serving.swap(Deployed(broken))
    lost = asyncio.create_task(predictions.predict(patient(name="lost")))
    await asyncio.sleep(0)
    repository.held.set()
    made = await asyncio.gather(*waiting)

    assert (await first).model_version == "old-1"
    with pytest.raises(InvalidModel):
        await lost
    for turn, each in enumerate(made):
        [right] = (NEW if turn % 2 else OLD).assess([patient(name=f"n{turn}")])
        assert each.model_version == ("new-1" if turn % 2 else "old-1")
        assert each.assessment == right
        assert repository.rows[each.id].model_version == each.model_version


def test_a_patient_who_lacks_what_only_the_challenger_asks_for_gets_the_champion() -> None:
    challenger = FakeRiskModel(("bmi",), version="own-1", further=OF_ALL_KINDS)
    deployed = Deployed(OLD, challenger, 1.0)
    sent = (("waist", 90.0), ("diabetes", 0), ("alcohol", None))
    assert deployed.model_for(patient(), NOBODY) is OLD
    assert deployed.model_for(extended(patient(), sent), NOBODY) is challenger
    for wrong in ((("waist", 90.0),), (("diabetes", 0), ("alcohol", "much"))):
        assert deployed.model_for(extended(patient(), wrong), NOBODY) is OLD


async def test_a_request_is_never_refused_for_what_only_a_challenger_needs() -> None:
    challenger = FakeRiskModel(("bmi",), version="own-1", further=OF_ALL_KINDS)
    made, _, repository = service(Deployed(OLD, challenger, 1.0))
    stored = await made.predict(patient())
    many = await made.predict_many([patient(name="b"), patient(name="c")])
    assert {each.model_version for each in (stored, *many)} == {"old-1"}
    assert len(repository.rows) == 3


async def test_a_champion_refuses_who_lacks_what_it_asks_for_before_the_commit() -> None:
    made, _, repository = service(Deployed(FakeRiskModel(further=OF_ALL_KINDS)))
    with pytest.raises(InvalidPatient, match="diabetes must be 0 or 1"):
        await made.predict(patient())
    assert not repository.rows
