"""Ports of the doctor. It also uses those of the pipeline."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Protocol

from stroke.domain.patient import Patient


class PredictionApi(Protocol):
    """The HTTP API of the service, from a client's side. Calls raise ``EndpointUnavailable``."""

    @abstractmethod
    async def live(self) -> None:
        """Return when the process answers; raise otherwise."""

    @abstractmethod
    async def ready(self) -> Mapping[str, str]:
        """Return the result, by name, of each check that readiness depends on."""

    @abstractmethod
    async def predict(self, patient: Patient, *, idempotency_key: str) -> int:
        """Return the id of the stored prediction; the same one again for the same key.

        Raises ``IdempotencyKeyReused`` while the prediction of another patient has the key.
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
    """The metrics that one process exposes to Prometheus. Calls raise ``EndpointUnavailable``."""

    @abstractmethod
    async def names(self) -> frozenset[str]:
        """Return the names of the metrics that are described or have samples.

        Names lack the endings of samples: ``_total`` of a counter, ``_bucket`` of a histogram.
        """

    @abstractmethod
    async def values(self, name: str, label: str) -> dict[str, float]:
        """Return the values of a gauge by those of its ``label``; none of an unknown gauge."""

    @abstractmethod
    async def samples(self, name: str) -> list[tuple[dict[str, str], float]]:
        """Return the labels and the value of each sample of a gauge; none of an unknown gauge."""
