"""Shadows score what the champion scored, after the answer, and nobody waits for them."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stroke.application.predictions.columnar import ColumnarRiskModel
from stroke.application.predictions.deployed import Deployed, Serving
from stroke.application.predictions.ports import RiskModel
from stroke.domain.features import RAW_FEATURES, TEXT_FEATURES
from stroke.domain.patient import Patient, lacking
from stroke.domain.prediction import Prediction
from stroke.domain.risk import RiskCategory

_CATEGORIES: Final = tuple(RiskCategory)
_PAUSE: Final = 0.05
"""Seconds after each run, in which more patients gather for the next one."""


_Work = tuple[Deployed, list[Prediction]]


class Agreement(NamedTuple):
    """What a shadow said of one patient beside what the champion answered."""

    champion: RiskCategory
    shadow: RiskCategory
    difference: float
    """Probability of the shadow less that of the champion."""
    gender: str


class Compared(NamedTuple):
    """What became of some patients: compared with a shadow, or not, and why not."""

    version: str
    agreements: Sequence[Agreement] = ()
    not_comparable: int = 0
    failed: int = 0
    dropped: int = 0


class ShadowScoring:
    """Scores committed predictions of the champion with the shadows, in a thread of its own.

    At most ``most_waiting`` predictions wait for it; more are dropped and counted, so that it never
    slows the service down. ``seen`` gets what became of them; it must neither block nor raise. A
    patient who lacks what a shadow needs is counted as not comparable.
    """

    def __init__(
        self, serving: Serving, *, most_waiting: int, seen: Callable[[Compared], object]
    ) -> None:
        self._serving = serving
        self._most = most_waiting
        self._seen = seen
        self._waiting: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._count = 0
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def committed(self, predictions: Sequence[Prediction]) -> None:
        """Take what one commit made durable; returns at once."""
        deployed = self._serving.now
        if not deployed.shadows:
            return
        version = deployed.champion.description.version
        mine = [each for each in predictions if each.model_version == version]
        with self._lock:
            fits = max(self._most - self._count, 0)
            self._count += min(len(mine), fits)
        if len(mine) > fits:
            for shadow in deployed.shadows:
                self._seen(Compared(shadow.description.version, dropped=len(mine) - fits))
        if mine[:fits]:
            self._waiting.put((deployed, mine[:fits]))
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="shadows", daemon=True)
                self._thread.start()

    def close(self, seconds: float = 5) -> None:
        """Score what waits, for ``seconds`` at the most, and end the thread."""
        if self._thread is not None:
            self._waiting.put(None)
            self._thread.join(seconds)
            self._thread = None

    def _work(self) -> None:
        pause = threading.Event()
        while self._score(self._waiting.get()):
            pause.wait(_PAUSE)

    def _score(self, taken: _Work | None) -> bool:
        """Score ``taken`` and all that waits, and return whether more may come.

        A method of its own, for what it knows must be let go while the thread waits.
        """
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
                self._seen(_compared(shadow, predictions))
            with self._lock:
                self._count -= len(predictions)
        return taken is not None


def _compared(shadow: RiskModel, predictions: Sequence[Prediction]) -> Compared:
    described = shadow.description
    fit = [
        each for each in predictions if not lacking(each.patient.missing, described.may_be_missing)
    ]
    rest = len(predictions) - len(fit)
    if not fit:
        return Compared(described.version, not_comparable=rest)
    try:
        scored = _scored(shadow, [each.patient for each in fit])
    except Exception:  # noqa: BLE001 -- whatever a shadow does, the service goes on
        return Compared(described.version, not_comparable=rest, failed=len(fit))
    agreements = [
        Agreement(
            each.assessment.category,
            category,
            probability - each.assessment.probability,
            each.patient.gender,
        )
        for each, (probability, category) in zip(fit, scored, strict=True)
    ]
    return Compared(described.version, agreements, not_comparable=rest)


def _scored(model: RiskModel, patients: Sequence[Patient]) -> list[tuple[float, RiskCategory]]:
    """Return probability and category of each; by columns where the model can, which is cheaper."""
    if not isinstance(model, ColumnarRiskModel):
        return [(each.probability, each.category) for each in model.assess(patients)]
    scores = model.score(_columns(patients))
    categories = scores.categories(model.description).tolist()
    return [
        (probability, _CATEGORIES[category])
        for probability, category in zip(scores.probability.tolist(), categories, strict=True)
    ]


def _columns(patients: Sequence[Patient]) -> dict[str, NDArray[Any]]:
    return {
        name: np.array(
            [getattr(patient, name) for patient in patients],
            object if name in TEXT_FEATURES else np.float64,
        )
        for name in RAW_FEATURES
    }
