"""Shadows score what the champion scored, after the answer, and nobody waits for them."""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final, NamedTuple, Self

from stroke.application.models.ports import ShadowScores
from stroke.application.predictions.columnar import ColumnarRiskModel
from stroke.application.predictions.deployed import Deployed, Serving
from stroke.application.predictions.patient_columns import columns_of
from stroke.application.predictions.ports import RiskModel
from stroke.domain.errors import InvalidModel
from stroke.domain.patient import Patient
from stroke.domain.prediction import Prediction
from stroke.domain.risk import RiskCategory
from stroke.domain.shadow import ShadowScore, WhyNot

_CATEGORIES: Final = tuple(RiskCategory)
_BACK_OFF: Final = 5.0
"""Seconds for which nothing is stored after the store has failed: scores are counted meanwhile."""

_Stored = tuple[int, Prediction]
_Work = tuple[Deployed, list[_Stored]]


class Agreement(NamedTuple):
    """What a shadow said of one patient beside what the champion answered."""

    champion: RiskCategory
    shadow: RiskCategory
    difference: float
    """Probability of the shadow less that of the champion."""
    gender: str


class Compared(NamedTuple):
    """What became of some patients: compared with a shadow, or not, and why not.

    ``not_stored`` is how many of the scores are not in the store: it failed. ``error`` is what the
    shadow raised, and ``trouble`` what the store did; while the store is left in peace, it is None.
    """

    version: str
    agreements: Sequence[Agreement] = ()
    not_comparable: int = 0
    failed: int = 0
    dropped: int = 0
    not_stored: int = 0
    error: Exception | None = None
    trouble: Exception | None = None


class Storing(NamedTuple):
    """Where scores are kept.

    ``open`` returns the store, in the thread of the shadows. ``now`` returns the time, aware.
    """

    open: Callable[[], ShadowScores]
    now: Callable[[], datetime]


class Spent(NamedTuple):
    """Seconds for which a thread ran on a processor, and for which it waited for one."""

    ran: float
    waited: float


class Yielding(NamedTuple):
    """When shadows make room for those who wait for an answer.

    A worker is busy once the thread that answers runs, or waits for a processor, for ``busy`` of
    the time (0 to 1). Shadows then get the share ``share`` of the time for which that thread runs.
    ``spent`` returns what the thread with a native id has spent so far.
    """

    busy: float
    share: float
    spent: Callable[[int], Spent]


class ShadowScoring:
    """Scores committed predictions of the champion with the shadows, in a thread of its own.

    At most ``most_waiting`` predictions wait for it; more are dropped and counted, so that it never
    slows the service down. With ``yielding``, a busy worker drops what shadows have no time for,
    too. ``seen`` gets what became of them; it must neither block nor raise. A patient who lacks
    what a shadow needs is counted as not comparable. After each run, more patients gather for
    ``gather`` seconds.

    With ``storing``, the scores of a run are stored together, by the same thread on a connection of
    its own. A store that is slow lets the queue fill up, so that patients are dropped; what a store
    that fails did not take is counted.
    """

    def __init__(
        self,
        serving: Serving,
        *,
        most_waiting: int,
        seen: Callable[[Compared], object],
        gather: float = 0.05,
        storing: Storing | None = None,
        yielding: Yielding | None = None,
    ) -> None:
        self._serving = serving
        self._most = most_waiting
        self._seen = seen
        self._gather = gather
        self._storing = storing
        self._yielding = yielding
        self._room = most_waiting
        self._answering: int | None = None
        self._waiting: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._count = 0
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def committed(self, predictions: Sequence[Prediction], ids: Sequence[int]) -> None:
        """Take what one commit made durable, with its ids; returns at once."""
        deployed = self._serving.now
        if not deployed.shadows:
            return
        version = deployed.champion.description.version
        mine = [
            (number, each)
            for number, each in zip(ids, predictions, strict=True)
            if each.model_version == version
        ]
        with self._lock:
            fits = max(self._room - self._count, 0)
            self._count += min(len(mine), fits)
        if len(mine) > fits:
            for shadow in deployed.shadows:
                self._seen(Compared(shadow.description.version, dropped=len(mine) - fits))
        if mine[:fits]:
            self._waiting.put((deployed, mine[:fits]))
            if self._thread is None:
                self._answering = threading.get_native_id()
                self._thread = threading.Thread(target=self._work, name="shadows", daemon=True)
                self._thread.start()

    def close(self, seconds: float = 5) -> None:
        """Score and store what waits, for ``seconds`` at the most, and end the thread."""
        if self._thread is not None:
            self._waiting.put(None)
            self._thread.join(seconds)
            self._thread = None
            self._room = self._most

    def _work(self) -> None:
        pause = threading.Event()
        allowance = _Allowance(self._yielding, self._answering, self._most)
        with _Keeper(self._storing) as keeper:
            more = True
            while more:
                if self._waiting.empty():  # nobody came while patients gathered
                    self._room = self._most
                taken = self._waiting.get()
                began = time.thread_time()
                more, scored = self._score(taken, keeper)
                del taken
                self._room = allowance.after(scored, time.thread_time() - began)
                pause.wait(self._gather)

    def _score(self, taken: _Work | None, keeper: _Keeper) -> tuple[bool, int]:
        """Score ``taken`` and all that waits; return whether more may come, and how many it were.

        A method of its own, for what it knows must be let go while the thread waits.
        """
        scored = 0
        gathered: dict[int, _Work] = {}
        while taken is not None:
            deployed, predictions = taken
            gathered.setdefault(id(deployed), (deployed, []))[1].extend(predictions)
            try:
                taken = self._waiting.get_nowait()
            except queue.Empty:
                break
        for deployed, predictions in gathered.values():
            for shadow in deployed.shadows:
                compared, scores = _compared(shadow, predictions, keeper.now())
                not_stored, trouble = keeper.keep(scores)
                self._seen(compared._replace(not_stored=not_stored, trouble=trouble))
            scored += len(predictions)
            with self._lock:
                self._count -= len(predictions)
        return taken is not None, scored


