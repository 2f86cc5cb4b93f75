from __future__ import annotations

import logging
from typing import Any

import httpx
import pytest

from builders.predictions import patient_json
from stroke.domain.errors import (
    SchemaOutdated,
    ServiceOverloaded,
    StoreRefusesWrites,
    StoreUnavailable,
    StrokeError,
)
from stroke.entrypoints.api.causes import CauseLog

pytestmark = pytest.mark.anyio

CANARY = "Canary Q. Patient"


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.name == "stroke.api"]


@pytest.mark.parametrize(
    "error",
    [
        StoreUnavailable("MySQL is read-only (MySQL error 1290)"),
        StoreRefusesWrites("the disk is full (SQLite error 13)"),
        ServiceOverloaded("too many predictions wait for their commit"),
        SchemaOutdated("0001", "0002"),
    ],
)
async def test_why_a_request_is_answered_503_is_logged_without_a_value(
    client: httpx.AsyncClient, parts: Any, caplog: pytest.LogCaptureFixture, error: StrokeError
) -> None:
    error.__cause__ = ValueError(CANARY)
    parts.repository.failing = error
    for _ in range(3):
        answer = await client.post("/predict", json=patient_json(name=CANARY))
        assert answer.status_code == 503
    assert lines(caplog) == [f"answered 503: {error}"]
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert record.exc_info is not None
    assert record.exc_info[1] is error


async def test_why_the_service_is_not_ready_is_logged(
    client: httpx.AsyncClient, parts: Any, caplog: pytest.LogCaptureFixture
) -> None:
    parts.repository.failing = StoreRefusesWrites("MySQL is read-only (MySQL error 1290)")
    for _ in range(3):
        assert (await client.get("/health/ready")).status_code == 503
    assert lines(caplog) == ["answered 503: MySQL is read-only (MySQL error 1290)"]


async def test_an_answer_that_is_no_503_is_not_logged(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    assert (await client.get("/api/v1/predictions/7")).status_code == 404
    assert (await client.post("/predict", json={})).status_code == 422
    assert lines(caplog) == []


def test_a_cause_is_logged_once_in_a_while_with_how_often_it_came(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = 0.0
    causes = CauseLog(60, clock=lambda: now)
    for now in (0, 1, 59.9, 60, 61, 120, 300):
        causes.answered(StoreUnavailable("away"))
        if now == 1:
            causes.answered(StoreUnavailable("another"))
    assert lines(caplog) == [
        "answered 503: away",
        "answered 503: another",
        "answered 503: away (2 more answers like this one before)",
        "answered 503: away (1 more answers like this one before)",
        "answered 503: away",
    ]


def test_causes_without_end_do_not_fill_the_memory() -> None:
    causes = CauseLog(60)
    for i in range(1000):
        causes.answered(StoreUnavailable(str(i)))
    assert len(causes._causes) == 100
