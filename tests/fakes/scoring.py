"""A fake scorer of batches."""

from __future__ import annotations

import pyarrow as pa

from stroke.application.predictions.batch_scoring import BatchScorer, RejectedPlace, ScoredBatch


class FakeBatchScorer(BatchScorer):
    """Gives each patient a probability that grows with age; looks at nothing else."""

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema.append(pa.field("probability", pa.float64()))

    @property
    def schema(self) -> pa.Schema:
        return self._schema

    def score(self, batch: pa.RecordBatch) -> ScoredBatch:
        ages: list[float] = batch.column("age").to_pylist()
        good = [at for at, age in enumerate(ages) if age <= 120]
        kept = batch.take(pa.array(good, pa.int64()))
        probabilities = pa.array([ages[at] / 200 for at in good], pa.float64())
        rejects = [
            RejectedPlace(at, "age must be 0 to 120 years")
            for at in range(len(ages))
            if at not in good
        ]
        return ScoredBatch(
            pa.record_batch([*kept.columns, probabilities], schema=self._schema), rejects
        )
