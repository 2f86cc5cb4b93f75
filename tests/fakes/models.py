"""The stores of the models wing in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from fakes.failing import Failing
from fakes.predictions import FakePredictionRepository
from stroke.application.models.ports import (
    AnsweredRisks,
    DeploymentStore,
    ShadowScores,
    Turns,
    Webhook,
)
from stroke.domain.canary import AnsweredRisk
from stroke.domain.deployment import Deployment
from stroke.domain.errors import DeploymentChanged, EndpointUnavailable, PredictionRejected
from stroke.domain.prediction import PredictionFilter
from stroke.domain.shadow import ShadowPair, ShadowScore


class FakeDeploymentStore(Failing, DeploymentStore):
    """A dict by number; remembers how often it was looked at."""

    def __init__(self) -> None:
        self.kept: dict[int, Deployment] = {}
        self.looks = 0

    async def latest(self) -> Deployment | None:
        self.raise_if_failing()
        self.looks += 1
        return self.kept[max(self.kept)] if self.kept else None

    async def append(self, entries: Sequence[Deployment]) -> None:
        self.raise_if_failing()
        new = {each.number: each for each in entries}
        if new.keys() & self.kept.keys():
            raise DeploymentChanged("the deployment was changed by somebody else meanwhile")
        self.kept |= new

    async def history(self, *, limit: int, before: int | None = None) -> list[Deployment]:
        self.raise_if_failing()
        numbers = sorted((n for n in self.kept if before is None or n < before), reverse=True)
        return [self.kept[number] for number in numbers[:limit]]


class FakeShadowScores(Failing, ShadowScores):
    """Scores beside the rows of a fake repository; remembers the size of each call."""

    def __init__(self, predictions: FakePredictionRepository) -> None:
        self._predictions = predictions
        self.kept: dict[tuple[str, int], ShadowScore] = {}
        self.calls: list[int] = []
        self.closed = 0

    async def add(self, scores: Sequence[ShadowScore]) -> int:
        self.raise_if_failing()
        self.calls.append(len(scores))
        new = dict(self.kept)
        for each in scores:
            if each.prediction_id not in self._predictions.rows:
                continue
            if (each.model_version, each.prediction_id) in new:
                raise PredictionRejected("it was stored before")
            new[each.model_version, each.prediction_id] = each
        added = len(new) - len(self.kept)
        self.kept = new
        return added

    async def versions(self) -> list[str]:
        self.raise_if_failing()
        return sorted({version for version, number in self.kept if self._is_there(number)})

    async def pairs(
        self, version: str, within: PredictionFilter, *, limit: int, before: int | None = None
    ) -> list[ShadowPair]:
        self.raise_if_failing()
        found = []
        for (of, number), score in sorted(self.kept.items(), reverse=True):
            if of != version or not self._is_there(number):
                continue
            row = self._predictions.rows[number]
            if (before is None or number < before) and self._predictions.matches(row, within):
                found.append(
                    ShadowPair(
                        number,
                        row.model_version,
                        row.probability,
                        row.risk_category,
                        score.probability,
                        score.category,
                        score.why_not,
                        row.gender,
                        row.age,
                        row.smoking_status,
                    )
                )
        return found[:limit]

    async def close(self) -> None:
        self.closed += 1

    def _is_there(self, number: int) -> bool:
        return number in self._predictions.rows


class FakeAnsweredRisks(Failing, AnsweredRisks):
    """What the rows of a fake repository say."""

    def __init__(self, predictions: FakePredictionRepository) -> None:
        self._predictions = predictions

    async def newest(self, version: str, since: datetime, *, limit: int) -> list[AnsweredRisk]:
        self.raise_if_failing()
        mine = [row for row in self._predictions.rows.values() if row.model_version == version]
        return [
            AnsweredRisk(row.timestamp, row.probability, row.risk_category)
            for row in sorted(mine, key=lambda row: -row.id)[:limit]
            if row.timestamp is not None
            and row.timestamp >= since
            and row.probability is not None
            and row.risk_category is not None
        ]


class FakeTurns(Failing, Turns):
    """When each task was taken up last."""

    def __init__(self) -> None:
        self.taken: dict[str, datetime] = {}

    async def take(self, task: str, *, now: datetime, every: timedelta) -> bool:
        self.raise_if_failing()
        last = self.taken.get(task)
        if last is not None and now - every < last <= now + every:
            return False
        self.taken[task] = now
        return True


class FakeWebhook(Failing, Webhook):
    """Keeps what it is told; refuses the first ``refusals`` times."""

    def __init__(self, refusals: int = 0) -> None:
        self.documents: list[object] = []
        self.refusals = refusals
        self.asked = 0

    async def send(self, document: Mapping[str, object]) -> None:
        self.asked += 1
        self.raise_if_failing()
        if self.asked <= self.refusals:
            raise EndpointUnavailable("away")
        self.documents.append(dict(document))
