"""Connectors, tasks and their states, in the terms of Kafka Connect."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from stroke.application.pipeline.failure_causes import FailureCause

ConnectorConfig = Mapping[str, str]

_SECRET_KEY: Final = re.compile(
    r"password|secret|token|credential|access[.-]?key|salt", re.IGNORECASE
)
_REFERENCE: Final = re.compile(r"\$\{(env|file|dir|directory):[^{}]+\}")
_SECRET_IN_ADDRESS: Final = re.compile(
    r"//[^/\s:@]*:(?!\$\{)[^/\s@]+@|(password|secret|token)=(?!\$\{)", re.IGNORECASE
)


def is_secret_key(key: str) -> bool:
    """Return whether a setting of this name holds, or may hold, a secret."""
    return _SECRET_KEY.search(key) is not None


def holds_secret(key: str, value: str) -> bool:
    """Return whether a setting holds a secret in clear, instead of naming where Connect finds it.

    ``${env:NAME}``, ``${file:PATH:KEY}`` and ``${dir:PATH:FILE}`` are filled by the worker.
    """
    if is_secret_key(key):
        return value not in {"", "true", "false"} and not _REFERENCE.fullmatch(value)
    return _SECRET_IN_ADDRESS.search(value) is not None


@dataclass(frozen=True, slots=True)
class ConnectorSpec:
    """A connector as its file wants it. ``file`` is the file's name without its ending."""

    file: str
    name: str
    config: ConnectorConfig


class ConnectorState(StrEnum):
    """The state of a connector or a task, as Kafka Connect reports it."""

    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    STOPPED = "STOPPED"
    FAILED = "FAILED"
    UNASSIGNED = "UNASSIGNED"
    RESTARTING = "RESTARTING"


@dataclass(frozen=True, slots=True, order=True)
class TopicPartition:
    """One partition of a topic."""

    topic: str
    partition: int


@dataclass(frozen=True, slots=True)
class TaskStatus:
    """One task. ``reason`` names the failing exceptions' classes, never their messages.

    ``cause`` says in words why it failed; None if it did not. ``record`` is the place and offset of
    the record on which it failed, where the sink itself names it.
    """

    number: int
    state: ConnectorState
    worker: str
    reason: str = ""
    cause: FailureCause | None = None
    record: tuple[TopicPartition, int] | None = None

    @property
    def why(self) -> str:
        """Why it failed in words, with the record if it is known; nothing if it did not."""
        words = in_words(self.cause, self.reason)
        if self.record is None:
            return words
        (place, offset) = self.record
        return f"{words}, on the record {place.topic}-{place.partition} at offset {offset}"


def in_words(cause: FailureCause | None, reason: str) -> str:
    """Return a failure's cause in words, with the exceptions' classes; nothing of no failure."""
    if cause is None:
        return reason
    return f"{cause.words} ({reason})" if reason else cause.words


@dataclass(frozen=True, slots=True)
class ConnectorStatus:
    """One connector and its tasks."""

    name: str
    kind: str
    """``source`` or ``sink``."""
    state: ConnectorState
    worker: str
    tasks: tuple[TaskStatus, ...]
    reason: str = ""
    cause: FailureCause | None = None

    @property
    def is_running(self) -> bool:
        """Whether the connector and every one of its tasks, of which there is one, run."""
        return (
            self.state is ConnectorState.RUNNING
            and bool(self.tasks)
            and all(task.state is ConnectorState.RUNNING for task in self.tasks)
        )

    @property
    def has_failed(self) -> bool:
        """Whether the connector or any of its tasks has failed."""
        return ConnectorState.FAILED in (self.state, *(task.state for task in self.tasks))

    @property
    def causes(self) -> tuple[FailureCause, ...]:
        """Why it failed, each cause once."""
        found = dict.fromkeys([self.cause, *(task.cause for task in self.tasks)])
        return tuple(cause for cause in found if cause is not None)

    @property
    def failing_record(self) -> tuple[TopicPartition, int] | None:
        """The place and offset of the record on which it failed, where the sink names it."""
        return next((task.record for task in self.tasks if task.record is not None), None)

    @property
    def summary(self) -> str:
        """The states of the connector and its tasks, with the reasons of failures."""
        parts = [("the connector", self.state, in_words(self.cause, self.reason))]
        parts += [(f"task {task.number}", task.state, task.why) for task in self.tasks]
        states = ", ".join(
            f"{who} is {state}{f' ({reason})' if reason else ''}" for who, state, reason in parts
        )
        return states if self.tasks else f"{states}, and has no task"


@dataclass(frozen=True, slots=True)
class Change:
    """One setting that differs. ``before`` or ``after`` is None where it is not set."""

    key: str
    before: str | None
    after: str | None

    def __str__(self) -> str:
        """``key: before -> after``; a secret in clear is ``***``, what is not set ``-``."""
        return f"{self.key}: {self._shown(self.before)} -> {self._shown(self.after)}"

    def _shown(self, value: str | None) -> str:
        if value is None:
            return "-"
        return "***" if holds_secret(self.key, value) else value


def differences(before: ConnectorConfig | None, after: ConnectorConfig) -> list[Change]:
    """Return what turns the config ``before`` (None: no connector) into ``after``, by key."""
    old = before or {}
    return [
        Change(key, old.get(key), after.get(key))
        for key in sorted({*old, *after})
        if old.get(key) != after.get(key)
    ]
