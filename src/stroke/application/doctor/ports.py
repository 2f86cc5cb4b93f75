"""What the examination of a running stack needs beside the ports of the pipeline."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Protocol

from stroke.domain.patient import Patient


class PredictionApi(Protocol):
    """The service, as its clients meet it. Calls raise ``EndpointUnavailable``."""

    @abstractmethod
    async def live(self) -> None:
        """Return if the process answers."""

    @abstractmethod
    async def ready(self) -> Mapping[str, str]:
        """Return what the service checked before it called itself ready."""

    @abstractmethod
    async def predict(self, patient: Patient, *, idempotency_key: str) -> int:
        """Return the id of the stored prediction.

        Raises ``IdempotencyKeyReused`` while a prediction of other measurements has the key.
        """

    @abstractmethod
    async def provinces(self, country: str) -> dict[int, str]:
        """Return the provinces of the newest predictions of a country, by id."""

    @abstractmethod
    async def erase(self, prediction_id: int) -> bool:
        """Erase a prediction; return whether it was there."""


class Schema(Protocol):
    """The database's schema. Calls raise ``StoreUnavailable``."""

    needed: str
    """The revision that this version works with."""

    @abstractmethod
    async def revision(self) -> str | None:
        """Return the revision that the database is at; None when it has none."""


class SchemaRegistryProbe(Protocol):
    """The schema registry. Calls raise ``BrokerUnavailable``."""

    @abstractmethod
    async def subjects(self) -> int:
        """Return how many subjects the registry knows."""


class Metrics(Protocol):
    """What one process exposes to Prometheus. Calls raise ``EndpointUnavailable``."""

    @abstractmethod
    async def names(self) -> frozenset[str]:
        """Return the names of the metrics that are described or have samples."""
