"""``BatchScoring`` is a scorer of batches as Spark's workers expect one."""

from __future__ import annotations

import pytest

from contracts.scoring import BatchScorerContract, ScorerOf
from fakes.predictions import FakeColumnarRiskModel
from stroke.adapters.arrow.batches import BatchScoring


class TestBatchScoring(BatchScorerContract):
    @pytest.fixture
    def scorer_of(self) -> ScorerOf:
        return lambda schema: BatchScoring(schema, FakeColumnarRiskModel())
