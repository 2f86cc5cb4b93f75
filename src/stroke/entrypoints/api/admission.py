"""How much the service takes on at a time: requests wait for their turn before they are read.

A request that waits costs a few kilobytes. One that is read and then refused costs its body, its
parsing, and the next attempt. See docs/decisions/0051-admission.md.
"""

from __future__ import annotations

import asyncio
from collections import deque
from types import TracebackType
from typing import Final, NamedTuple, Self

from fastapi import Request

from stroke.domain.errors import ServiceOverloaded
from stroke.entrypoints.api.schemas.fields import BATCH_SIZE

# A patient with the shortest values that are valid, and the comma behind it.
_SHORTEST_ROW: Final = 120
SLOT: Final = "stroke.slot"
"""Under it the scope of a request has the ``Slot`` that it waited for before its route."""


class _Waiting(NamedTuple):
    weight: int
    turn: asyncio.Future[bool]  # false: it came too late
    until: float


class Gate:
    """Lets requests in, first come first served, while their weights sum up to ``capacity``.

    A request that is heavier than that is let in alone.
    """

    def __init__(self, capacity: int, *, seconds: float) -> None:
        self._capacity = capacity
        self._seconds = seconds
        self._inside = 0
        self._waiting: deque[_Waiting] = deque()
        # One for all: whoever came first has to go first. Under thousands of clients every
        # request waits here, and a timer for each would cost a tenth of its time.
        self._timer: asyncio.TimerHandle | None = None

    async def enter(self, weight: int = 1) -> None:
        """Return when there is room; ``leave`` gives it back.

        Raises ``ServiceOverloaded`` after ``seconds`` without room.
        """
        if not self._waiting and self._fits(weight):
            self._inside += weight
            return
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[bool] = loop.create_future()
        until = loop.time() + self._seconds
        self._waiting.append(_Waiting(weight, turn, until))
        if self._timer is None:
            self._timer = loop.call_at(until, self._expire, loop)
        try:
            in_time = await turn
        except BaseException:
            if turn.cancelled():
                self._let_in()  # whoever waits behind it may be lighter
            elif turn.result():
                self.leave(weight)  # its turn came as it gave up
            raise
        if not in_time:
            raise ServiceOverloaded("no request was let in for too long")

    @property
    def crowded(self) -> bool:
        """Whether the lightest request has to wait now."""
        return bool(self._waiting) or not self._fits(1)

    def leave(self, weight: int = 1) -> None:
        """Make room for others."""
        self._inside -= weight
        self._let_in()

    def _let_in(self) -> None:
        while self._waiting:
            first = self._waiting[0]
            if first.turn.done():  # it gave up
                self._waiting.popleft()
            elif self._fits(first.weight):
                self._waiting.popleft()
                self._inside += first.weight
                first.turn.set_result(True)
            else:
                return

    def _expire(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        now = loop.time()
        while self._waiting:
            first = self._waiting[0]
            if not first.turn.done():
                if first.until > now:
                    self._timer = loop.call_at(first.until, self._expire, loop)
                    break
                first.turn.set_result(False)
            self._waiting.popleft()
        self._let_in()  # those behind may be lighter

    def _fits(self, weight: int) -> bool:
        return self._inside == 0 or self._inside + weight <= self._capacity


class Budget:
    """The bytes of bodies that are held in memory, up to ``most``."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held = 0

    def hold(self, size: int) -> None:
        """Count ``size`` bytes. Raises ``ServiceOverloaded`` when they are too many."""
        if self._held + size > self._most:
            raise ServiceOverloaded("too many bytes of requests are held")
        self._held += size

    def hold_anyway(self, size: int) -> None:
        """Count bytes that exist already, such as an answer's."""
        self._held += size

    def release(self, size: int) -> None:
        """Count ``size`` bytes no more."""
        self._held -= size


class Slot:
    """One request's place: ``async with`` waits for it and gives back whatever it held.

    ``wait`` does the waiting beforehand.
    """

    __slots__ = ("_budget", "_gate", "_held", "_inside", "_refusal", "_weight")

    def __init__(self, gate: Gate, budget: Budget, weight: int = 1) -> None:
        self._gate = gate
        self._budget = budget
        self._weight = weight
        self._held = 0
        self._inside = False
        self._refusal: ServiceOverloaded | None = None

    async def wait(self) -> None:
        """Wait for the turn, in vain perhaps: ``async with`` raises then, and waits no more."""
        try:
            await self._gate.enter(self._weight)
        except ServiceOverloaded as refusal:
            self._refusal = refusal
        else:
            self._inside = True

    async def __aenter__(self) -> Self:
        if self._refusal is not None:
            raise self._refusal
        if not self._inside:
            await self._gate.enter(self._weight)
            self._inside = True
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.leave()

    def hold(self, size: int) -> None:
        """Hold that many bytes more. Raises ``ServiceOverloaded`` when they are too many."""
        self._budget.hold(size)
        self._held += size

    def leave(self) -> None:
        """Give back the place and the bytes, if they were not given back yet."""
        if self._inside:
            self._inside = False
            self._budget.release(self._held)
            self._held = 0
            self._gate.leave(self._weight)


class Admission:
    """What one process takes on: ``requests`` with one patient, ``rows`` of batches, and bytes.

    Batches get three quarters of the bytes, so that they never shut out single patients.
    """

    def __init__(self, *, requests: int, rows: int, most_bytes: int, seconds: float) -> None:
        self._requests = Gate(requests, seconds=seconds)
        self._rows = Gate(rows, seconds=seconds)
        self._bytes = Budget(most_bytes // 4)
        self.batch_bytes = Budget(most_bytes - most_bytes // 4)

    def one(self, request: Request) -> Slot:
        """Return the place of a request with one patient: the one it waited for, if it did."""
        slot: Slot | None = request.scope.get(SLOT)
        return self.place() if slot is None else slot

    def place(self) -> Slot:
        """Return a new place for a request with one patient."""
        return Slot(self._requests, self._bytes)

    @property
    def crowded(self) -> bool:
        """Whether a request with one patient has to wait now."""
        return self._requests.crowded

    def batch(self, request: Request, *, shortest_row: int = _SHORTEST_ROW) -> Slot:
        """Return the place of a batch, by the most rows that a body of its length can have.

        A row has at least ``shortest_row`` bytes there.
        """
        rows = BATCH_SIZE
        for name, value in request.scope["headers"]:
            if name == b"content-length":
                rows = min(rows, int(value) // shortest_row + 1)
            elif name == b"content-encoding":
                return Slot(self._rows, self.batch_bytes, BATCH_SIZE)
        return Slot(self._rows, self.batch_bytes, rows)
