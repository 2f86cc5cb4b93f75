"""Fakes of the ports of charts."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from fakes.predictions import FakePredictionRepository
from stroke.application.clinical.ports import (
    AssessmentStore,
    ClinicalObserver,
    Document,
    NotFetched,
    RecordServer,
)
from stroke.domain.clinical.kept import AssessmentFilter, CardTally, Feedback, KeptAssessment
from stroke.domain.errors import AssessmentErased, AssessmentNotFound, PredictionNotFound


class FakeAssessmentStore(AssessmentStore):
    """Keeps assessments beside the predictions of a fake, and forgets them with those."""

    def __init__(self, predictions: FakePredictionRepository) -> None:
        self._predictions = predictions
        self.kept: dict[str, KeptAssessment] = {}
        self.feedback: dict[str, Feedback] = {}

    async def keep(self, assessment: KeptAssessment) -> KeptAssessment:
        self._look()
        if self._is_erased(assessment):
            raise PredictionNotFound(assessment.prediction_id)
        return self.kept.setdefault(assessment.id, assessment)

    async def get(self, assessment_id: str, *, site: str | None = None) -> KeptAssessment:
        self._look()
        if assessment_id not in self.kept:
            raise AssessmentNotFound
        found = self.kept[assessment_id]
        if site is not None and found.site != site:
            raise AssessmentNotFound
        if self._is_erased(found):
            raise AssessmentErased
        return found

    async def page(
        self, narrowed: AssessmentFilter, *, limit: int, before: int | None = None
    ) -> list[KeptAssessment]:
        self._look()
        found = self._matching(narrowed)
        found.sort(key=lambda each: -each.prediction_id)
        return [each for each in found if before is None or each.prediction_id < before][:limit]

    async def count(self, narrowed: AssessmentFilter) -> int:
        self._look()
        return len(self._matching(narrowed))

    async def put_feedback(
        self, feedback: Sequence[Feedback], *, site: str | None = None
    ) -> dict[str, str]:
        self._look()
        new: dict[str, str] = {}
        known = {each.id: each for each in self._matching(AssessmentFilter(site=site))}
        for each in feedback:
            if each.assessment_id not in known:
                continue
            former = self.feedback.get(each.assessment_id)
            if former is None:
                new[each.assessment_id] = known[each.assessment_id].model_version
            if former is None or former.at <= each.at:
                self.feedback[each.assessment_id] = each
        return new

    async def models(self) -> list[str]:
        self._look()
        return sorted({each.model_version for each in self.kept.values()})

    async def tally(self, narrowed: AssessmentFilter) -> list[CardTally]:
        self._look()
        counts: Counter[tuple[str, str, str | None]] = Counter()
        for each in self._matching(narrowed):
            if each.shown:
                given = self.feedback.get(each.id)
                verdict = "ignored" if given is None else given.verdict
                counts[each.model_version, verdict, given.reason if given else None] += 1
        tallies = [CardTally(*key, count) for key, count in counts.items()]  # type: ignore[arg-type]
        return sorted(tallies, key=lambda t: (t.model_version, t.verdict, t.reason or ""))

    def _look(self) -> None:
        self._predictions.raise_if_failing()

    def _is_erased(self, kept: KeptAssessment) -> bool:
        return kept.prediction_id not in self._predictions.rows

    def _matching(self, narrowed: AssessmentFilter) -> list[KeptAssessment]:
        return [
            each
            for each in self.kept.values()
            if not self._is_erased(each)
            and narrowed.subject in (None, each.subject)
            and narrowed.site in (None, each.site)
            and (narrowed.since is None or each.made_at >= narrowed.since)
            and (narrowed.until is None or each.made_at < narrowed.until)
            and (narrowed.ids is None or each.id in narrowed.ids)
            and not any(first <= each.made_at < end for first, end in narrowed.outside)
        ]


class FakeRecordServer(RecordServer):
    """Answers what it is given by the target behind ``base``; bytes are what is no JSON.

    ``delays`` are seconds by target; ``asked`` has the addresses and tokens.
    """

    base = "https://ehr.example/fhir"

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.delays: dict[str, float] = {}
        self.asked: list[tuple[str, str]] = []

    async def read(self, url: str, token: str, *, most_bytes: int) -> Document:
        self.asked.append((url, token))
        if not url.startswith(f"{self.base}/") and not url.startswith(f"{self.base}?"):
            raise NotFetched("away")
        target = url[len(self.base) + 1 :]
        bare = target.partition("?")[0]
        await asyncio.sleep(self.delays.get(bare, 0))
        content = self.answers.get(target, self.answers.get(bare))
        if content is None:
            raise NotFetched("refused")
        if isinstance(content, bytes):
            raise NotFetched("no-json")
        size = len(json.dumps(content, ensure_ascii=False).encode())
        if size > most_bytes:
            raise NotFetched("too-long")
        return Document(content, size)


class FakeClinicalObserver(ClinicalObserver):
    """Counts what it receives."""

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()

    def answered(self, answer: str, unmapped: Mapping[str, int]) -> None:
        self.seen[answer] += 1
        self.seen.update(unmapped)

    def fetched(self, result: str) -> None:
        self.seen[result] += 1

    def judged(self, model_version: str, verdict: str, reason: str | None) -> None:
        self.seen[" ".join(filter(None, (model_version, verdict, reason)))] += 1
