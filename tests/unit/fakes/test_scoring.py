"""The fake scorer of batches behaves as the real one does."""

from __future__ import annotations

import pytest

from contracts.scoring import BatchScorerContract, ScorerOf
from fakes.scoring import FakeBatchScorer


class TestFakeBatchScorer(BatchScorerContract):
    @pytest.fixture
    def scorer_of(self) -> ScorerOf:
        return FakeBatchScorer
