"""docs/operations.md names nothing that does not exist. Its blocks are run in test_compose.py."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from components.operations_page import PAGE, anchors, inline, objection, written
from components.readme import commands
from fakes.doctor import FakeApi
from fakes.pipeline import FakeClock
from fakes.verification import FakeSource
from stroke.application.doctor.canary import Canary
from stroke.application.doctor.stack_checks import StackParts, checks_of
from stroke.application.pipeline.failure_causes import known_causes


def remedies() -> dict[str, str]:
    """Return what the doctor says to do, by check."""
    clock, api = FakeClock(), FakeApi(FakeSource({}), [])
    canary = Canary(
        api,
        None,
        seconds=1,
        now=lambda: datetime.now(UTC),
        clock=clock,
        sleep=clock.sleep,
        chance=lambda: 0.5,
    )
    parts = StackParts(
        api=api,
        schema=None,
        source=None,
        change_topic=None,
        topic="changes",
        registry=None,
        connectors=None,
        sql=None,
        lake=None,
        letters=None,
        metrics={},
    )
    return {check.name: check.remedy for check in checks_of(parts, canary, waits=1)}


@pytest.mark.parametrize("command", sorted(set(written(PAGE))))
def test_every_command_of_the_page_exists_with_its_options(command: str) -> None:
    assert objection(command) is None


def test_every_link_of_the_page_leads_to_a_heading() -> None:
    for anchor in re.findall(r"\]\(#([^)]+)\)", PAGE):
        assert anchor in anchors(PAGE)


def test_every_page_that_advice_for_a_failure_names_is_a_heading() -> None:
    named = {
        page
        for cause in known_causes()
        for page in re.findall(r"docs/operations\.md#([a-z0-9-]+)", cause.advice)
    }
    assert named
    assert named <= anchors(PAGE)


def test_every_remedy_of_the_doctor_is_a_command_or_a_heading_of_the_page() -> None:
    for check, remedy in remedies().items():
        pages = re.findall(r"docs/operations\.md#([a-z0-9-]+)", remedy)
        assert pages or inline(remedy), check
        assert set(pages) <= anchors(PAGE), check
        assert [objection(command) for command in inline(remedy)] == [None] * len(inline(remedy))


def test_a_block_that_is_not_run_says_why() -> None:
    assert "" not in [block.not_run for block in commands(PAGE)]


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("make nonsense", "there is no target nonsense"),
        ("stroke doctor --nonsense", "nonsense"),
        ("stroke pipeline nonsense", "stroke has no command 'nonsense'"),
        ("deploy/stack.sh exec -T connectors stroke lake nonsense", "nonsense"),
        ("deploy/stack.sh nonsense", "stack.sh has no nonsense"),
        ("deploy/upgrade.sh --nonsense", "--help does not tell of --nonsense"),
        ("deploy/nonsense.sh", "there is no deploy/nonsense.sh"),
        ("sudo stroke-release nonsense", "nonsense"),
    ],
)
def test_a_command_that_does_not_exist_is_found(command: str, reason: str) -> None:
    assert reason in (objection(command) or "")
