"""Record, find and take back outcomes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from stroke.application.predictions.ports import OutcomeRepository
from stroke.domain.errors import InvalidOutcome, OutcomeNotFound, PredictionNotFound
from stroke.domain.outcome import KnownPrediction, Outcome, OutcomeRecord


@dataclass(slots=True)
class RecordedOutcomes:
    """What became of several outcomes; ``refused`` has a reason by the place in their list."""

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    refused: dict[int, str] = field(default_factory=dict)


class OutcomeService:
    """Outcomes of stored predictions. ``now`` is aware, UTC.

    An outcome may be sent again: the same one changes nothing, another one takes its place.
    """

    def __init__(self, repository: OutcomeRepository, *, now: Callable[[], datetime]) -> None:
        self._repository = repository
        self._now = now

    async def record(
        self, outcome: Outcome, *, site: str | None = None
    ) -> tuple[OutcomeRecord, bool]:
        """Return the outcome once it is durable, and whether its prediction had none before.

        With a ``site``, here and below, a prediction of another one is not found.

        Raises ``PredictionNotFound``, ``InvalidOutcome`` (see ``Outcome.check_date``) or
        ``StoreUnavailable``.
        """
        known = await self._known(outcome.prediction_id, site)
        now = self._now()
        outcome.check_date(made_at=known.made_at, now=now)
        if known.outcome is not None and known.outcome.says(outcome):
            return known.outcome, False
        record = _recorded(outcome, now)
        await self._repository.put([record])
        return record, known.outcome is None

    async def record_many(
        self, outcomes: Sequence[Outcome], *, dry_run: bool = False
    ) -> RecordedOutcomes:
        """Store what can be stored, in one transaction; no prediction may be named twice.

        With ``dry_run`` only say what would become of them. Raises ``StoreUnavailable``.
        """
        while True:
            known = await self._repository.known([each.prediction_id for each in outcomes])
            recorded, records = self._sorted(outcomes, known)
            if dry_run:
                return recorded
            try:
                await self._repository.put(records)
            except PredictionNotFound:  # erased since: look again
                continue
            return recorded

    async def find(self, prediction_id: int, *, site: str | None = None) -> OutcomeRecord:
        """Return an outcome. Raises ``PredictionNotFound`` or ``OutcomeNotFound``."""
        found = (await self._known(prediction_id, site)).outcome
        if found is None:
            raise OutcomeNotFound(prediction_id)
        return found

    async def of(self, prediction_ids: Sequence[int]) -> dict[int, OutcomeRecord]:
        """Return the outcomes of these predictions that have one. Raises ``StoreUnavailable``."""
        known = await self._repository.known(prediction_ids)
        return {each: found.outcome for each, found in known.items() if found.outcome is not None}

    async def withdraw(self, prediction_id: int, *, site: str | None = None) -> None:
        """Take a mistaken outcome back. Raises ``PredictionNotFound`` or ``OutcomeNotFound``."""
        if site is not None:
            await self._known(prediction_id, site)
        await self._repository.remove(prediction_id)

    async def _known(self, prediction_id: int, site: str | None) -> KnownPrediction:
        known = (await self._repository.known([prediction_id])).get(prediction_id)
        if known is None or (site is not None and known.site != site):
            raise PredictionNotFound(prediction_id)
        return known

    def _sorted(
        self, outcomes: Sequence[Outcome], known: dict[int, KnownPrediction]
    ) -> tuple[RecordedOutcomes, list[OutcomeRecord]]:
        now = self._now()
        recorded, records = RecordedOutcomes(), []
        for place, outcome in enumerate(outcomes):
            prediction = known.get(outcome.prediction_id)
            if prediction is None:
                recorded.refused[place] = "no prediction has this id"
                continue
            try:
                outcome.check_date(made_at=prediction.made_at, now=now)
            except InvalidOutcome as error:
                recorded.refused[place] = str(error)
                continue
            if prediction.outcome is not None and prediction.outcome.says(outcome):
                recorded.unchanged += 1
                continue
            recorded.new += prediction.outcome is None
            recorded.changed += prediction.outcome is not None
            records.append(_recorded(outcome, now))
        return recorded, records


def _recorded(outcome: Outcome, now: datetime) -> OutcomeRecord:
    return OutcomeRecord(
        outcome.prediction_id, outcome.stroke, outcome.date, outcome.source, recorded_at=now
    )
