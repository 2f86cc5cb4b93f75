"""SharedGuard judges a canary by what all workers have stored, outcomes included."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from math import exp, log
from typing import Final, NamedTuple

import numpy as np

from stroke.application.models.guards import Breach, Limits, Seen, shifted
from stroke.application.models.ports import AnsweredRisks, DeploymentStore, Turns
from stroke.application.predictions.deployed import Deployed
from stroke.application.predictions.ports import OutcomeRepository
from stroke.application.quality.calibration import (
    Floats,
    Labels,
    observed_to_expected_interval,
)
from stroke.application.quality.discrimination import area_interval
from stroke.domain.canary import AnsweredRisk
from stroke.domain.performance import Estimate
from stroke.domain.prediction import PredictionFilter

_TASK: Final = "canary-guard"
_PAGE: Final = 1_000
_FEWEST_OTHERS: Final = 2  # patients without a stroke, as DeLong's variance needs


class OutcomeLimits(NamedTuple):
    """From what on outcomes take a canary back.

    ``outcomes`` is how many of each model must be known, ``strokes`` how many of them must be
    strokes. ``oe_ratio`` is how many times observed / expected may be the champion's, or a part of
    it; ``auc_drop`` how much lower the AUC may be. Both must be passed by a whole 95 % interval.
    """

    outcomes: int
    strokes: int
    oe_ratio: float
    auc_drop: float


class Judged(NamedTuple):
    """Patients of one model with a known outcome: arrays of the shape ``(N,)``."""

    outcome: Labels
    probability: Floats

    @property
    def strokes(self) -> int:
        """How many of them had a stroke."""
        return int(self.outcome.sum())


class SharedGuard:
    """Judges the canary from the database, once in each ``every`` by one of all workers.

    Bands and scores are those of the newest ``newest`` predictions of each model since the canary
    began, cut to the time that both cover. Outcomes are all that are known of predictions since
    then. ``now`` returns the time, aware.
    """

    def __init__(
        self,
        store: DeploymentStore,
        answered: AnsweredRisks,
        outcomes: OutcomeRepository,
        turns: Turns,
        *,
        limits: Limits,
        outcome_limits: OutcomeLimits,
        newest: int,
        every: timedelta,
        now: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._answered = answered
        self._outcomes = outcomes
        self._turns = turns
        self._limits = limits
        self._outcome_limits = outcome_limits
        self._newest = newest
        self._every = every
        self._now = now

    async def breach(self, deployed: Deployed) -> Breach | None:
        """Return what is wrong with the canary of ``deployed``; None where nothing is.

        None, too, where there is no canary, or it is another worker's turn. Raises
        ``StoreUnavailable``.
        """
        if deployed.challenger is None:
            return None
        if not await self._turns.take(_TASK, now=self._now(), every=self._every):
            return None
        found = await self._store.latest()
        if found is None or found.number != deployed.number or found.challenger is None:
            return None  # it was changed meanwhile: the next turn sees what holds
        since = found.challenger.since
        if since is None:
            return None
        champion, canary = found.champion.version, found.challenger.version
        return await self._by_risks(champion, canary, since) or await self._by_outcomes(
            champion, canary, since
        )

    async def _by_risks(self, champion: str, canary: str, since: datetime) -> Breach | None:
        limit = self._newest
        both = [
            await self._answered.newest(version, since, limit=limit)
            for version in (champion, canary)
        ]
        begins = max([since, *(risks[-1].made_at for risks in both if len(risks) == limit)])
        first, second = (_seen(risks, begins) for risks in both)
        return shifted(first, second, self._limits)

    async def _by_outcomes(self, champion: str, canary: str, since: datetime) -> Breach | None:
        second = await self._judged(canary, since)
        if not self._suffices(second):
            return None  # the canary has fewer: the champion's need not be read
        first = await self._judged(champion, since)
        if not self._suffices(first):
            return None
        return await asyncio.to_thread(worse, first, second, self._outcome_limits)

    def _suffices(self, judged: Judged) -> bool:
        limits, others = self._outcome_limits, len(judged.outcome) - judged.strokes
        return (
            len(judged.outcome) >= limits.outcomes
            and judged.strokes >= limits.strokes
            and others >= _FEWEST_OTHERS
            and judged.probability.sum() > 0
        )

    async def _judged(self, version: str, since: datetime) -> Judged:
        within = PredictionFilter(since=since, model_version=version)
        outcomes: list[bool] = []
        probabilities: list[float] = []
        after = 0
        while page := await self._outcomes.judged(within, limit=_PAGE, after=after):
            after = page[-1].prediction_id
            for row in page:
                if row.probability is not None and 0 <= row.probability <= 1:
                    outcomes.append(row.stroke)
                    probabilities.append(row.probability)
        return Judged(np.array(outcomes, np.int64), np.array(probabilities, np.float64))


def worse(champion: Judged, canary: Judged, limits: OutcomeLimits) -> Breach | None:
    """Return in what the canary is worse than the champion for certain; None where in nothing.

    Patients are drawn at random, so both samples are independent and of one population.
    """
    ratios = [observed_to_expected_interval(*each) for each in (champion, canary)]
    theirs, mine = (_logarithm(each) for each in ratios)
    if mine is not None and theirs is not None and abs(mine.value) > abs(theirs.value):
        apart, most = difference(mine, theirs), log(limits.oe_ratio)
        if apart.low > most or apart.high < -most:
            return Breach(
                "calibration",
                f"observed / expected is {exp(mine.value):.2f}, the champion's "
                f"{exp(theirs.value):.2f} (limit {limits.oe_ratio:g} times)",
            )
    areas = [area_interval(*each) for each in (champion, canary)]
    fallen = difference(areas[1], areas[0])
    if fallen.high < -limits.auc_drop:
        return Breach(
            "auc",
            f"the AUC is {areas[1].value:.3f}, the champion's {areas[0].value:.3f} "
            f"(limit {limits.auc_drop:g} less)",
        )
    return None


def difference(first: Estimate, second: Estimate) -> Estimate:
    """Return ``first`` less ``second`` of two independent samples, with its interval.

    From the two intervals by the method of variance estimates recovery (Zou and Donner 2008,
    Statistics in Medicine 27:1693), which keeps their asymmetry.
    """
    value = first.value - second.value
    down = ((first.value - first.low) ** 2 + (second.high - second.value) ** 2) ** 0.5
    up = ((first.high - first.value) ** 2 + (second.value - second.low) ** 2) ** 0.5
    return Estimate.bounded(value, value - down, value + up)


def _logarithm(found: Estimate) -> Estimate | None:
    return Estimate(*map(log, found)) if found.low > 0 else None


def _seen(risks: Sequence[AnsweredRisk], begins: datetime) -> Seen:
    seen = Seen()
    for each in risks:
        if each.made_at >= begins:
            seen.add(each.probability, each.category)
    return seen
