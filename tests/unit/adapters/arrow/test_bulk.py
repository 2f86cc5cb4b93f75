from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.columnar import csv_text
from builders.predictions import patient
from fakes.predictions import FakeColumnarRiskModel, FakeRiskModel
from runner.examples import examples
from stroke.adapters.arrow import bulk
from stroke.adapters.arrow.bulk import BulkScoring
from stroke.application.predictions.file_scoring import RejectedLine, ScoringProgress
from stroke.domain.errors import InvalidData, RowsUnaccounted, StoreUnavailable
from stroke.domain.patient import OPTIONAL, Patient


class Scored:
    """What one run gave."""

    def __init__(self, data: bytes, **options: Any) -> None:
        self.text, self.rejects, self.read = b"", list[RejectedLine](), list[int]()
        usual = FakeColumnarRiskModel(options.pop("may_be_missing", ()))
        model = options.pop("model", usual)
        self.bulk = BulkScoring(io.BytesIO(data), model=model, **options)
        self.tally: ScoringProgress = self.bulk.run(
            self._write, self.rejects.append, self.read.append
        )

    def _write(self, text: Any) -> None:
        self.text += bytes(text)

    @property
    def rows(self) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(self.text.decode(), newline="")))


def ages(count: int) -> list[dict[str, Any]]:
    return [{"age": age % 121, "name": f"Ānna {age}"} for age in range(count)]


def test_each_row_gets_the_score_that_the_model_gives_its_patient() -> None:
    changes: list[dict[str, Any]] = [
        {"age": 80, "hypertension": 1},
        {"age": 3},
        {"gender": "Other"},
    ]
    scored = Scored(csv_text(*changes))
    patients = [patient(**{**change, "age": float(change.get("age", 45.5))}) for change in changes]
    for row, expected in zip(scored.rows, FakeRiskModel().assess(patients), strict=True):
        assert float(row["probability"]) == pytest.approx(expected.probability, abs=1e-12)
        assert row["risk_category"] == expected.category
        assert row["contributing_factors"] == ";".join(expected.factors)
        assert row["model_version"] == "fake-1"
    assert scored.tally == ScoringProgress(rows=3, scored=3, next_line=5, variants={"full": 3})


@pytest.mark.parametrize("storing", [False, True])
def test_rows_with_gaps_get_the_scores_of_the_companions_and_keep_their_cells(
    storing: bool,
) -> None:
    changes: list[dict[str, Any]] = [
        {"bmi": "N/A"},
        {"avg_glucose_level": ""},
        {"bmi": "NULL", "avg_glucose_level": "-", "age": "80"},
        {},
        {"bmi": "heavy"},
    ]
    stored: list[Patient] = []

    def store(patients: Sequence[Patient]) -> list[int]:
        stored.extend(patients)
        return list(range(1, len(patients) + 1))

    found = Scored(csv_text(*changes), may_be_missing=OPTIONAL, store=store if storing else None)
    assert [(reject.line, reject.reason) for reject in found.rejects] == [
        (6, "bmi must be a number")
    ]
    people = [
        patient(bmi=None),
        patient(avg_glucose_level=None),
        patient(bmi=None, avg_glucose_level=None, age=80.0),
        patient(),
    ]
    assert [(row["bmi"], row["avg_glucose_level"]) for row in found.rows] == [
        ("N/A", "95.2"),
        ("26.8", ""),
        ("NULL", "-"),
        ("26.8", "95.2"),
    ]
    for row, expected in zip(found.rows, FakeRiskModel(OPTIONAL).assess(people), strict=True):
        assert float(row["probability"]) == pytest.approx(expected.probability, abs=1e-12)
        assert row["risk_category"] == expected.category
    assert stored == (people if storing else [])


def test_input_columns_pass_through_as_they_are_written() -> None:
    data = csv_text({"note": 'a "b",\nc'}, {"note": " 007 "}, extra=("note", "id"), newline="\r\n")
    lines = Scored(data).text.split(b"\r\n")
    assert [line.startswith(b) for line, b in zip(lines, data.split(b"\r\n"), strict=True)] == (
        [True] * 4
    )


def test_bad_rows_are_left_out_and_named_by_line() -> None:
    data = b"\xef\xbb\xbf" + csv_text({"name": "a\nb"}, {}, {"bmi": "N/A"}, newline="\r\n")
    data += b"too,short\r\n\r\n\xff\r\n" + csv_text({"age": "+80"}).splitlines()[1]
    scored = Scored(data)
    assert scored.rejects == [
        (2, "name must not contain control characters"),
        (5, "bmi must be a number"),
        (6, "has 2 cells, the header has 10"),
        (8, "is not UTF-8 text"),
    ]
    assert [row["age"] for row in scored.rows] == ["45.5", "+80"]
    assert (scored.tally.rows, scored.tally.scored, scored.tally.rejected) == (6, 2, 4)


