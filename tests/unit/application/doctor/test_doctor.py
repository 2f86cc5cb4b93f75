from __future__ import annotations

import asyncio
from pathlib import Path

from stroke.application.doctor.doctor import Check, Doctor
from stroke.application.doctor.findings import Finding, State, is_well
from stroke.domain.errors import StoreUnavailable


async def well() -> str:
    return "seen"


async def ill() -> str:
    raise StoreUnavailable("away")


async def broken() -> str:
    raise ValueError("age 67")


async def silent() -> str:
    await asyncio.Event().wait()
    return "never"


def examined(*checks: Check) -> dict[str, Finding]:
    found = asyncio.run(Doctor(checks, seconds=0.05).examine())
    assert [one.check for one in found] == [check.name for check in checks]
    return {one.check: one for one in found}


def test_a_failing_check_stops_none_but_those_that_need_it() -> None:
    found = examined(
        Check("a", ill, "mend a"),
        Check("b", well, "mend b"),
        Check("c", well, "mend c", needs=["a", "b"]),
        Check("d", well, "mend d", needs=["c"]),
        Check("e", well, "mend e", after=["a", "c"]),
    )

    assert found["a"] == Finding("a", State.FAILED, "away", "mend a")
    assert found["b"] == Finding("b", State.OK, "seen")
    assert found["c"] == Finding("c", State.NOT_CHECKED, "needs: a")
    assert found["d"] == Finding("d", State.NOT_CHECKED, "needs: c")
    assert found["e"] == Finding("e", State.OK, "seen")
    assert not is_well(found.values())


def test_what_is_not_configured_is_no_failure_nor_is_what_needs_it() -> None:
    found = examined(
        Check("a", None, "", setting="A_URL"),
        Check("b", well, "mend b", needs=["a"]),
        Check("c", well, "mend c"),
    )

    assert found["a"] == Finding("a", State.NOT_CONFIGURED, "set A_URL")
    assert found["b"] == Finding("b", State.NOT_CONFIGURED, "set A_URL")
    assert is_well(found.values())


def test_a_check_without_an_end_fails_in_its_time() -> None:
    found = examined(Check("a", silent, "mend a"))

    assert found["a"] == Finding("a", State.FAILED, "no answer within 0.05 s", "mend a")


def test_a_check_that_breaks_quotes_nothing_and_stops_no_other() -> None:
    found = examined(Check("a", broken, "mend a"), Check("b", well, "mend b"))

    here = f"{Path(__file__).name}, line {broken.__code__.co_firstlineno + 1}"
    assert found["a"].detail == f"the check itself failed: ValueError in {here}"
    assert found["b"].state is State.OK


def test_each_finding_is_reported_at_its_end() -> None:
    reported: list[str] = []
    checks = [Check("a", silent, ""), Check("b", well, "")]

    asyncio.run(Doctor(checks, seconds=0.05).examine(lambda one: reported.append(one.check)))

    assert reported == ["b", "a"]
