"""A stack that can be examined: a service whose rows reach their copies at once, or never."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from fakes.failing import Failing
from fakes.verification import FakeReplica, FakeSource
from stroke.application.doctor.ports import Metrics, PredictionApi, Schema, SchemaRegistryProbe
from stroke.domain.errors import EndpointUnavailable, IdempotencyKeyReused
from stroke.domain.patient import Patient

AWAY = EndpointUnavailable("nothing answers")


class FakeApi(PredictionApi):
    """Stores into ``source``, and its rows reach ``copies``: none into those of ``late``.

    What is erased leaves them, but for those of ``keeping``. ``failing`` names calls that raise.
    """

    def __init__(self, source: FakeSource, copies: Iterable[FakeReplica]) -> None:
        self.source = source
        self.copies = list(copies)
        self.late: list[FakeReplica] = []
        self.keeping: list[FakeReplica] = []
        self.failing: set[str] = set()
        self.patients: dict[int, Patient] = {}
        self.keys: dict[str, int] = {}
        self._next = 1

    async def live(self) -> None:
        self._raise_if_failing("live")

    async def ready(self) -> Mapping[str, str]:
        self._raise_if_failing("ready")
        return {"model": "ok", "database": "ok", "schema": "ok"}

    async def predict(self, patient: Patient, *, idempotency_key: str) -> int:
        self._raise_if_failing("predict")
        if idempotency_key in self.keys:
            if self.patients[self.keys[idempotency_key]] == patient:
                return self.keys[idempotency_key]
            raise IdempotencyKeyReused("taken")
        number, self._next = self._next, self._next + 1
        self.keys[idempotency_key] = number
        self.patients[number] = patient
        self.source.rows[number] = b"row"
        for copy in self.copies:
            if copy not in self.late:
                copy.rows[number] = b"row"
        return number

    async def provinces(self, country: str) -> dict[int, str]:
        self._raise_if_failing("provinces")
        return {n: one.province for n, one in self.patients.items() if one.country == country}

    async def erase(self, prediction_id: int) -> bool:
        self._raise_if_failing("erase")
        self.keys = {key: n for key, n in self.keys.items() if n != prediction_id}
        self.source.rows.pop(prediction_id, None)
        for copy in self.copies:
            if copy not in self.keeping:
                copy.rows.pop(prediction_id, None)
        return self.patients.pop(prediction_id, None) is not None

    def _raise_if_failing(self, call: str) -> None:
        if call in self.failing:
            raise AWAY


class FakeSchema(Failing, Schema):
    """At ``found``, unless ``failing``."""

    needed = "0004"

    def __init__(self) -> None:
        self.found: str | None = "0004"

    async def revision(self) -> str | None:
        self.raise_if_failing()
        return self.found


class FakeRegistry(Failing, SchemaRegistryProbe):
    """Knows two subjects, each with the columns of its ``versions``, unless ``failing``."""

    def __init__(self) -> None:
        self.versions: dict[str, list[tuple[str, ...]]] = {
            "changes-key": [("id",)],
            "changes-value": [("id", "name")],
        }

    async def subjects(self) -> int:
        self.raise_if_failing()
        return len(self.versions)


class FakeMetrics(Failing, Metrics):
    """Exposes ``exposed``, unless ``failing``."""

    def __init__(self, exposed: Iterable[str]) -> None:
        self.exposed = frozenset(exposed)
        self.gauges: dict[str, list[tuple[dict[str, str], float]]] = {}

    def set(self, name: str, value: float, **labels: str) -> None:
        """Let a gauge have this value for these labels."""
        others = [one for one in self.gauges.get(name, []) if one[0] != labels]
        self.gauges[name] = [*others, (labels, value)]

    async def values(self, name: str, label: str) -> dict[str, float]:
        return {
            labels[label]: value for labels, value in await self.samples(name) if label in labels
        }

    async def samples(self, name: str) -> list[tuple[dict[str, str], float]]:
        self.raise_if_failing()
        return list(self.gauges.get(name, []))

    async def names(self) -> frozenset[str]:
        self.raise_if_failing()
        return self.exposed
