"""The application on fakes: real routes and service, no database and no model."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from builders.asgi import connected
from builders.service import Parts, service_parts
from stroke.domain.patient import OPTIONAL


@pytest.fixture
def parts() -> Parts:
    return service_parts()


@pytest.fixture
def other_parts() -> Parts:
    return service_parts()


@pytest.fixture
def tolerant_parts() -> Parts:
    """Parts whose model has companions for whatever may be missing."""
    return service_parts(OPTIONAL)


@pytest.fixture
def parts_with() -> Callable[..., Parts]:
    """Return a function that makes the application with other settings, or a verifier of tokens."""
    return service_parts


@pytest.fixture
async def tolerant(tolerant_parts: Parts) -> AsyncIterator[httpx.AsyncClient]:
    async with connected(tolerant_parts.app) as client:
        yield client


@pytest.fixture
async def client(parts: Parts) -> AsyncIterator[httpx.AsyncClient]:
    async with connected(parts.app) as client:
        yield client
