"""A place in memory that keeps something of predictions."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta

from fakes.failing import Failing
from stroke.application.erasure.ports import ErasablePlace, Kept, Retention, Trace


class FakePlace(Failing, ErasablePlace):
    """Keeps ids. ``until`` is what it says of them; ``meanwhile`` happens before each erasure."""

    name = "fake"

    def __init__(self, *ids: int, name: str = "fake", until: datetime | None = None) -> None:
        self.name = name
        self.kept = set(ids)
        self.until = until
        self.erasures: list[list[int]] = []
        self.meanwhile: Callable[[], None] = lambda: None

    async def erase(self, ids: Collection[int]) -> int:
        self.meanwhile()
        self.raise_if_failing()
        self.erasures.append(sorted(ids))
        gone = self.kept.intersection(ids)
        self.kept -= gone
        return len(gone)

    async def find(self, ids: Collection[int]) -> list[Trace]:
        self.raise_if_failing()
        there = sorted(self.kept.intersection(ids))
        return [Trace(number, "its set", self.until) for number in there]


class FakeRetention(Failing, Retention):
    """Keeps what was erased for so long."""

    def __init__(self, what: str = "a log", *, keep: timedelta = timedelta(days=7)) -> None:
        self.what = what
        self.keep = keep

    async def kept(self, erased: datetime, *, now: datetime) -> Sequence[Kept]:
        self.raise_if_failing()
        until = erased + self.keep
        return [Kept(self.what, until if until > now else None)]
