"""Behaviour that every implementation of a port shares: the fake's and the real adapters'.

Subclass a suite and provide the fixture it names; unit/ does so with the fake, integration/ with
the real component.
"""

from __future__ import annotations

import asyncio
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest

from builders.predictions import NOON, patient, prediction, prediction_with_words, without
from stroke.application.predictions.columnar import NO_CONTEXT, ColumnarRiskModel
from stroke.application.predictions.ports import PredictionRepository, RiskModel
from stroke.domain.comparison import Comparison
from stroke.domain.errors import (
    IdempotencyKeyTaken,
    InvalidPatient,
    PredictionNotFound,
    StoreUnavailable,
)
from stroke.domain.features import RAW_FEATURES, TEXT_FEATURES
from stroke.domain.moments import FIRST, LAST
from stroke.domain.patient import OPTIONAL, Patient
from stroke.domain.prediction import (
    NOBODY,
    Origin,
    PredictionFilter,
    PredictionRecord,
    StoredBatch,
    prediction_data,
)
from stroke.domain.risk import Accuracy, RiskCategory
from stroke.domain.support import Support, SupportLevel

EVERYTHING = PredictionFilter()
AWKWARD_NAMES = (
    "",
    "O'Brien \"Bob\" \\ back\\'slash",
    "100% %s %(name)s ? :name {0}",
    "Ünïcödé 山田太郎 😀 \u202ename",
    " spaces at both ends ",
    "NULL",
)
# Numbers that 32 bits, a decimal column or a sloppy printf would change.
AWKWARD_NUMBERS = (1 / 3, 0.1 + 0.2, 5e-324, 1 - 2**-53, 0.0, 1.0, 0.07, 2 / 3 * 1e-7)


