"""What fails and is outlived is logged by its cause, seldom, and without a patient's values."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor

import pytest

from stroke.container.failures import FailureLog, kept_up
from stroke.domain.errors import InvalidModel, StoreUnavailable
from stroke.entrypoints.logs import JsonFormatter

LOG = logging.getLogger("stroke.models")
SECRET = "Canary Q. Patient"


class OddError(Exception):
    """An error that is not ours, with a patient's values in its text."""


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (InvalidModel("the graph fails on these patients"), "the graph fails on these patients"),
        (ValueError(SECRET), "ValueError"),
        (OddError(SECRET), f"{__name__}.OddError"),
        (OddError(), f"{__name__}.OddError"),
    ],
)
def test_a_failure_is_logged_with_its_cause_and_without_what_another_librarys_text_says(
    caplog: pytest.LogCaptureFixture, error: Exception, said: str
) -> None:
    FailureLog(LOG, 60).note("the shadow new-1 failed", error)

    [record] = caplog.records
    assert (record.name, record.levelno) == ("stroke.models", logging.WARNING)
    assert record.getMessage() == f"the shadow new-1 failed: {said}"
    line = JsonFormatter().format(record)
    assert type(error).__qualname__ in line, "the kind and the place are attached"
    assert SECRET not in line


def test_each_cause_is_logged_at_once_and_then_once_in_a_while_with_a_count(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = 0.0
    failures = FailureLog(LOG, 60, clock=lambda: now)
    for now in (0, 1, 2, 59.9, 60, 61, 300):
        failures.note("a failed", ValueError(str(now)))  # texts that change are one cause
        if now == 1:
            failures.note("a failed", TypeError())
            failures.note("b failed", ValueError())
    assert [each.getMessage() for each in caplog.records] == [
        "a failed: ValueError",
        "a failed: TypeError",
        "b failed: ValueError",
        "a failed: ValueError (3 more failures like this one before)",
        "a failed: ValueError (1 more failures like this one before)",
    ]


def test_threads_that_fail_together_write_one_line(caplog: pytest.LogCaptureFixture) -> None:
    failures = FailureLog(LOG, 60, clock=lambda: 0)
    with ThreadPoolExecutor(4) as threads:
        for _ in range(400):
            threads.submit(failures.note, "a failed", ValueError())
    assert len(caplog.records) == 1
    assert failures._causes["a failed: ValueError"].since == 399


def test_work_that_fails_is_begun_again_after_a_pause_and_ends_when_it_is_cancelled(
    caplog: pytest.LogCaptureFixture,
) -> None:
    steps: list[str] = []

    async def work() -> None:
        steps.append("work")
        await asyncio.sleep(0)
        match len(steps):
            case 1:
                raise ValueError(SECRET)
            case 3:
                raise StoreUnavailable("away")
            case 5:
                return
        raise asyncio.CancelledError

    async def sleep(seconds: float) -> None:
        steps.append(f"pause {seconds:g}")
        await asyncio.sleep(0)

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(kept_up("judging", work, FailureLog(LOG, 60), sleep=sleep))

    assert steps == ["work", "pause 5", "work", "pause 5", "work", "work"]
    assert [each.getMessage() for each in caplog.records] == [
        "judging failed, and begins again: ValueError",
        "judging failed, and begins again: away",
    ]
