"""Behaviour that every part that the doctor examines shares with its fake (see ``contracts``)."""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import Any, Final

import pytest

from builders.predictions import patient
from stroke.application.doctor.ports import Metrics, PredictionApi, Schema, SchemaRegistryProbe
from stroke.domain.errors import (
    BrokerUnavailable,
    EndpointUnavailable,
    IdempotencyKeyReused,
    StoreUnavailable,
)
from stroke.domain.prediction import LARGEST_ID


@pytest.mark.anyio
class PredictionApiContract:
    """Provide fixtures ``api``; ``away``; and ``other``: a server that answers 200 to everything.

    Tests may share a service: each one has a key and a country of its own.
    """

    @pytest.fixture
    def key(self) -> str:
        return secrets.token_hex(8)

    @pytest.fixture(params=["Atlantis", "Ünï 山田 & s/?#=%20+;"])
    def country(self, request: pytest.FixtureRequest) -> str:
        return f"{request.param} {secrets.token_hex(8)}"

    async def test_a_service_that_is_up_is_live_and_ready(self, api: PredictionApi) -> None:
        await api.live()

        assert await api.ready() == {"model": "ok", "database": "ok", "schema": "ok"}

    async def test_each_prediction_gets_an_id_of_its_own(
        self, api: PredictionApi, key: str
    ) -> None:
        one = await api.predict(patient(), idempotency_key=key)
        other = await api.predict(patient(), idempotency_key=f"{key}-2")

        assert 0 < one < other

    async def test_the_same_patient_under_the_same_key_is_one_prediction(
        self, api: PredictionApi, key: str
    ) -> None:
        first = await api.predict(patient(), idempotency_key=key)

        assert await api.predict(patient(), idempotency_key=key) == first

    @pytest.mark.parametrize(
        "other", [{"age": 51.0}, {"name": "Another"}, {"country": "Atlantis"}, {"province": "N"}]
    )
    async def test_a_key_of_another_patient_is_taken_until_its_prediction_is_erased(
        self, api: PredictionApi, key: str, other: dict[str, Any]
    ) -> None:
        first = await api.predict(patient(age=50.0), idempotency_key=key)
        with pytest.raises(IdempotencyKeyReused):
            await api.predict(patient(**{"age": 50.0, **other}), idempotency_key=key)

        await api.erase(first)

        assert await api.predict(patient(age=51.0), idempotency_key=key) > first

    async def test_the_predictions_of_a_country_are_found_with_their_provinces(
        self, api: PredictionApi, key: str, country: str
    ) -> None:
        assert await api.provinces(country) == {}
        north = await api.predict(patient(country=country, province="N"), idempotency_key=key)
        south = await api.predict(
            patient(country=country, province="S & Ü"), idempotency_key=f"{key}-2"
        )
        await api.predict(patient(country=f"{country} 2"), idempotency_key=f"{key}-3")

        assert await api.provinces(country) == {north: "N", south: "S & Ü"}

        await api.erase(north)
        assert await api.provinces(country) == {south: "S & Ü"}

    async def test_a_prediction_is_erased_once(self, api: PredictionApi, key: str) -> None:
        stored = await api.predict(patient(), idempotency_key=key)

        assert await api.erase(stored)
        assert not await api.erase(stored)

    @pytest.mark.parametrize("unknown", [0, -1, LARGEST_ID, LARGEST_ID + 1, 2**70])
    async def test_an_id_that_nobody_has_was_not_there(
        self, api: PredictionApi, unknown: int
    ) -> None:
        assert not await api.erase(unknown)

    async def test_a_service_that_is_away_is_said_to_be(self, away: PredictionApi) -> None:
        calls: tuple[Callable[[], Awaitable[Any]], ...] = (
            away.live,
            away.ready,
            lambda: away.predict(patient(name="Canary Patient"), idempotency_key="k"),
            lambda: away.provinces("Atlantis"),
            lambda: away.erase(1),
        )
        for call in calls:
            with pytest.raises(EndpointUnavailable) as caught:
                await call()
            assert "Canary" not in str(caught.value)

    async def test_another_server_is_not_taken_for_the_service(self, other: PredictionApi) -> None:
        calls: tuple[Callable[[], Awaitable[Any]], ...] = (
            other.ready,
            lambda: other.predict(patient(name="Canary Patient"), idempotency_key="k"),
            lambda: other.provinces("Atlantis"),
            lambda: other.erase(1),
        )
        for call in calls:
            with pytest.raises(EndpointUnavailable) as caught:
                await call()
            assert "Canary" not in str(caught.value)


