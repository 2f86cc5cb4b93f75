"""Behaviour that every scorer of batches shares: the fake's and the real one's."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa

from builders.predictions import patient_json
from stroke.application.predictions.batch_scoring import BatchScorer, RejectedPlace

ScorerOf = Callable[[pa.Schema], BatchScorer]


def batch_of(*changes: dict[str, Any]) -> pa.RecordBatch:
    """Return a row per mapping of what differs from a plain patient."""
    return pa.RecordBatch.from_pylist([{**patient_json(), **change} for change in changes])


class BatchScorerContract:
    """Provide a fixture ``scorer_of``: what makes a scorer of a schema."""

    def test_scored_rows_keep_their_columns_and_their_order(self, scorer_of: ScorerOf) -> None:
        given = batch_of({"age": 80.0}, {"age": 20.0}, {"age": 50.0})
        scorer = scorer_of(given.schema)
        rows, rejects = scorer.score(given)

        assert rejects == []
        assert rows.schema == scorer.schema
        assert rows.select(given.schema.names).equals(given)
        probabilities = rows.column("probability").to_pylist()
        alone = [scorer.score(given.slice(at, 1)).rows.column("probability") for at in range(3)]
        assert probabilities == [each.to_pylist()[0] for each in alone]
        assert len(set(probabilities)) == 3

    def test_a_row_that_cannot_be_scored_comes_back_with_its_place(
        self, scorer_of: ScorerOf
    ) -> None:
        given = batch_of({}, {"age": 130.0}, {"age": 20.0}, {"age": 131.0})
        rows, rejects = scorer_of(given.schema).score(given)

        assert rows.select(given.schema.names).equals(given.take(pa.array([0, 2])))
        reason = "age must be 0 to 120 years"
        assert rejects == [RejectedPlace(1, reason), RejectedPlace(3, reason)]

    def test_a_batch_without_a_good_row_gives_none(self, scorer_of: ScorerOf) -> None:
        given = batch_of({"age": 130.0})
        scorer = scorer_of(given.schema)

        for batch in (given, given.slice(0, 0)):
            rows, rejects = scorer.score(batch)
            assert rows.num_rows == 0
            assert rows.schema == scorer.schema
            assert len(rejects) == batch.num_rows

    def test_threads_may_share_a_scorer(self, scorer_of: ScorerOf) -> None:
        given = batch_of({}, {"age": 130.0}, {"age": 20.0})
        scorer = scorer_of(given.schema)
        expected = scorer.score(given)
        with ThreadPoolExecutor(4) as threads:
            for scored in threads.map(lambda _: scorer.score(given), range(40)):
                assert scored == expected