@pytest.mark.anyio
class PredictionRepositoryContract:
    """Provide fixtures ``repository``: empty, and new for each test; ``away``: without a store."""

    async def test_a_store_that_is_away_is_said_to_be(self, away: PredictionRepository) -> None:
        for call in (
            lambda: away.add([prediction()]),
            lambda: away.add([prediction(), prediction()], batch_key="k"),
            lambda: away.get(1),
            lambda: away.get_many([1]),
            lambda: away.find_by_key("k"),
            lambda: away.release_key("k", made_before=NOON),
            lambda: away.page(EVERYTHING, limit=1),
            lambda: away.remove(1),
            away.check,
        ):
            with pytest.raises(StoreUnavailable):
                await call()

    async def test_each_id_names_its_own_prediction(self, repository: PredictionRepository) -> None:
        first = await repository.add([prediction(name=f"a{i}") for i in range(5)])
        second = await repository.add([prediction(name="b")])

        assert [(await repository.get(i)).name for i in first + second] == [
            *("a0", "a1", "a2", "a3", "a4"),
            "b",
        ]
        assert sorted(set(first + second)) == first + second

    async def test_an_empty_batch_stores_nothing(self, repository: PredictionRepository) -> None:
        assert await repository.add([]) == []
        assert await repository.page(EVERYTHING, limit=1) == []

    @pytest.mark.parametrize("name", AWKWARD_NAMES)
    async def test_text_comes_back_as_it_was(
        self, repository: PredictionRepository, name: str
    ) -> None:
        [stored] = await repository.add([prediction(name=name, country=name, province=name)])

        record = await repository.get(stored)

        assert (record.name, record.country, record.province) == (name, name, name)

    @pytest.mark.parametrize("word", AWKWARD_NAMES)
    async def test_words_in_json_come_back_as_they_were(
        self, repository: PredictionRepository, word: str
    ) -> None:
        made = prediction_with_words(word)
        first, second = await repository.add([made, prediction()])

        record = await repository.get(first)

        assert record.prediction_data == prediction_data(made)
        assert record.contributing_factors == [word]
        assert (await repository.get(second)).contributing_factors == ["age", "bmi"]

    @pytest.mark.parametrize("number", AWKWARD_NUMBERS)
    async def test_numbers_come_back_to_the_last_bit(
        self, repository: PredictionRepository, number: float
    ) -> None:
        made = prediction(number, age=number, bmi=30 + number, avg_glucose_level=100 + number)
        [stored] = await repository.add([made])

        record = await repository.get(stored)

        assert record.probability == number
        assert (record.age, record.bmi, record.avg_glucose_level) == (
            made.patient.age,
            made.patient.bmi,
            made.patient.avg_glucose_level,
        )
        assert record.prediction_data == prediction_data(made)

    @pytest.mark.parametrize(
        "missing", [["bmi"], ["avg_glucose_level"], ["avg_glucose_level", "bmi"]]
    )
    async def test_a_missing_measurement_is_stored_as_none_and_comes_back_as_none(
        self, repository: PredictionRepository, missing: list[str]
    ) -> None:
        made = prediction()
        gaps = replace(made, patient=without(made.patient, missing))
        gaps = replace(
            gaps,
            assessment=replace(
                gaps.assessment,
                missing=tuple(missing),
                accuracy=Accuracy(4909, 0.8, 0.81, 0.01, -0.01, 0.03),
            ),
        )
        first, second = await repository.add([gaps, prediction()])

        record, whole = await repository.get(first), await repository.get(second)

        assert [name for name in OPTIONAL if getattr(record, name) is None] == missing
        assert record.prediction_data == prediction_data(gaps)
        assert {record.prediction_data[name] for name in missing} == {None}
        assert record.prediction_data["accuracy"]["patients"] == 4909
        assert None not in (whole.bmi, whole.avg_glucose_level)
        assert "accuracy" not in whole.prediction_data
        assert await repository.page(EVERYTHING, limit=2) == [whole, record]

    async def test_a_record_holds_everything_of_its_prediction(
        self, repository: PredictionRepository
    ) -> None:
        made = prediction(0.5, model_version="m-2", hypertension=1, smoking_status="smokes")
        [stored] = await repository.add([made])

        record = await repository.get(stored)

        assert {field: getattr(record, field) for field in Patient.__slots__} == {
            field: getattr(made.patient, field) for field in Patient.__slots__
        }
        assert record.id == stored
        assert record.timestamp == NOON
        assert record.risk_category == "High"
        assert record.contributing_factors == made.assessment.factors
        assert record.prediction_data == prediction_data(made)
        assert record.model_version == "m-2"

    async def test_a_time_of_another_zone_is_the_same_moment(
        self, repository: PredictionRepository
    ) -> None:
        tokyo = NOON.astimezone(timezone(timedelta(hours=9)))
        [stored] = await repository.add([prediction(made_at=tokyo)])

        assert (await repository.get(stored)).timestamp == NOON

    @pytest.mark.parametrize("unknown", [0, -1, 999_999, 2**31, 2**63, 2**70])
    async def test_an_unknown_id_is_not_found(
        self, repository: PredictionRepository, unknown: int
    ) -> None:
        await repository.add([prediction()])

        with pytest.raises(PredictionNotFound):
            await repository.get(unknown)
        with pytest.raises(PredictionNotFound):
            await repository.remove(unknown)

    async def test_a_prediction_is_found_by_its_key(self, repository: PredictionRepository) -> None:
        await repository.add([prediction(name="a"), prediction(name="b", idempotency_key="K-1")])

        found = await repository.find_by_key("K-1")

        assert isinstance(found, PredictionRecord)
        assert found.name == "b"
        assert await repository.find_by_key("k-1") is None

    @pytest.mark.parametrize("size", [1, 3, 1001])
    async def test_a_batch_is_found_by_its_key_with_its_ids_in_order(
        self, repository: PredictionRepository, size: int
    ) -> None:
        await repository.add([prediction(name="before")])
        batch = [prediction(name=str(i)) for i in range(size)]

        ids = await repository.add(batch, batch_key="K-1")

        assert await repository.find_by_key("K-1") == StoredBatch(tuple(ids), NOON)
        records = await repository.get_many(ids)
        assert [records[each].name for each in ids] == [str(i) for i in range(size)]

    async def test_a_key_belongs_to_one_batch_or_to_one_prediction(
        self, repository: PredictionRepository
    ) -> None:
        await repository.add([prediction(), prediction()], batch_key="of a batch")
        await repository.add([prediction(idempotency_key="of one")])

        for key in ("of a batch", "of one"):
            with pytest.raises(IdempotencyKeyTaken):
                await repository.add([prediction(), prediction()], batch_key=key)
            with pytest.raises(IdempotencyKeyTaken):
                await repository.add([prediction(), prediction(idempotency_key=key)])

        assert len(await repository.page(EVERYTHING, limit=10)) == 3

    async def test_a_batch_keeps_its_key_when_predictions_of_it_are_erased(
        self, repository: PredictionRepository
    ) -> None:
        ids = await repository.add([prediction() for _ in range(3)], batch_key="k")

        await repository.remove(ids[0])

        assert await repository.find_by_key("k") == StoredBatch(tuple(ids), NOON)
        assert list(await repository.get_many(ids)) == ids[1:]

    async def test_only_what_is_stored_is_among_many(
        self, repository: PredictionRepository
    ) -> None:
        stored = await repository.add([prediction(name="a"), prediction(name="b")])

        found = await repository.get_many([stored[1], 0, -1, 999_999, 2**63, 2**70, stored[0]])

        assert {each: record.name for each, record in found.items()} == {
            stored[0]: "a",
            stored[1]: "b",
        }
        assert await repository.get_many([]) == {}

    async def test_a_key_is_released_once_it_is_old_enough_and_its_row_stays(
        self, repository: PredictionRepository
    ) -> None:
        [single] = await repository.add([prediction(idempotency_key="one")])
        batch = await repository.add([prediction(), prediction()], batch_key="many")
        just_after = NOON + timedelta(microseconds=1)

        for key in ("one", "many", "unheard of"):
            await repository.release_key(key, made_before=NOON)
        assert await repository.find_by_key("one") == await repository.get(single)
        assert await repository.find_by_key("many") == StoredBatch(tuple(batch), NOON)

        for key in ("one", "many"):
            await repository.release_key(key, made_before=just_after)
            assert await repository.find_by_key(key) is None
        later = await repository.add(
            [prediction(idempotency_key="one", made_at=just_after), prediction()]
        )
        await repository.add([prediction(made_at=just_after)], batch_key="many")
        for key in ("one", "many"):  # by a request that was slower
            await repository.release_key(key, made_before=just_after)
            assert await repository.find_by_key(key) is not None
        known = {record.id for record in await repository.page(EVERYTHING, limit=10)}
        assert {single, *batch, *later} < known

    async def test_a_taken_key_leaves_the_whole_batch_out(
        self, repository: PredictionRepository
    ) -> None:
        await repository.add([prediction(idempotency_key="taken")])

        with pytest.raises(IdempotencyKeyTaken):
            await repository.add([prediction(name="other"), prediction(idempotency_key="taken")])

        assert len(await repository.page(EVERYTHING, limit=10)) == 1

    async def test_a_key_twice_in_a_batch_is_taken(self, repository: PredictionRepository) -> None:
        with pytest.raises(IdempotencyKeyTaken):
            await repository.add([prediction(idempotency_key="k"), prediction(idempotency_key="k")])

        assert await repository.page(EVERYTHING, limit=10) == []

    async def test_a_batch_larger_than_a_statement_is_stored_whole(
        self, repository: PredictionRepository
    ) -> None:
        batch = [prediction(i / 4000, name=str(i)) for i in range(2500)]

        ids = await repository.add(batch)

        records = await repository.page(EVERYTHING, limit=3000)
        assert {r.id: (r.name, r.probability) for r in records} == {
            i: (made.patient.name, made.assessment.probability)
            for i, made in zip(ids, batch, strict=True)
        }

    async def test_a_large_batch_with_a_taken_key_at_its_end_leaves_nothing(
        self, repository: PredictionRepository
    ) -> None:
        taken = prediction(idempotency_key="taken")
        await repository.add([taken])

        with pytest.raises(IdempotencyKeyTaken):
            await repository.add([prediction()] * 2499 + [taken])

        assert len(await repository.page(EVERYTHING, limit=10)) == 1

    async def test_batches_that_run_at_once_each_get_their_own_ids(
        self, repository: PredictionRepository
    ) -> None:
        async def add(writer: int, size: int) -> dict[int, str]:
            batch = [prediction(name=f"{writer}/{size}/{i}") for i in range(size)]
            names = [made.patient.name for made in batch]
            return dict(zip(await repository.add(batch), names, strict=True))

        answers = await asyncio.gather(
            *(add(writer, size) for writer in range(6) for size in (1, 7, 40, 3))
        )

        stored = {r.id: r.name for r in await repository.page(EVERYTHING, limit=1000)}
        assert {i: name for answer in answers for i, name in answer.items()} == stored
        assert len(stored) == 6 * 51

    async def test_a_listing_is_newest_first(self, repository: PredictionRepository) -> None:
        ids = await repository.add([prediction(name=str(i)) for i in range(5)])

        assert [r.id for r in await repository.page(EVERYTHING, limit=3)] == ids[:1:-1]
        assert [r.id for r in await repository.page(EVERYTHING, limit=9, before=ids[2])] == ids[
            1::-1
        ]
        assert [r.id for r in await repository.page(EVERYTHING, limit=2, before=2**70)] == ids[
            :2:-1
        ]
        assert await repository.page(EVERYTHING, limit=3, before=ids[0]) == []

    async def test_a_listing_neither_repeats_nor_skips_while_rows_are_added(
        self, repository: PredictionRepository
    ) -> None:
        ids = await repository.add([prediction(name=str(i)) for i in range(10)])
        seen: list[int] = []
        before = None
        while page := await repository.page(EVERYTHING, limit=3, before=before):
            seen += [record.id for record in page]
            before = page[-1].id
            await repository.add([prediction(name="late"), prediction(name="later")])

        assert seen == ids[::-1]

    async def test_filters_narrow_to_exact_matches(self, repository: PredictionRepository) -> None:
        await repository.add(
            [
                prediction(0.01, country="Canada", province="Québec", model_version="m-1"),
                prediction(0.10, country="Canada", province="Quebec", model_version="m-2"),
                prediction(0.90, country="CANADA", province="Québec", model_version="m-2"),
            ]
        )

        async def matching(narrowed: PredictionFilter) -> list[float | None]:
            return [r.probability for r in await repository.page(narrowed, limit=10)]

        assert await matching(PredictionFilter(risk_category="Low")) == [0.01]
        assert await matching(PredictionFilter(country="Canada")) == [0.10, 0.01]
        assert await matching(PredictionFilter(province="Québec")) == [0.90, 0.01]
        assert await matching(PredictionFilter(model_version="m-2")) == [0.90, 0.10]
        assert await matching(PredictionFilter(country="Canada", model_version="m-2")) == [0.10]
        assert await matching(PredictionFilter(country="Canada ")) == []

    async def test_rows_carry_their_site_and_who_asked_for_them(
        self, repository: PredictionRepository
    ) -> None:
        origins = [
            Origin("north", "key:1"),
            Origin("North", "token:Ünïcödé 山田"),
            Origin("s" * 64, "c" * 128),
            NOBODY,
        ]
        ids = await repository.add([prediction(origin=origin) for origin in origins])
        [alone] = await repository.add([prediction(origin=origins[0])])

        stored = [await repository.get(each) for each in (*ids, alone)]
        assert [(row.site, row.created_by) for row in stored] == [*origins, origins[0]]

    async def test_a_site_narrows_to_its_own_rows(self, repository: PredictionRepository) -> None:
        sites = ["north", "North", None, "north", "north-2", "nort"]
        ids = await repository.add([prediction(origin=Origin(site)) for site in sites])

        async def of(site: str | None, before: int | None = None) -> list[int]:
            narrowed = PredictionFilter(site=site)
            return [r.id for r in await repository.page(narrowed, limit=10, before=before)]

        assert await of("north") == [ids[3], ids[0]]
        assert await of("north", before=ids[3]) == [ids[0]]
        assert await of("North") == [ids[1]]
        assert await of("NORTH-2") == await of("") == await of("elsewhere") == []
        assert await of(None) == ids[::-1]

    async def test_a_time_span_includes_its_start_and_not_its_end(
        self, repository: PredictionRepository
    ) -> None:
        start = datetime(2026, 3, 1, tzinfo=UTC)
        moments = [start + timedelta(microseconds=i) for i in (-1, 0, 1, 1_000_000)]
        ids = await repository.add([prediction(made_at=moment) for moment in moments])

        async def within(since: datetime | None, until: datetime | None) -> list[int]:
            narrowed = PredictionFilter(since=since, until=until)
            return [r.id for r in await repository.page(narrowed, limit=10)][::-1]

        assert await within(start, None) == ids[1:]
        assert await within(None, start) == ids[:1]
        assert await within(start, moments[3]) == ids[1:3]
        assert await within(moments[2].astimezone(timezone(timedelta(hours=-5))), None) == ids[2:]
        assert await within(FIRST, LAST) == await within(FIRST, None) == ids
        assert await within(None, FIRST) == await within(LAST, None) == []

    async def test_an_erased_prediction_is_gone_for_good(
        self, repository: PredictionRepository
    ) -> None:
        kept, erased = await repository.add([prediction(), prediction(idempotency_key="k")])

        await repository.remove(erased)

        with pytest.raises(PredictionNotFound):
            await repository.get(erased)
        with pytest.raises(PredictionNotFound):
            await repository.remove(erased)
        assert await repository.find_by_key("k") is None
        assert [r.id for r in await repository.page(EVERYTHING, limit=10)] == [kept]

    async def test_the_id_of_an_erased_prediction_is_never_given_again(
        self, repository: PredictionRepository
    ) -> None:
        [erased] = await repository.add([prediction()])
        await repository.remove(erased)

        [next_id] = await repository.add([prediction()])

        assert next_id > erased

    async def test_a_store_that_can_be_written_passes_its_check(
        self, repository: PredictionRepository
    ) -> None:
        await repository.check()
        assert await repository.add([prediction()])


