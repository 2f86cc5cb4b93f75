"""Reads schemas from the schema registry."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from stroke.application.doctor.ports import SchemaRegistryProbe
from stroke.domain.errors import BrokerUnavailable, InvalidSetting


class SchemaRegistry(SchemaRegistryProbe):
    """Gives the schemas of the registry at ``url``, fetching each one once."""

    def __init__(self, url: str, *, timeout: float) -> None:
        self._url = url.rstrip("/")
        try:
            self._shown = httpx.URL(self._url).copy_with(userinfo=b"")
        except httpx.InvalidURL as error:
            raise InvalidSetting("SCHEMA_REGISTRY_URL is not a URL") from error
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
        found = await asyncio.to_thread(self._read, "subjects")
        if not isinstance(found, list):
            raise self._another_server()
        return len(found)

    def _fetch(self, schema_id: int) -> str:
        try:
            found = self._read(f"schemas/ids/{schema_id}")
            return str(found["schema"])
        except _NotThere:
            raise LookupError(f"no schema has the id {schema_id}") from None
        except (LookupError, TypeError) as error:
            raise self._another_server() from error

    def _read(self, path: str) -> Any:
        """Return the JSON document at ``path``. Raises ``_NotThere`` or ``BrokerUnavailable``."""
        url = f"{self._url}/apis/ccompat/v7/{path}"
        try:
            answer = httpx.get(url, timeout=self._timeout)
        except httpx.RequestError as error:
            raise BrokerUnavailable(
                f"the schema registry does not answer at {self._shown}: is it up, and "
                "SCHEMA_REGISTRY_URL right?"
            ) from error
        if answer.status_code == httpx.codes.NOT_FOUND:
            raise _NotThere(f"the schema registry at {self._shown} has no {path}")
        if answer.is_error:
            raise BrokerUnavailable(f"the schema registry answers {answer.status_code}")
        try:
            return answer.json()
        except ValueError as error:
            raise self._another_server() from error

    def _another_server(self) -> BrokerUnavailable:
        return BrokerUnavailable(
            f"what answers at {self._shown} is no schema registry: is SCHEMA_REGISTRY_URL right?"
        )


class _NotThere(BrokerUnavailable):
    """The registry does not know a path. For a schema's id this becomes a ``LookupError``."""
