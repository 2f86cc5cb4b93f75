"""The protocol as it is served: on uvloop, with real sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from builders.edge import Edge, listening


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return "asyncio", {"use_uvloop": True}


@pytest.fixture
async def edge() -> AsyncIterator[Edge]:
    async with listening() as edge:
        yield edge
