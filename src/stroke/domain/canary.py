"""What judging a canary needs of stored predictions."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple


class AnsweredRisk(NamedTuple):
    """What one model answered one patient, and when (aware, UTC)."""

    made_at: datetime
    probability: float
    category: str
