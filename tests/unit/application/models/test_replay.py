"""What a replay finds in stored rows: the served model's own, and those of others."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from builders.further import OF_ALL_KINDS
from fakes.predictions import FakeColumnarRiskModel
from stroke.application.models.columns import IMPLAUSIBLE, LACKING
from stroke.application.models.ids import KnownOutcomes, SeenIds
from stroke.application.models.replay import (
    NO_RISK,
    STORED,
    Replay,
    ReplayOptions,
    net_share,
)
from stroke.application.predictions.columnar import ColumnarRiskModel, Scores, factor_texts
from stroke.domain.features import RAW_FEATURES
from stroke.domain.replay import ReplayReport

MODEL = FakeColumnarRiskModel()
MOMENT = datetime(2026, 11, 1, tzinfo=UTC)
MICROS = int(MOMENT.timestamp()) * 1_000_000


def row(number: int = 1, **changes: Any) -> dict[str, Any]:
    """Return a row as the fake model would have made it."""
    made = {
        "prediction_id": number,
        "timestamp_us": MICROS,
        "gender": "Female",
        "age": 45.0 + number,
        "hypertension": 1.0,
        "heart_disease": 0.0,
        "avg_glucose_level": 90.0,
        "bmi": 28.0,
        "smoking_status": "never smoked",
        "risk_category": "Medium",  # up to the 27th
        "model_version": "fake-1",
    }
    columns = {
        name: np.array([made[name]], object if isinstance(made[name], str) else np.float64)
        for name in RAW_FEATURES
    }
    scores = MODEL.score(columns)
    made["probability"] = float(scores.probability[0])
    made["contributing_factors"] = json.dumps(factor_texts(scores)[0].split(";"))
    return {**made, **changes}


def replayed(
    *rows: Mapping[str, Any],
    options: ReplayOptions | None = None,
    outcomes: Mapping[int, bool] | None = None,
    model: ColumnarRiskModel = MODEL,
    at_once: int = 100,
) -> ReplayReport:
    schema = STORED
    for name, kind in (("op", pa.string()), ("stroke", pa.bool_())):
        if any(name in each for each in rows):
            schema = schema.append(pa.field(name, kind))
    batches = [
        pa.RecordBatch.from_pylist(list(rows[at : at + at_once]), schema)
        for at in range(0, len(rows), at_once)
    ]
    replay = Replay(model, options or ReplayOptions(), known(outcomes or {}))
    return replay.run(batches)


def known(outcomes: Mapping[int, bool]) -> KnownOutcomes:
    return KnownOutcomes((number, stroke, None) for number, stroke in outcomes.items())


def test_rows_of_the_same_version_are_identical() -> None:
    report = replayed(*[row(number) for number in range(1, 25)], at_once=4)

    assert (report.rows, report.compared, report.same.identical) == (24, 24, 24)
    assert report.same.different == 0
    assert report.others.rows == 0


@pytest.mark.parametrize(
    "change",
    [
        {"probability": np.nextafter(row(7)["probability"], 1)},
        {"risk_category": "High"},
        {"risk_category": None},
        {"contributing_factors": '["age"]'},
        {"contributing_factors": "[not JSON"},
        {"contributing_factors": "[1, 2]"},
        {"contributing_factors": "[" * 100_000},
        {"contributing_factors": None},
        {"hypertension": 0.0},
    ],
)
def test_a_row_that_differs_in_anything_is_named(change: dict[str, Any]) -> None:
    report = replayed(row(1), row(7, **change), row(3))

    assert (report.same.identical, report.same.different) == (2, 1)
    assert report.same.ids == [7]


@pytest.mark.parametrize(
    "lacked",
    [["risk_category"], ["contributing_factors"], ["risk_category", "contributing_factors"]],
)
def test_a_column_that_the_source_does_not_have_is_not_compared(lacked: list[str]) -> None:
    other = row(7, probability=np.nextafter(row(7)["probability"], 1))
    given = [{name: value for name, value in each.items() if name not in lacked}
             for each in (row(1), other, row(3), row(4, model_version="another"))]  # fmt: skip
    schema = pa.schema([field for field in STORED if field.name not in lacked])

    report = Replay(MODEL, ReplayOptions(), known({})).run(
        [pa.RecordBatch.from_pylist(given, schema)]
    )

    assert (report.same.identical, report.same.ids) == (2, [7])
    assert report.same.not_compared == lacked
    assert report.others.without_category == int("risk_category" in lacked)


def test_nothing_is_said_of_columns_that_are_there() -> None:
    assert replayed(row(1), row(7, risk_category=None)).same.not_compared == []


@pytest.mark.parametrize("said", ["risk_category", "contributing_factors"])
def test_what_a_source_still_has_is_compared_where_it_lacks_the_other(said: str) -> None:
    (lacked,) = {"risk_category", "contributing_factors"} - {said}
    schema = pa.schema([field for field in STORED if field.name != lacked])
    given = [row(1), row(7, **{said: None})]
    for each in given:
        del each[lacked]

    report = Replay(MODEL, ReplayOptions(), known({})).run(
        [pa.RecordBatch.from_pylist(given, schema)]
    )

    assert report.same.ids == [7]


def test_rounding_is_counted_apart_when_it_is_allowed() -> None:
    near = row(2, probability=np.nextafter(row(2)["probability"], 1))
    far = row(3, probability=row(3)["probability"] + 1e-9)

    report = replayed(row(1), near, far, options=ReplayOptions(rounding=4))

    assert (report.same.identical, report.same.rounded, report.same.different) == (1, 1, 1)
    assert report.same.ids == [3]
    assert report.same.largest_difference == pytest.approx(1e-9, rel=1e-3)


class RoundsByPlace(FakeColumnarRiskModel):
    """Rounds as onnxruntime does: odd places, and the last row of an odd number, another way."""

    def score(self, columns: Mapping[str, NDArray[Any]], *, context: bool = False) -> Scores:
        scores = super().score(columns, context=context)
        probability = scores.probability.copy()
        probability[1::2] = np.nextafter(probability[1::2], 1)
        if len(probability) % 2:
            probability[-1] = np.nextafter(probability[-1], 0)
        return Scores(
            probability, scores.log_odds, scores.features, scores.baseline_log_odds, scores.variant
        )


def test_a_row_is_the_same_wherever_it_lay_in_the_run_that_made_it() -> None:
    def made(number: int, towards: float | None) -> dict[str, Any]:
        risk = row(number)["probability"]
        return row(number, probability=risk if towards is None else np.nextafter(risk, towards))

    rows = [made(1, None), made(2, 1), made(3, 0), made(4, None), made(5, 1), made(6, 0)]

    report = replayed(*rows, model=RoundsByPlace())

    assert report.same.identical == 6


def test_only_named_rows_are_limited_and_not_their_number() -> None:
    rows = [row(number, probability=0.5) for number in range(1, 10)]

    report = replayed(*rows, options=ReplayOptions(ids=3), at_once=2)

    assert (report.same.different, len(report.same.ids)) == (9, 3)


def test_rows_that_cannot_be_compared_are_counted_by_reason() -> None:
    report = replayed(
        row(1, probability=None),
        row(2, probability=1.5),
        row(3, age=500.0),
        row(4, hypertension=2.0),
        row(5, gender="Robot"),
        row(6, bmi=None),
        row(7, smoking_status=None),
        row(8, age=None),
        row(9, bmi=float("inf")),
        row(10),
    )

    assert report.passed_over == {NO_RISK: 2, IMPLAUSIBLE: 4, LACKING: 3}
    assert (report.rows, report.compared) == (10, 1)


def test_a_model_with_companions_compares_rows_that_lack_a_measurement() -> None:
    model = FakeColumnarRiskModel(("avg_glucose_level", "bmi"))
    both = row(1, bmi=None, avg_glucose_level=None, model_version="older")

    report = replayed(both, row(2, bmi=None, model_version="older"), model=model)

    assert (report.compared, report.others.rows) == (2, 2)


def test_updates_deletions_and_repetitions_of_a_change_log_are_no_further_rows() -> None:
    report = replayed(
        row(1, op="r"),
        row(1, op="c"),
        row(1, op="u", probability=0.9),
        row(1, op="d"),
        row(2, op="c"),
        row(1, op="r"),
        at_once=3,
    )

    assert (report.rows, report.repeated, report.same.identical) == (2, 2, 2)


@pytest.mark.parametrize(
    ("since", "until", "rows"),
    [(MOMENT, None, 2), (None, MOMENT, 1), (MOMENT.replace(hour=1), None, 1)],
)
def test_the_first_moment_is_included_and_the_last_is_not(
    since: datetime | None, until: datetime | None, rows: int
) -> None:
    hour = 3_600_000_000
    report = replayed(
        row(1),
        row(2, timestamp_us=MICROS - 1),
        row(3, timestamp_us=MICROS + hour),
        row(4, timestamp_us=None),
        options=ReplayOptions(since=since, until=until),
    )

    assert report.rows == rows


def test_differences_from_other_versions_are_summed_up() -> None:
    stored = [0.9, 0.5, row(3)["probability"]]
    rows = [
        row(number, probability=risk, risk_category=category, model_version=version)
        for number, risk, category, version in zip(
            (1, 2, 3), stored, ("High", "High", "odd"), ("older", "older", None), strict=True
        )
    ]

    found = replayed(*rows, options=ReplayOptions(worst=2), at_once=1).others

    differences = np.array(
        [row(n)["probability"] - s for n, s in zip((1, 2, 3), stored, strict=True)]
    )
    assert found.rows == 3
    assert found.versions == {"older": 2, "unknown": 1}
    assert found.mean == pytest.approx(differences.mean())
    assert found.standard_deviation == pytest.approx(differences.std())
    assert found.largest == pytest.approx(np.abs(differences).max())
    assert found.quantiles["p50"] == pytest.approx(np.sort(np.abs(differences))[1], abs=1e-4)
    assert sum(share.rows for share in found.distribution) == 3
    assert found.table == [[0, 0, 0], [0, 0, 0], [0, 2, 0]]
    assert found.without_category == 1
    assert [each.prediction_id for each in found.worst] == [1, 2]
    assert found.worst[0].stored_category == "High"
    assert found.net is None


def test_the_worst_of_many_batches_are_the_worst_of_all() -> None:
    risks = np.random.default_rng(5).uniform(0, 1, 60)
    rows = [
        row(n + 1, probability=float(risk), model_version="older") for n, risk in enumerate(risks)
    ]

    found = replayed(*rows, options=ReplayOptions(worst=7), at_once=11).others

    gaps = [abs(row(n + 1)["probability"] - risk) for n, risk in enumerate(risks)]
    assert [each.prediction_id - 1 for each in found.worst] == np.argsort(gaps)[::-1][:7].tolist()


def test_outcomes_give_a_net_reclassification_of_either_kind_of_patient() -> None:
    up = {"risk_category": "Low", "model_version": "older"}
    down = {"risk_category": "High", "model_version": "older"}
    stays = {"risk_category": "Medium", "model_version": "older"}
    rows = [
        *[row(number, **up) for number in (1, 2, 3)],
        *[row(number, **down) for number in (4, 5)],
        *[row(number, **stays) for number in (6, 7, 8)],
    ]
    outcomes = {1: True, 2: True, 4: True, 6: True, 3: False, 5: False, 7: False, 99: True}

    net = replayed(*rows, outcomes=outcomes, at_once=3).others.net

    assert net is not None
    assert (net.strokes, net.others) == (4, 3)
    assert net.events is not None
    assert net.non_events is not None
    assert net.events.value == pytest.approx((2 - 1) / 4)
    assert net.non_events.value == pytest.approx((1 - 1) / 3)
    assert net.table_of_strokes == [[0, 2, 0], [0, 1, 0], [0, 1, 0]]


def test_a_column_of_outcomes_is_taken_instead_of_the_known_ones() -> None:
    old = {"model_version": "older"}
    rows = [row(1, stroke=True, **old), row(2, stroke=None, **old), row(3, stroke=False, **old)]

    net = replayed(*rows, outcomes={2: True}).others.net

    assert net is not None
    assert (net.strokes, net.others) == (1, 1)


def test_a_net_share_has_the_interval_of_two_shares_of_one_multinomial() -> None:
    # 10 of 100 up, 4 down: 0.06, variance (0.14 - 0.0036) / 100.
    table = np.array([[40, 6, 4], [3, 30, 0], [1, 0, 16]])

    found = net_share(table, up=True)

    assert found is not None
    assert found.value == pytest.approx(0.06)
    assert found.high - found.value == pytest.approx(1.959964 * (0.1364 / 100) ** 0.5)
    assert net_share(np.zeros((3, 3), np.int64), up=True) is None


@given(st.lists(st.lists(st.integers(-3, 100_000) | st.integers(0, 2**62), max_size=8), max_size=8))
def test_an_id_is_seen_for_the_first_time_once(batches: list[list[int]]) -> None:
    seen, past = SeenIds(), set[int]()
    for batch in batches:
        first = seen.first_time(np.array(batch, np.int64))
        for number, is_first in zip(batch, first.tolist(), strict=True):
            assert is_first == (number not in past)
            past.add(number)


def test_the_last_row_is_the_one_reported_as_progress() -> None:
    progress: list[int] = []
    batches = [pa.RecordBatch.from_pylist([row(1), row(2)], STORED)] * 2

    Replay(MODEL, ReplayOptions(), KnownOutcomes()).run(batches, progress.append)

    assert progress == [2, 4]


def test_what_is_known_is_found_by_the_id_in_any_order() -> None:
    outcomes = KnownOutcomes([(9, True, "north"), (2, False, None)])
    outcomes.add([(5, False, "south")])
    ids = np.array([5, 1, 9, 2, 2**62])

    assert len(outcomes) == 3
    assert outcomes.of(ids).tolist() == [0, -1, 1, 0, -1]
    assert outcomes.sites(ids).tolist() == ["south", "", "north", "", ""]
    assert KnownOutcomes().of(ids).tolist() == [-1] * 5
    assert KnownOutcomes().sites(ids).tolist() == [""] * 5


OWN = FakeColumnarRiskModel(further=OF_ALL_KINDS)


@pytest.mark.parametrize("from_data", [True, False])
def test_features_of_a_models_own_are_read_of_the_row(*, from_data: bool) -> None:
    """From ``prediction_data`` of a database or a log, or from columns of a file."""
    values: list[dict[str, Any]] = [
        {"waist": 90.0, "diabetes": 1, "alcohol": "none"},
        {"waist": None, "diabetes": 0, "alcohol": None},
        {"diabetes": None, "waist": 90.0, "alcohol": "some"},
        {"diabetes": 0, "waist": 1e9, "alcohol": "some"},
        {"diabetes": 0, "waist": 90.0, "alcohol": "secret"},
    ]
    logit = np.log(0.5)  # any risk: these rows are of another version
    rows = [
        row(at, model_version="other", probability=float(np.exp(logit)))
        | ({"prediction_data": json.dumps(own)} if from_data else own)
        for at, own in enumerate(values, 1)
    ]
    extra = (
        [pa.field("prediction_data", pa.string())]
        if from_data
        else [
            pa.field("waist", pa.float64()),
            pa.field("diabetes", pa.float64()),
            pa.field("alcohol", pa.string()),
        ]
    )
    batch = pa.RecordBatch.from_pylist(rows, pa.schema([*STORED, *extra]))
    replay = Replay(OWN, ReplayOptions(), known({}))
    report = replay.run([batch])
    assert report.compared == 2
    assert report.passed_over == {IMPLAUSIBLE: 2, LACKING: 1}
    assert [each.prediction_id for each in report.others.worst] == [2, 1]  # fewer of 0.1 each


def test_rows_of_a_model_without_such_features_lack_what_this_one_needs() -> None:
    assert replayed(row(), row(2), model=OWN).passed_over == {LACKING: 2}
    strange = [
        row(at) | {"prediction_data": text}
        for at, text in enumerate(("[]", "{", '{"a":' * 100_000, None), 1)
    ]
    schema = pa.schema([*STORED, pa.field("prediction_data", pa.string())])
    replay = Replay(OWN, ReplayOptions(), known({}))
    assert replay.run([pa.RecordBatch.from_pylist(strange, schema)]).passed_over == {LACKING: 4}
