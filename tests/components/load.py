"""Clients that predict without pause and write down what the service acknowledged.

Every patient has a name of its own, so that a row in the database tells which request made it.
Half of the clients send an Idempotency-Key and repeat a request that failed until it succeeds;
the other half go on to their next patient, as clients without a key must.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import urllib3

from components.containers import MySqlServer

CLIENTS = 32
MARK = "Zyxwvut"  # in every patient's name; nothing else of the project contains it

_Post = Callable[[dict[str, Any], dict[str, str]], Awaitable[urllib3.BaseHTTPResponse]]

_MEASURED = ("age", "avg_glucose_level", "bmi")


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The answer that a client got about one of its patients."""

    prediction_id: int
    probability: float
    patient: dict[str, Any]


@dataclass(slots=True)
class Load:
    """A running load. ``statuses`` counts answers, ``failures`` counts errors by their type.

    ``tag`` tells its patients from those of other loads on the same database. A client waits
    ``pause`` seconds between two patients. Each request has the headers ``key``.
    """

    url: str
    tag: str = ""
    pause: float = 0
    key: Mapping[str, str] = field(default_factory=dict)
    acknowledged: list[Acknowledged] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    asked: set[str] = field(default_factory=set)
    without_retry_after: int = 0
    stopping: bool = False

    @asynccontextmanager
    async def running(self, clients: int = CLIENTS) -> AsyncIterator[Load]:
        """Run the clients; on leaving, each ends after the patient it is at."""
        # For as many clients httpx takes ten times the CPU, which the service then has not.
        service = urllib3.connection_from_url(self.url, maxsize=clients, timeout=30, retries=False)
        with service, ThreadPoolExecutor(clients) as threads:
            loop = asyncio.get_running_loop()

            async def post(
                patient: dict[str, Any], headers: dict[str, str]
            ) -> urllib3.BaseHTTPResponse:
                request = partial(service.request, json=patient, headers={**self.key, **headers})
                return await loop.run_in_executor(threads, request, "POST", "/predict")

            async with asyncio.TaskGroup() as tasks:
                for number in range(clients):
                    tasks.create_task(self._client(post, number, repeats=number % 2 == 0))
                try:
                    yield self
                finally:
                    self.stopping = True

    async def until(self, *, more: int = 0, refused: int = 0, within: float = 300) -> None:
        """Wait for so many ``more`` acknowledgements and ``refused`` or failed requests."""
        acknowledged, gone = len(self.acknowledged) + more, self._unsuccessful() + refused
        async with asyncio.timeout(within):
            # An event per answer would cost more than to look now and then.
            while len(self.acknowledged) < acknowledged or self._unsuccessful() < gone:  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    def _unsuccessful(self) -> int:
        return self.statuses.total() - self.statuses[200] + self.failures.total()

    async def _client(self, post: _Post, number: int, *, repeats: bool) -> None:
        values = random.Random(number)  # noqa: S311 - not for secrets
        turn = 0
        while not self.stopping:
            turn += 1
            patient = _patient(f"{MARK} {self.tag}{number:02}-{turn:05}", values)
            self.asked.add(patient["name"])
            key = {"Idempotency-Key": f"{self.tag}{number}-{turn}"} if repeats else {}
            while not await self._predict(post, patient, key):
                await asyncio.sleep(0.1)
                if self.stopping or not repeats:
                    break
            if self.pause:
                await asyncio.sleep(self.pause)

    async def _predict(self, post: _Post, patient: dict[str, Any], key: dict[str, str]) -> bool:
        try:
            answer = await post(patient, key)
        except urllib3.exceptions.HTTPError as error:
            self.failures[type(error).__name__] += 1
            return False
        self.statuses[answer.status] += 1
        if answer.status == 200:
            body = answer.json()
            taken = Acknowledged(body["prediction_id"], body["probability"], patient)
            self.acknowledged.append(taken)
            return True
        self.without_retry_after += "Retry-After" not in answer.headers
        return False


def _patient(name: str, values: random.Random) -> dict[str, Any]:
    return {
        "gender": values.choice(["Male", "Female"]),
        "age": round(values.uniform(1, 100), 2),
        "hypertension": values.randint(0, 1),
        "heart_disease": values.randint(0, 1),
        "avg_glucose_level": round(values.uniform(55, 280), 2),
        "bmi": round(values.uniform(12, 60), 1),
        "smoking_status": values.choice(["never smoked", "formerly smoked", "smokes", "Unknown"]),
        "name": name,
        "country": "United States",
        "province": "California",
    }


@dataclass(frozen=True, slots=True)
class Reconciled:
    """How the database and the clients' notes agree."""

    acknowledged: int
    stored: int
    unacknowledged: int  # stored, but its answer did not reach the client
    lost: list[int]  # ids that were acknowledged and are not stored
    changed: list[int]  # ids whose row has other values than were acknowledged
    twice: list[int]  # ids of rows about a patient that has another row too

    def __str__(self) -> str:
        return (
            f"{self.acknowledged} acknowledged, {self.stored} stored "
            f"({self.unacknowledged} of them unacknowledged), {len(self.lost)} lost, "
            f"{len(self.changed)} changed, {len(self.twice)} twice"
        )


def reconcile(load: Load, server: MySqlServer, database: str) -> Reconciled:
    """Compare the answers that ``load`` got with what ``database`` holds."""
    columns = ", ".join(("name", "probability", *_MEASURED))
    rows = server.rows(database, f"SELECT id, {columns} FROM predictions")  # noqa: S608
    return agreement(load, rows)


def agreement(load: Load, rows: Iterable[Sequence[Any]]) -> Reconciled:
    """Compare the answers that ``load`` got with ``rows``: id, name, probability, measurements."""
    stored = {prediction_id: values for prediction_id, *values in rows}
    names = Counter(name for name, *_ in stored.values())
    answered = {one.prediction_id: one for one in load.acknowledged}
    assert set(names) <= load.asked, "a row is about a patient whom no client asked about"
    return Reconciled(
        acknowledged=len(load.acknowledged),
        stored=len(stored),
        unacknowledged=len(stored.keys() - answered.keys()),
        lost=sorted(answered.keys() - stored.keys()),
        changed=[i for i, one in answered.items() if i in stored and stored[i] != _values(one)],
        twice=sorted(i for i, (name, *_) in stored.items() if names[name] > 1),
    )


def _values(one: Acknowledged) -> list[object]:
    measured = [one.patient[column] for column in _MEASURED]
    return [one.patient["name"], one.probability, *measured]