class _Allowance:
    """How many patients may wait for the next run, by what the last one cost."""

    def __init__(self, yielding: Yielding | None, answering: int | None, most: int) -> None:
        self._yielding = yielding
        self._answering = answering or 0
        self._most = most
        self._at = time.monotonic()
        self._spent = Spent(0.0, 0.0) if yielding is None else yielding.spent(self._answering)

    def after(self, patients: int, seconds: float) -> int:
        """Return the number after a run of ``patients`` that took ``seconds`` of a processor.

        One patient at least, so that the next run says anew what a patient costs.
        """
        if self._yielding is None:
            return self._most
        at, spent = time.monotonic(), self._yielding.spent(self._answering)
        passed, ran = at - self._at, spent.ran - self._spent.ran
        used = ran + spent.waited - self._spent.waited
        self._at, self._spent = at, spent
        if used < self._yielding.busy * passed or seconds <= 0:
            return self._most
        return min(max(int(self._yielding.share * ran * patients / seconds), 1), self._most)


class _Keeper:
    """Stores scores from the thread of the shadows, on an event loop of its own."""

    def __init__(self, storing: Storing | None) -> None:
        self._storing = storing
        self._runner = asyncio.Runner()
        self._store: ShadowScores | None = None
        self._not_before = float("-inf")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            if self._store is not None:
                with suppress(Exception):  # the process ends, or the next thread opens another one
                    self._runner.run(self._store.close())
        finally:
            self._runner.close()

    def now(self) -> datetime:
        return datetime.now(UTC) if self._storing is None else self._storing.now()

    def keep(self, scores: Sequence[ShadowScore]) -> tuple[int, Exception | None]:
        """Store ``scores``, and return how many could not be, and what the store raised."""
        if self._storing is None or not scores:
            return 0, None
        if time.monotonic() < self._not_before:
            return len(scores), None
        try:
            if self._store is None:
                self._store = self._storing.open()
            self._runner.run(self._store.add(scores))
        except Exception as error:  # noqa: BLE001 -- whatever the store does, the service goes on
            self._not_before = time.monotonic() + _BACK_OFF
            return len(scores), error
        return 0, None


def _compared(
    shadow: RiskModel, stored: Sequence[_Stored], now: datetime
) -> tuple[Compared, list[ShadowScore]]:
    described = shadow.description
    version = described.version
    fit = [each for each in stored if described.takes(each[1].patient)]
    scores: list[ShadowScore] = []
    if len(fit) < len(stored):
        known = {number for number, _ in fit}
        scores = [
            ShadowScore(number, version, now, why_not=WhyNot.LACKING)
            for number, _ in stored
            if number not in known
        ]
    rest = len(scores)
    if not fit:
        return Compared(version, not_comparable=rest), scores
    try:
        scored = _scored(shadow, [each.patient for _, each in fit])
    except Exception as error:  # noqa: BLE001 -- whatever a shadow does, the service goes on
        scores += [ShadowScore(number, version, now, why_not=WhyNot.FAILED) for number, _ in fit]
        return Compared(version, not_comparable=rest, failed=len(fit), error=error), scores
    agreements = []
    for (number, each), (probability, category) in zip(fit, scored, strict=True):
        answered = each.assessment
        scores.append(ShadowScore(number, version, now, probability, category))
        agreements.append(
            Agreement(
                answered.category,
                category,
                probability - answered.probability,
                each.patient.gender,
            )
        )
    return Compared(version, agreements, not_comparable=rest), scores


def _scored(model: RiskModel, patients: Sequence[Patient]) -> list[tuple[float, RiskCategory]]:
    """Return probability and category of each; by columns where the model can, which is cheaper.

    Nobody reads an explanation of a shadow, so none is computed.
    """
    if not isinstance(model, ColumnarRiskModel):
        return [(each.probability, each.category) for each in model.assess(patients)]
    risks = model.risks(columns_of(patients, model.description.further))
    if not ((risks.probability >= 0) & (risks.probability <= 1)).all():  # NaN is neither
        raise InvalidModel("the graph gives a probability that is none")
    categories = [_CATEGORIES[each] for each in risks.categories(model.description).tolist()]
    return list(zip(risks.probability.tolist(), categories, strict=True))
