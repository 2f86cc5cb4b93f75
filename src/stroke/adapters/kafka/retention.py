"""Until when a topic keeps events of rows that were erased."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime

from stroke.adapters.kafka.clients import admin_client, broken_off
from stroke.adapters.kafka.settings_of import kept_for, topic_settings
from stroke.application.erasure.ports import Retained, Retention
from stroke.application.pipeline.broker import Broker


class TopicRetention(Retention):
    """Asks ``broker`` for the settings of ``topic``.

    Raises ``BrokerUnavailable`` when they do not answer for ``timeout`` seconds.
    """

    def __init__(self, broker: Broker, topic: str, *, timeout: float = 10.0) -> None:
        self._broker = broker
        self._topic = topic
        self._timeout = timeout

    async def retained(self, erased: datetime, *, now: datetime) -> Sequence[Retained]:
        settings = await asyncio.to_thread(self._settings)
        if settings is None:
            return []
        keep = kept_for(settings)
        until = None if keep is None else erased + keep
        kept = Retained(f"Kafka's topic {self._topic}", until)
        return [kept] if until is None or until > now else []

    def _settings(self) -> Mapping[str, str] | None:
        with broken_off(self._broker):
            admin = admin_client(self._broker)
            return topic_settings(admin, self._topic, self._timeout)
