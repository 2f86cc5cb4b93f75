"""The errors of Connect's validation, without the values that it quotes."""

from __future__ import annotations

import re
from typing import Any, Final

from stroke.application.pipeline.kafka_connect_model import is_secret_key
from stroke.domain.errors import Violation

_INVALID_VALUE: Final = re.compile(
    r"^Invalid value .*? for configuration (?P<key>\S+?)(?:: |$)", re.DOTALL
)
_QUOTED: Final = re.compile(r"""(["'`]).*?\1""", re.DOTALL)


def violations_of(validated: dict[str, Any]) -> list[Violation]:
    """Return the errors of an answer of ``/config/validate``, by key."""
    return [
        Violation(value["name"], reason)
        for entry in validated["configs"]
        if (value := entry.get("value"))
        for reason in dict.fromkeys(_reason(value["name"], error) for error in value["errors"])
    ]


def _reason(key: str, message: str) -> str:
    """Return an error's first line without ``Invalid value X`` and anything in quotes."""
    if is_secret_key(key):
        return "is refused by Kafka Connect"
    lines = _INVALID_VALUE.sub("", message).strip().splitlines()
    rest = _QUOTED.sub("...", lines[0]) if lines else ""
    return f"is refused by Kafka Connect: {rest}" if rest else "is refused by Kafka Connect"
