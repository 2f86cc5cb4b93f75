"""What a broker keeps of a topic on disk: files, of which it removes whole ones only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from confluent_kafka import TopicPartition as _Position
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from stroke.adapters.kafka.settings_of import SEGMENT, topic_settings

# With it, the next record begins a new file of the topic.
_SHORTEST: Final = "1"


@contextmanager
def new_file(admin: AdminClient, topic: str, timeout: float) -> Iterator[None]:
    """Have the next record begin a new file of ``topic``.

    Afterwards the topic has its own setting again; the broker's, if a run that was killed left none
    of its own. Raises ``KafkaException`` or ``TimeoutError``.
    """
    before = (topic_settings(admin, topic, timeout) or {}).get(SEGMENT)
    if before is None:
        yield
        return
    set_, unset = AlterConfigOpType.SET, AlterConfigOpType.DELETE
    _change(admin, topic, ConfigEntry(SEGMENT, _SHORTEST, incremental_operation=set_), timeout)
    try:
        yield
    finally:
        again = unset if before == _SHORTEST else set_
        _change(admin, topic, ConfigEntry(SEGMENT, before, incremental_operation=again), timeout)


def end_new_files(admin: AdminClient, topic: str, timeout: float) -> None:
    """Undo what a run left that was killed within ``new_file``: a file for each record.

    The topic then has the broker's setting. Raises ``KafkaException`` or ``TimeoutError``.
    """
    if (topic_settings(admin, topic, timeout) or {}).get(SEGMENT) == _SHORTEST:
        unset = AlterConfigOpType.DELETE
        _change(admin, topic, ConfigEntry(SEGMENT, "", incremental_operation=unset), timeout)


def remove_before(
    admin: AdminClient, topic: str, offsets: Mapping[int, int], timeout: float
) -> None:
    """Let nobody read what is below an offset of each partition.

    The broker removes files that hold nothing else within minutes: its next check of the log
    (``log.retention.check.interval.ms``), and ``file.delete.delay.ms``. Raises ``KafkaException``
    or ``TimeoutError``.
    """
    places = [_Position(topic, number, offset) for number, offset in offsets.items()]
    for answer in admin.delete_records(places, request_timeout=timeout).values():
        answer.result(timeout=timeout)


def _change(admin: AdminClient, topic: str, entry: ConfigEntry, timeout: float) -> None:
    changed = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    answers = admin.incremental_alter_configs([changed], request_timeout=timeout)
    answers[changed].result(timeout=timeout)
