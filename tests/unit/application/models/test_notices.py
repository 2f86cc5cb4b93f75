"""Who is told that a canary was taken back, and how often it is tried."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from builders.predictions import NOON
from fakes.models import FakeWebhook
from stroke.application.models.notices import Notices
from stroke.domain.deployment import Change, Deployment

pytestmark = pytest.mark.anyio

BEGUN = Deployment.of_setting("base-1").begun(Change(NOON, "user:ops"))
AFTER = BEGUN.with_canary("new-1", 0.1, Change(NOON, "user:ops")).without_canary(
    Change(NOON + timedelta(minutes=3), "service:canary-guard", "guard errors: 6 of 9 runs failed"),
    breached=True,
)


class Stage:
    """Notices beside a webhook; what they waited for and gave up is noted."""

    def __init__(self, webhook: FakeWebhook | None, attempts: int = 4) -> None:
        self.pauses: list[float] = []
        self.said: list[str] = []
        self.notices = Notices(webhook, attempts=attempts, tell=self.said.append, sleep=self._sleep)

    async def _sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)


async def told(webhook: FakeWebhook | None, attempts: int = 4) -> Stage:
    stage = Stage(webhook, attempts)
    stage.notices.taken_back("new-1", "errors", AFTER)
    await stage.notices.close()
    return stage


async def test_the_webhook_is_told_which_model_was_taken_back_and_why() -> None:
    webhook = FakeWebhook()
    stage = await told(webhook)

    assert webhook.documents == [
        {
            "event": "canary-breach",
            "model_version": "new-1",
            "guard": "errors",
            "reason": "guard errors: 6 of 9 runs failed",
            "champion": "base-1",
            "deployment": 3,
            "at": "2026-01-02T12:03:00.123456+00:00",
        }
    ]
    assert (stage.pauses, stage.said) == ([], [])


async def test_a_webhook_that_is_away_is_asked_again_with_growing_pauses() -> None:
    webhook = FakeWebhook(refusals=3)
    stage = await told(webhook)

    assert (len(webhook.documents), webhook.asked) == (1, 4)
    assert (stage.pauses, stage.said) == ([1, 2, 4], [])


async def test_it_is_given_up_after_the_last_attempt_and_that_is_said() -> None:
    webhook = FakeWebhook(refusals=99)
    stage = await told(webhook, attempts=3)

    assert webhook.asked == 3
    assert stage.said == ["no webhook was told that the canary was taken back: away"]


async def test_without_a_webhook_nothing_is_sent() -> None:
    stage = await told(None)
    assert (stage.pauses, stage.said) == ([], [])


async def test_nobody_waits_for_a_webhook_that_hangs() -> None:
    webhook = FakeWebhook(refusals=99)
    hangs = asyncio.Event()

    async def sleep(_: float) -> None:
        await hangs.wait()

    said: list[str] = []
    notices = Notices(webhook, attempts=4, tell=said.append, sleep=sleep)
    before = asyncio.all_tasks()
    notices.taken_back("new-1", "errors", AFTER)  # returns
    await asyncio.wait_for(notices.close(seconds=0.05), 5)
    await asyncio.sleep(0)

    assert (webhook.asked, said) == (1, [])
    assert asyncio.all_tasks() == before
