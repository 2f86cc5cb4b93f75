"""Opens the parts of the pipeline for one command, and closes them after it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from stroke.config import PipelineSettings
    from stroke.container.pipeline import PipelineContainer

_T = TypeVar("_T")


def run(work: Callable[[PipelineContainer, PipelineSettings], Coroutine[Any, Any, _T]]) -> _T:
    """Return what ``work`` returns, given the parts and the settings they are made of."""
    import asyncio

    async def with_parts() -> _T:
        async with _opened() as (parts, settings):
            return await work(parts, settings)

    return asyncio.run(with_parts())


@asynccontextmanager
async def _opened() -> AsyncIterator[tuple[PipelineContainer, PipelineSettings]]:
    from stroke.config import PipelineSettings
    from stroke.container.pipeline import PipelineContainer

    settings = PipelineSettings.load()
    parts = PipelineContainer(settings=settings)
    try:
        yield parts, settings
    finally:
        await parts.connect().aclose()