def test_rows_and_cells_without_a_value_do_not_count() -> None:
    blank, surplus = b"," * 9, csv_text({"age": 80}).splitlines()[1] + b',, ,""'
    scored = Scored(csv_text({}) + blank + b"\n" + surplus + b"\n" + blank + b",\n \n" + blank)
    assert [row["age"] for row in scored.rows] == ["45.5", "80"]
    assert {None} & set(scored.rows[1]) == set()
    assert (scored.rejects, scored.tally.rows) == ([], 2)


class ModelWithoutScores(FakeColumnarRiskModel):
    """Breaks what its port promises: patients get no score."""

    def score(self, *_: Any, **__: Any) -> Any:
        return None


def test_a_row_that_is_lost_ends_the_run_with_an_error() -> None:
    with pytest.raises(RowsUnaccounted, match="2 rows were read, 0 kept and 1 rejected"):
        Scored(csv_text({}, {"bmi": ""}), model=ModelWithoutScores())


def test_no_reason_quotes_a_value() -> None:
    secret = "4815162342"
    fields = ("age", "bmi", "avg_glucose_level", "hypertension", "gender", "smoking_status")
    rejects = Scored(csv_text(*[{field: secret} for field in fields])).rejects
    assert len(rejects) == len(fields)
    assert secret not in str(rejects)


@given(st.integers(1, 2000), st.integers(1, 4), st.integers(0, 60))
@settings(max_examples=examples(25))
def test_blocks_and_threads_change_nothing(block_bytes: int, workers: int, count: int) -> None:
    data = csv_text(*ages(count), {"bmi": ""}, *ages(3))
    whole = Scored(data)
    parts = Scored(data, block_bytes=block_bytes, workers=workers)
    assert (parts.text, parts.rejects, parts.tally) == (whole.text, whole.rejects, whole.tally)
    assert parts.read[-1] == len(data)


def test_a_file_without_rows_gives_a_header() -> None:
    scored = Scored(csv_text())
    assert scored.text.endswith(b",probability,risk_category,contributing_factors,model_version\n")
    assert scored.tally.rows == 0


def test_rows_before_the_line_to_start_from_are_passed_over() -> None:
    data = csv_text({"bmi": ""}, {"name": "x", "age": 7}, {"age": 8}, {"age": 9})
    scored = Scored(data, from_line=4)
    assert [row["age"] for row in scored.rows] == ["8", "9"]
    assert scored.rejects == []
    assert Scored(data, from_line=99).rows == []


def test_an_unclosed_quote_is_an_error_that_names_its_line() -> None:
    with pytest.raises(InvalidData, match="line 3"):
        Scored(csv_text({}) + b'"oops,1\n')


class Store:
    """Numbers patients from 1; raises when it would hold more than ``room``."""

    def __init__(self, room: int = 10**9) -> None:
        self.batches: list[list[Patient]] = []
        self.room = room

    def __call__(self, patients: Sequence[Patient]) -> list[int]:
        before = sum(map(len, self.batches))
        if before + len(patients) > self.room:
            raise StoreUnavailable("the database is away")
        self.batches.append(list(patients))
        return list(range(before + 1, before + len(patients) + 1))


def test_stored_rows_are_the_patients_in_order_and_carry_their_ids() -> None:
    store = Store()
    scored = Scored(csv_text(*ages(5), {"bmi": "N/A"}, {"age": 11}), store=store)
    stored = [person for batch in store.batches for person in batch]
    assert [person.age for person in stored] == [0, 1, 2, 3, 4, 11]
    assert [row["prediction_id"] for row in scored.rows] == list("123456")
    assert [row["name"] for row in scored.rows] == [person.name for person in stored]
    assert scored.tally == ScoringProgress(
        rows=7, scored=6, rejected=1, stored=6, next_line=9, variants={"full": 6}
    )


def test_each_transaction_takes_a_batch_of_bounded_size() -> None:
    store = Store()
    Scored(csv_text(*ages(2500)), store=store)
    assert [len(batch) for batch in store.batches] == [1000, 1000, 500]
    assert bulk.STORE_AT_A_TIME == 1000


def test_after_a_failure_the_tally_says_where_to_go_on() -> None:
    data = csv_text({"bmi": ""}, *ages(2500))
    first = BulkScoring(io.BytesIO(data), model=FakeColumnarRiskModel(), store=Store(room=2000))
    with pytest.raises(StoreUnavailable):
        first.run(lambda _: None, lambda _: None, lambda _: None)
    assert (first.tally.stored, first.tally.next_line) == (2000, 2003)
    rest = Store()
    Scored(data, store=rest, from_line=first.tally.next_line)
    assert [person.name for batch in rest.batches for person in batch] == [
        f"Ānna {age}" for age in range(2000, 2500)
    ]


def test_names_and_places_are_needed_to_store_and_not_to_score() -> None:
    lines = csv_text({}).decode().splitlines()
    data = "\n".join(line.rsplit(",", 3)[0] for line in lines).encode()
    assert len(Scored(data).rows) == 1
    with pytest.raises(InvalidData, match="name, country, province"):
        Scored(data, store=Store())