PATIENTS = [
    patient(),
    patient(age=0.0, bmi=8.0, avg_glucose_level=20.0),
    patient(age=120.0, hypertension=1, heart_disease=1, avg_glucose_level=600.0, bmi=100.0),
    patient(gender="Other", age=50.0, smoking_status="Unknown"),
    patient(gender="Female", age=79.9, avg_glucose_level=140.0, smoking_status="smokes"),
]


class RiskModelContract:
    """Provide a fixture ``model``."""

    def test_patients_are_assessed_in_their_order(self, model: RiskModel) -> None:
        together = model.assess(PATIENTS)
        alone = [model.assess([each])[0] for each in PATIENTS]

        assert len({one.probability for one in together}) == len(PATIENTS)
        for one, other in zip(together, alone, strict=True):
            assert one.category == other.category
            assert math.isclose(one.probability, other.probability, rel_tol=1e-12)

    def test_contributions_sum_to_the_logit_of_the_probability(self, model: RiskModel) -> None:
        for made in model.assess(PATIENTS):
            logit = math.log(made.probability) - math.log1p(-made.probability)
            parts = [contribution.log_odds for contribution in made.contributions]
            assert abs(made.baseline_log_odds + math.fsum(parts) - logit) < 1e-9

    def test_contributions_come_strongest_first_with_the_patients_own_values(
        self, model: RiskModel
    ) -> None:
        for who, made in zip(PATIENTS, model.assess(PATIENTS), strict=True):
            strengths = [abs(contribution.log_odds) for contribution in made.contributions]
            assert strengths == sorted(strengths, reverse=True)
            assert len({c.feature for c in made.contributions}) == len(made.contributions) > 0
            for contribution in made.contributions:
                assert contribution.value == getattr(who, contribution.feature)

    def test_the_category_is_that_of_the_models_own_bands(self, model: RiskModel) -> None:
        bands = model.description.bands
        for made in model.assess(PATIENTS):
            assert made.category == bands.categorise(made.probability)

    def test_what_no_measurement_says_changes_nothing(self, model: RiskModel) -> None:
        [one] = model.assess([patient(name="A", country="B", province="C")])
        [other] = model.assess([patient()])
        assert one == other

    def test_threads_may_share_a_model(self, model: RiskModel) -> None:
        expected = model.assess(PATIENTS)
        with ThreadPoolExecutor(4) as threads:
            for made in threads.map(lambda _: model.assess(PATIENTS), range(40)):
                assert made == expected

    def test_whoever_lacks_what_may_be_missing_is_assessed_by_the_companion_for_that(
        self, model: RiskModel
    ) -> None:
        for variant in model.description.variants:
            people = [without(each, variant.missing) for each in PATIENTS]
            for who, made in zip(people, model.assess(people), strict=True):
                assert (made.missing, made.accuracy) == (variant.missing, variant.accuracy)
                assert made.variant == variant.name
                assert made.category == variant.bands.categorise(made.probability)
                logit = math.log(made.probability) - math.log1p(-made.probability)
                parts = [contribution.log_odds for contribution in made.contributions]
                assert abs(made.baseline_log_odds + math.fsum(parts) - logit) < 1e-9
                assert {c.feature: c.value for c in made.contributions} == {
                    c.feature: getattr(who, c.feature) for c in made.contributions
                }

    def test_a_patient_is_assessed_alike_whoever_else_is_in_the_batch(
        self, model: RiskModel
    ) -> None:
        people = [
            without(each, variant.missing)
            for each in PATIENTS
            for variant in model.description.variants
        ]
        for together, who in zip(model.assess(people), people, strict=True):
            [alone] = model.assess([who])
            assert (together.missing, together.category) == (alone.missing, alone.category)
            assert math.isclose(together.probability, alone.probability, rel_tol=1e-12)

    def test_there_is_a_companion_for_each_combination_of_what_may_be_missing(
        self, model: RiskModel
    ) -> None:
        description = model.description
        missing = [companion.missing for companion in description.companions]
        assert len(set(missing)) == len(missing) == 2 ** len(description.may_be_missing) - 1

    def test_whoever_lacks_what_the_model_needs_is_refused_by_name(self, model: RiskModel) -> None:
        for name in set(OPTIONAL) - set(model.description.may_be_missing):
            with pytest.raises(InvalidPatient) as caught:
                model.assess([patient(), patient(**{name: None})])
            assert [each.field for each in caught.value.violations] == [name]

    def test_an_interval_holds_its_probability_and_more(self, model: RiskModel) -> None:
        for made in (m for people in _all_gaps(model) for m in model.assess(people)):
            if made.interval is not None:
                assert 0 < made.interval.low < made.probability < made.interval.high < 1

    def test_a_comparison_divides_the_risk_by_the_others(self, model: RiskModel) -> None:
        for made in (m for people in _all_gaps(model) for m in model.assess(people)):
            if (compared := made.comparison) is None:
                continue
            for ratio, risk in (
                (compared.relative_to_average, compared.average_risk),
                (compared.relative_to_reference, compared.reference_risk),
            ):
                assert (ratio is None) == (risk is None)
                if ratio is not None and risk is not None:
                    assert 0 < risk < 1
                    assert ratio == pytest.approx(made.probability / risk, rel=1e-12)

    def test_support_names_its_reasons_and_says_the_same_of_everyone(
        self, model: RiskModel
    ) -> None:
        made = [each.support for each in model.assess(PATIENTS)]
        assert len({support is None for support in made}) == 1
        for support in made:
            if support is not None:
                assert (support.level == SupportLevel.WITHIN) == (not support.reasons)
                assert support == Support.because(support.reasons)

    def test_nobody_gets_no_assessment(self, model: RiskModel) -> None:
        assert model.assess([]) == []

    def test_a_model_says_what_it_is(self, model: RiskModel) -> None:
        description = model.description
        assert len(description.version) <= 64
        assert len(description.sha256) == 64
        assert description.features


