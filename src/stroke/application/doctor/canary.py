"""The canary: a prediction that is stored, followed into every copy, and erased again."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from stroke.application.doctor.ports import PredictionApi
from stroke.application.pipeline.ports import Replica, SourceOfTruth
from stroke.application.pipeline.waiting import until
from stroke.domain.errors import (
    EndpointUnavailable,
    IdempotencyKeyReused,
    PredictionNotFound,
    ReplicaBehind,
    StrokeError,
)
from stroke.domain.patient import Patient

# What canaries are known by: no patient lives there. The province says until when one may stay.
COUNTRY: Final = "stroke doctor"
# There is one canary at a time: the key is taken until it is erased.
KEY: Final = "stroke-doctor-canary"
_PROVINCE: Final = "until %Y-%m-%dT%H:%M:%SZ"
# An examination waits once for the copies to have the canary and once for them to lose it, and
# may have waited for another one before.
_WAITS: Final = 4


class Canary:
    """One canary. Each wait, for another doctor's or for a copy, takes ``seconds`` at the most.

    ``chance`` gives a number in [0, 1) that is another each time: no two canaries are alike.
    """

    def __init__(
        self,
        api: PredictionApi,
        source: SourceOfTruth | None,
        *,
        seconds: float,
        now: Callable[[], datetime],
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[object]],
        chance: Callable[[], float],
    ) -> None:
        self._api = api
        self._source = source
        self._seconds = seconds
        self._now = now
        self._clock = clock
        self._sleep = sleep
        self._chance = chance
        self._id: int | None = None
        self._stored = False
        self._digest: bytes | None = None
        self._left_behind = 0

    async def set_out(self) -> str:
        """Store the canary; before that, erase those that killed examinations left."""
        patient = self._patient()
        # The service forgets keys after a while: a canary that outlived its key would stay.
        await self._erase_left_behind()

        async def is_stored() -> bool:
            while True:
                try:
                    self._id = await self._api.predict(patient, idempotency_key=KEY)
                except IdempotencyKeyReused:
                    if not await self._erase_left_behind():
                        return False
                else:
                    self._stored = True
                    return True

        if not await self._wait(is_stored):
            raise EndpointUnavailable(
                "another `stroke doctor` is at work, or was killed a moment ago"
            )
        left = f"; {self._left_behind} of an earlier run erased" if self._left_behind else ""
        return f"prediction {self._id}{left}"

    async def is_stored(self) -> str:
        """Return once MySQL has shown the row."""
        number = self._number()
        if self._source is None:
            raise RuntimeError("there is no source to look at")
        self._digest = (await self._source.chunk(number, number)).digests.get(number)
        if self._digest is None:
            raise PredictionNotFound(number)
        return f"prediction {number}"

    async def reaches(self, replica: Replica) -> str:
        """Return once ``replica`` holds the row as MySQL does, or raise ``ReplicaBehind``."""
        began = self._clock()
        if await self._until(replica, lambda found: found is not None and found == self._digest):
            return f"as MySQL has it, after {self._clock() - began:.1f} s"
        state = "is not there" if await self._read(replica) is None else "differs from MySQL's"
        raise ReplicaBehind(f"after {self._seconds:g} s prediction {self._number()} {state}")

    async def erase(self) -> str:
        """Erase the canary, and see it gone where it was stored."""
        number = self._number()
        there = await self._api.erase(number)
        self._stored = False
        if not there:
            raise PredictionNotFound(number)
        if self._source and number in (await self._source.chunk(number, number)).digests:
            raise EndpointUnavailable(f"prediction {number} was erased and is still stored")
        return f"prediction {number}"

    async def leaves(self, replica: Replica) -> str:
        """Return once ``replica`` no longer holds the row, or raise ``ReplicaBehind``."""
        began = self._clock()
        if await self._until(replica, lambda found: found is None):
            return f"gone after {self._clock() - began:.1f} s"
        raise ReplicaBehind(
            f"after {self._seconds:g} s prediction {self._number()} is still there, though erased"
        )

    async def aclose(self) -> None:
        """Erase the canary if that was not done; one that cannot be is erased by the next run."""
        if self._stored:
            with contextlib.suppress(StrokeError):
                await self._api.erase(self._number())

    def _patient(self) -> Patient:
        until = self._now().astimezone(UTC) + timedelta(seconds=_WAITS * self._seconds)
        return Patient(
            gender="Other",
            age=50.0,
            hypertension=0,
            heart_disease=0,
            avg_glucose_level=100 + 50 * self._chance(),
            bmi=25.0,
            smoking_status="Unknown",
            name="Canary",
            country=COUNTRY,
            province=until.strftime(_PROVINCE),
        )

    async def _erase_left_behind(self) -> int:
        """Erase canaries whose time is over; return how many there were."""
        erased = 0
        for number, province in (await self._api.provinces(COUNTRY)).items():
            try:
                until = datetime.strptime(province, _PROVINCE).replace(tzinfo=UTC)
            except ValueError:  # not one of ours
                continue
            if until < self._now() and await self._api.erase(number):
                erased += 1
        self._left_behind += erased
        return erased

    async def _until(self, replica: Replica, holds: Callable[[bytes | None], bool]) -> bool:
        async def held() -> bool:
            return holds(await self._read(replica))

        return await self._wait(held)

    async def _wait(self, condition: Callable[[], Awaitable[bool]]) -> bool:
        return await until(condition, within=self._seconds, clock=self._clock, sleep=self._sleep)

    async def _read(self, replica: Replica) -> bytes | None:
        await replica.reached({})  # to see what came since it was read last
        number = self._number()
        return (await replica.chunk(number, number)).digests.get(number)

    def _number(self) -> int:
        if self._id is None:
            raise RuntimeError("the canary has not set out")
        return self._id
