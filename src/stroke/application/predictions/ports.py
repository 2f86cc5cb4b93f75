"""Ports of the predictions wing: the model, the stores, the observer."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from stroke.domain.outcome import JudgedPrediction, KnownPrediction, OutcomeRecord
from stroke.domain.patient import Patient
from stroke.domain.prediction import (
    Prediction,
    PredictionFilter,
    PredictionRecord,
    StoredBatch,
)
from stroke.domain.risk import ModelDescription, RiskAssessment


class RiskModel(Protocol):
    """Scores patients. CPU only, safe to call from several threads."""

    @property
    @abstractmethod
    def description(self) -> ModelDescription:
        """What is served, as its artefact describes it."""

    @abstractmethod
    def assess(self, patients: Sequence[Patient]) -> list[RiskAssessment]:
        """Return one assessment per patient, in order, from one run of the model.

        Raises ``InvalidPatient`` when one of them lacks a measurement that the model needs.
        """


class PredictionRepository(Protocol):
    """Stores predictions. Each call is one transaction, and raises ``StoreUnavailable``."""

    @abstractmethod
    async def add(
        self, predictions: Sequence[Prediction], *, batch_key: str | None = None
    ) -> list[int]:
        """Store all ``predictions`` or none; return their ids, in order, once they are durable.

        ``batch_key`` is the idempotency key of all of them together; they have none of their own
        then. Raises ``PredictionRejected`` when the store refuses a row, ``IdempotencyKeyTaken``
        when something is stored under a key, ``StoreUnavailable`` when the commit is not confirmed.
        """

    @abstractmethod
    async def get(self, prediction_id: int) -> PredictionRecord:
        """Return one prediction, or raise ``PredictionNotFound``."""

    @abstractmethod
    async def get_many(self, prediction_ids: Sequence[int]) -> dict[int, PredictionRecord]:
        """Return those of these predictions that are stored, by id."""

    @abstractmethod
    async def find_by_key(self, idempotency_key: str) -> PredictionRecord | StoredBatch | None:
        """Return what was stored under ``idempotency_key``: a prediction, a batch, or nothing.

        A batch keeps its key when predictions of it are erased; a single prediction does not.
        """

    @abstractmethod
    async def release_key(self, idempotency_key: str, *, made_before: datetime) -> None:
        """Make the key a new one if what has it was made before ``made_before`` (aware).

        The predictions stay. A key that is younger, or that nothing has, stays as it is.
        """

    @abstractmethod
    async def page(
        self, narrowed: PredictionFilter, *, limit: int, before: int | None = None
    ) -> list[PredictionRecord]:
        """Return up to ``limit`` predictions, newest (highest id) first.

        ``before`` continues a listing after the record with that id. The order is that of ids,
        so that pages neither repeat nor skip a row while others are added.
        """

    @abstractmethod
    async def count(self, narrowed: PredictionFilter, *, most: int) -> int:
        """Return how many predictions there are, and ``most`` where there are more."""

    @abstractmethod
    async def remove(self, prediction_id: int) -> None:
        """Erase one prediction for good, or raise ``PredictionNotFound``."""

    @abstractmethod
    async def check(self) -> None:
        """Return if predictions can be stored now.

        Raises ``StoreUnavailable`` or ``SchemaOutdated`` otherwise.
        """


class OutcomeRepository(Protocol):
    """Keeps at most one outcome for each stored prediction. Each call is one transaction.

    Calls raise ``StoreUnavailable``.
    """

    @abstractmethod
    async def known(self, prediction_ids: Sequence[int]) -> dict[int, KnownPrediction]:
        """Return what is stored of these predictions, by id; unknown ids are left out."""

    @abstractmethod
    async def put(self, outcomes: Sequence[OutcomeRecord]) -> None:
        """Store all ``outcomes`` or none, each in the place of its prediction's former one.

        Raises ``PredictionNotFound`` when one of the predictions is not stored. No prediction
        may be named twice.
        """

    @abstractmethod
    async def remove(self, prediction_id: int) -> None:
        """Remove an outcome. Raises ``PredictionNotFound`` or ``OutcomeNotFound``."""

    @abstractmethod
    async def judged(
        self, narrowed: PredictionFilter, *, limit: int, after: int = 0
    ) -> list[JudgedPrediction]:
        """Return up to ``limit`` predictions that have an outcome, by rising id, from above
        ``after``.
        """

    @abstractmethod
    async def judged_versions(self, narrowed: PredictionFilter) -> dict[str, int]:
        """Return how many predictions have an outcome, by the version of their model."""


class PredictionObserver(Protocol):
    """Receives each commit of predictions; must neither block nor raise."""

    @abstractmethod
    def committed(self, predictions: Sequence[Prediction], seconds: float) -> None:
        """Receive ``predictions`` that one commit of ``seconds`` made durable."""
