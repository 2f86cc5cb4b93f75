"""The schema registry, as readers of records need it."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from stroke.application.doctor.ports import SchemaRegistryProbe
from stroke.domain.errors import BrokerUnavailable


class SchemaRegistry(SchemaRegistryProbe):
    """Gives the schemas of the registry at ``url``, fetching each one once."""

    def __init__(self, url: str, *, timeout: float) -> None:
        self._url = url.rstrip("/")
        self._timeout = timeout
        self._known: dict[int, str] = {}

    def schema(self, schema_id: int) -> str:
        """Return a schema's text. Raises ``LookupError`` where the registry has none of this id.

        Raises ``BrokerUnavailable`` when the registry has to be asked, and does not answer.
        """
        if schema_id not in self._known:
            self._known[schema_id] = self._fetch(schema_id)
        return self._known[schema_id]

    async def subjects(self) -> int:
        """Return how many subjects the registry knows. Raises ``BrokerUnavailable``."""
        return len(await asyncio.to_thread(self._get, "subjects"))

    def _fetch(self, schema_id: int) -> str:
        try:
            return str(self._get(f"schemas/ids/{schema_id}")["schema"])
        except LookupError:
            raise LookupError(f"no schema has the id {schema_id}") from None

    def _get(self, path: str) -> Any:
        url = f"{self._url}/apis/ccompat/v7/{path}"
        try:
            answer = httpx.get(url, timeout=self._timeout)
        except httpx.TransportError as error:
            raise BrokerUnavailable(
                f"the schema registry does not answer at {self._url}: is it up, and "
                "SCHEMA_REGISTRY_URL right?"
            ) from error
        if answer.status_code == httpx.codes.NOT_FOUND:
            raise LookupError(f"the schema registry has no {path}")
        if answer.is_error:
            raise BrokerUnavailable(f"the schema registry answers {answer.status_code}")
        return answer.json()
