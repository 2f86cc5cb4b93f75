"""Opens the parts of the service for one command, and closes them after it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from stroke.container.service import Container

_T = TypeVar("_T")


def run(work: Callable[[Container], Awaitable[_T]]) -> _T:
    """Return what ``work`` returns, given the service's parts on a database with today's schema."""
    import asyncio

    from stroke.config import Settings
    from stroke.container.database import prepare_schema
    from stroke.container.service import Container

    settings = Settings.load()
    prepare_schema(settings.database)
    parts = Container(settings=settings)

    async def with_parts() -> _T:
        try:
            return await work(parts)
        finally:
            await parts.engine().dispose()

    return asyncio.run(with_parts())
