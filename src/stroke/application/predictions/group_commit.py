"""Group commit: callers that wait at the same time share one commit.

While one commit is in flight the next batch gathers; there is no timer, so a lone caller waits
for nobody and a crowd pays for one fsync. See docs/decisions/0003-group-commit.md.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from contextvars import Context, copy_context
from typing import Generic, NamedTuple, TypeVar

from stroke.domain.errors import ServiceOverloaded, StoreUnavailable

T = TypeVar("T")
R = TypeVar("R")

Around = Callable[[Sequence[Context]], AbstractContextManager[object]]
"""Gets the contexts of a commit's callers; returns the context manager the commit runs in."""


class _Waiting(NamedTuple, Generic[T, R]):
    item: T
    future: asyncio.Future[R]
    caller: Context | None


class GroupCommit(Generic[T, R]):
    """Hands what callers submit to ``commit`` in batches, and each caller its own result.

    ``commit`` takes 1 to ``largest`` items and returns one result per item, in order, once all
    of them are durable; or raises, and then none is. At most ``capacity`` items wait. Each commit
    runs within what ``around`` gives for the contexts of its callers, if there is one.
    """

    def __init__(
        self,
        commit: Callable[[list[T]], Awaitable[list[R]]],
        *,
        capacity: int,
        largest: int,
        around: Around | None = None,
    ) -> None:
        self._commit = commit
        self._around = around
        self._capacity = capacity
        self._largest = largest
        self._waiting: deque[_Waiting[T, R]] = deque()
        self._drain: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def depth(self) -> int:
        """How many items wait for the next commit."""
        return len(self._waiting)

    async def submit(self, item: T) -> R:
        """Return ``item``'s result once it is durable.

        Raises ``ServiceOverloaded`` when the queue is full or closed, and whatever ``commit``
        raised for this item. A caller that is cancelled before its batch was taken leaves
        nothing behind; later, its item is committed and nobody hears of it.
        """
        if self._closed or len(self._waiting) >= self._capacity:
            raise ServiceOverloaded("too many predictions wait for their commit")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[R] = loop.create_future()
        self._waiting.append(_Waiting(item, future, copy_context() if self._around else None))
        if self._drain is None:
            self._drain = loop.create_task(self._run())
        return await future

    async def close(self) -> None:
        """Take no more, and return when everything that was taken is answered."""
        self._closed = True
        if self._drain is not None:
            await self._drain

    async def _run(self) -> None:
        try:
            # Requests that the event loop has already read join the first batch.
            await asyncio.sleep(0)
            while batch := self._take():
                await self._settle(batch)
        finally:
            self._drain = None

    def _take(self) -> list[_Waiting[T, R]]:
        batch: list[_Waiting[T, R]] = []
        while self._waiting and len(batch) < self._largest:
            waiting = self._waiting.popleft()
            if not waiting.future.done():  # its caller is still there
                batch.append(waiting)
        return batch

    async def _settle(self, batch: list[_Waiting[T, R]]) -> None:
        """Commit ``batch`` and answer its callers; halve it until a bad item stands alone."""
        try:
            results = await self._commit_within(batch)
        except BaseException as error:
            # A store that is away is away for every half; anything else may be one row's doing.
            divisible = isinstance(error, Exception) and not isinstance(error, StoreUnavailable)
            if divisible and len(batch) > 1:
                middle = len(batch) // 2
                await self._settle(batch[:middle])
                await self._settle(batch[middle:])
                return
            for waiting in batch:
                if not waiting.future.done():
                    waiting.future.set_exception(error)
            if not isinstance(error, Exception):
                raise
            return
        for waiting, result in zip(batch, results, strict=True):
            if not waiting.future.done():
                waiting.future.set_result(result)

    async def _commit_within(self, batch: list[_Waiting[T, R]]) -> list[R]:
        items = [waiting.item for waiting in batch]
        if self._around is None:
            return await self._commit(items)
        with self._around([waiting.caller for waiting in batch if waiting.caller is not None]):
            return await self._commit(items)