def _all_gaps(model: RiskModel) -> list[list[Patient]]:
    return [
        [without(each, variant.missing) for each in PATIENTS]
        for variant in model.description.variants
    ]


def columns_of(patients: list[Patient]) -> dict[str, np.ndarray[Any, Any]]:
    """Return the raw features of ``patients``, as columnar models take them."""
    return {
        name: np.array(
            [getattr(each, name) for each in patients],
            dtype=object if name in TEXT_FEATURES else np.float64,
        )
        for name in RAW_FEATURES
    }


class ColumnarRiskModelContract:
    """Provide a fixture ``model``."""

    def test_rows_are_scored_in_their_order(self, model: ColumnarRiskModel) -> None:
        together = model.score(columns_of(PATIENTS)).probability
        alone = [model.score(columns_of([each])).probability[0] for each in PATIENTS]

        assert together.shape == (len(PATIENTS),)
        assert len(set(together.tolist())) == len(PATIENTS)
        assert together.tolist() == pytest.approx(alone, rel=1e-12)

    def test_each_row_of_contributions_sums_to_the_logit(self, model: ColumnarRiskModel) -> None:
        scores = model.score(columns_of(PATIENTS))

        assert scores.log_odds.shape == (len(PATIENTS), len(scores.features))
        logit = np.log(scores.probability) - np.log1p(-scores.probability)
        sums = scores.log_odds.sum(axis=1) + scores.baseline_log_odds
        assert np.abs(sums - logit).max() < 1e-9

    def test_the_same_features_are_explained_for_any_patients(
        self, model: ColumnarRiskModel
    ) -> None:
        features = model.score(columns_of(PATIENTS)).features

        assert len(set(features)) == len(features) > 0
        assert set(features) <= set(RAW_FEATURES)
        for each in PATIENTS:
            assert model.score(columns_of([each])).features == features

    def test_each_row_is_scored_by_the_variant_for_what_it_lacks(
        self, model: ColumnarRiskModel
    ) -> None:
        variants = model.description.variants
        people = [
            (place, without(each, variant.missing))
            for each in PATIENTS
            for place, variant in enumerate(variants)
        ]
        scores = model.score(columns_of([who for _, who in people]))

        assert scores.variant.tolist() == [place for place, _ in people]
        logit = np.log(scores.probability) - np.log1p(-scores.probability)
        sums = scores.log_odds.sum(axis=1) + scores.baseline_log_odds
        assert np.abs(sums - logit).max() < 1e-9
        for row, (place, who) in enumerate(people):
            alone = model.score(columns_of([who]))
            assert scores.probability[row] == pytest.approx(alone.probability[0], rel=1e-12)
            category = tuple(RiskCategory)[scores.categories(model.description)[row]]
            assert category == variants[place].bands.categorise(scores.probability[row])

    def test_context_is_there_only_if_it_is_asked_for_and_changes_no_score(
        self, model: ColumnarRiskModel
    ) -> None:
        columns = columns_of(PATIENTS)
        plain, known = model.score(columns), model.score(columns, context=True)

        assert plain.context == NO_CONTEXT
        assert known.probability.tobytes() == plain.probability.tobytes()
        assert known.log_odds.tobytes() == plain.log_odds.tobytes()
        context = known.context
        if context.interval is not None:
            assert context.interval.shape == (len(PATIENTS), 2)
            assert (context.interval[:, 0] < known.probability).all()
            assert (known.probability < context.interval[:, 1]).all()
        if context.support is not None:
            assert len(context.support) == len(PATIENTS)
        if context.comparison is not None:
            assert context.comparison.shape == (len(PATIENTS), len(Comparison._fields))
            _, _, reference, relative, _ = context.comparison.T
            assert (reference * relative).tolist() == pytest.approx(
                known.probability.tolist(), rel=1e-12
            )

    def test_risks_alone_are_those_of_the_scores_bit_by_bit(self, model: ColumnarRiskModel) -> None:
        people = [
            without(each, variant.missing)
            for each in PATIENTS
            for variant in model.description.variants
        ]
        columns = columns_of(people)
        scores, risks = model.score(columns), model.risks(columns)

        assert risks.probability.tobytes() == scores.probability.tobytes()
        assert risks.variant.tolist() == scores.variant.tolist()
        described = model.description
        assert risks.categories(described).tolist() == scores.categories(described).tolist()

    def test_a_row_without_what_the_model_needs_is_refused_by_name(
        self, model: ColumnarRiskModel
    ) -> None:
        for name in set(OPTIONAL) - set(model.description.may_be_missing):
            with pytest.raises(InvalidPatient) as caught:
                model.score(columns_of([patient(), patient(**{name: None})]))
            assert [each.field for each in caught.value.violations] == [name]
            with pytest.raises(InvalidPatient) as caught:
                model.risks(columns_of([patient(), patient(**{name: None})]))
            assert [each.field for each in caught.value.violations] == [name]

    def test_threads_may_share_a_columnar_model(self, model: ColumnarRiskModel) -> None:
        columns = columns_of(PATIENTS)
        expected = model.score(columns)
        with ThreadPoolExecutor(4) as threads:
            for scores in threads.map(lambda _: model.score(columns), range(40)):
                assert scores.probability.tolist() == expected.probability.tolist()
                assert scores.log_odds.tolist() == expected.log_odds.tolist()
