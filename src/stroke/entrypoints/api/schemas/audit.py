"""The audit trail, page by page."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field


class AuditEntryOut(BaseModel):
    """One thing that was done, in its place in the chain."""

    number: int
    at: datetime
    actor: str = Field(description="`key:ID`, `token:SUBJECT`, `user:NAME` or `address:HOST`")
    site: str | None
    action: str = Field(description="such as `prediction.read`")
    target: str | None = Field(description="an id, or the names of the parameters of a query")
    request_id: str | None = Field(description="the answer's X-Request-ID")
    outcome: str = Field(description="`asked`, `done`, `not-found`, `refused` or `failed`")
    times: int = Field(description="how often, where one entry stands for many refused attempts")
    previous: str = Field(description="the digest of the entry before it")
    digest: str = Field(description="SHA-256 of its content and of `previous`")


class AuditPageOut(BaseModel):
    """One page of the audit trail, newest first."""

    items: list[AuditEntryOut]
    next_cursor: str | None = Field(description="where the next page starts; null on the last")