OLDEST: Final = "0001"


@pytest.mark.anyio
class SchemaContract:
    """Provide fixtures ``schema``, as needed; ``older``, at ``OLDEST``; ``bare`` and ``away``."""

    async def test_a_database_that_was_upgraded_is_where_it_has_to_be(self, schema: Schema) -> None:
        assert await schema.revision() == schema.needed

    async def test_an_older_schema_says_its_own_revision(self, older: Schema) -> None:
        assert await older.revision() == OLDEST < older.needed

    async def test_a_database_without_a_schema_has_no_revision(self, bare: Schema) -> None:
        assert await bare.revision() is None

    async def test_a_database_that_is_away_is_said_to_be(self, away: Schema) -> None:
        with pytest.raises(StoreUnavailable):
            await away.revision()


class RegistryStage(ABC):
    """A schema registry, and a way to give it subjects."""

    registry: SchemaRegistryProbe

    @abstractmethod
    def register(self, subject: str, *columns: str) -> None:
        """Register a version of a subject: a record with these columns."""


@pytest.mark.anyio
class SchemaRegistryProbeContract:
    """Provide fixtures ``registered``, and ``away``: one that is away, or another server."""

    async def test_each_subject_counts_once_however_many_versions_it_has(
        self, registered: RegistryStage
    ) -> None:
        subject = f"throw-away-{secrets.token_hex(4)}"
        before = await registered.registry.subjects()

        registered.register(subject, "a")
        registered.register(subject, "a", "b")
        assert await registered.registry.subjects() == before + 1

        registered.register(f"{subject}-2", "a")
        assert await registered.registry.subjects() == before + 2

    async def test_a_registry_that_is_away_is_said_to_be(self, away: SchemaRegistryProbe) -> None:
        with pytest.raises(BrokerUnavailable):
            await away.subjects()


EXPOSED: Final = frozenset({"stroke_tries", "stroke_lag", "stroke_seconds", "stroke_unused"})
"""A counter, a gauge and a histogram with samples, and a gauge that has none yet."""


@pytest.mark.anyio
class MetricsContract:
    """Provide fixtures ``metrics``, of ``EXPOSED``; ``silent``, without any; and ``away``.

    ``away`` is a process that is away, or one that exposes no metrics.
    """

    async def test_metrics_have_their_names_without_the_endings_of_samples(
        self, metrics: Metrics
    ) -> None:
        assert await metrics.names() == EXPOSED

    async def test_the_values_of_a_gauge_are_given_by_those_of_a_label(
        self, metrics: Metrics
    ) -> None:
        assert await metrics.values("stroke_lag", "sink") == {'a "b" \\\n': 3.0}
        assert await metrics.values("stroke_lag", "source") == {}
        assert await metrics.values("stroke_unused", "sink") == {}
        assert await metrics.values("stroke_nothing", "sink") == {}

    async def test_the_samples_of_a_gauge_are_given_with_all_their_labels(
        self, metrics: Metrics
    ) -> None:
        assert await metrics.samples("stroke_lag") == [({"sink": 'a "b" \\\n', "of": "all"}, 3.0)]
        assert await metrics.samples("stroke_unused") == []
        assert await metrics.samples("stroke_nothing") == []

    async def test_a_process_may_expose_nothing(self, silent: Metrics) -> None:
        assert await silent.names() == frozenset()

    async def test_a_process_that_is_away_is_said_to_be(self, away: Metrics) -> None:
        with pytest.raises(EndpointUnavailable):
            await away.names()
        with pytest.raises(EndpointUnavailable):
            await away.values("stroke_lag", "sink")
        with pytest.raises(EndpointUnavailable):
            await away.samples("stroke_lag")
