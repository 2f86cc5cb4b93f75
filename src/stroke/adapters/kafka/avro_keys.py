"""Reads the id of a prediction from the Avro key of a record."""

from __future__ import annotations

from stroke.adapters.kafka.registry import SchemaRegistry
from stroke.adapters.kafka.wire_format import AvroReader, Undecodable, unframed


class AvroKeys:
    """Reads keys by the schemas of the registry at ``registry_url``, fetching each one once."""

    def __init__(self, registry_url: str, *, timeout: float) -> None:
        self._avro = AvroReader(SchemaRegistry(registry_url, timeout=timeout).schema)

    def prediction_id(self, key: object) -> int | None:
        """Return the id in a record's key, or None where it is not one of ours.

        Raises ``BrokerUnavailable`` when the registry has to be asked, and does not answer.
        """
        framed = unframed(key)
        if framed is None:
            return None
        try:
            decoded = self._avro.read(*framed)
        except (LookupError, Undecodable):
            return None
        found = decoded.get("id") if isinstance(decoded, dict) else None
        return found if isinstance(found, int) and not isinstance(found, bool) else None
