"""The greeting, and the health of the service."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field


class MessageOut(BaseModel):
    """A greeting."""

    message: str


class HealthOut(BaseModel):
    """What was checked, and the result."""

    status: Literal["live", "ready"]
    checks: dict[str, str] = Field(default_factory=dict)


class ReadyOut(HealthOut):
    """That predictions can be stored now, and whether callers need a key or a token."""

    access: Literal["open", "keys", "closed"]
