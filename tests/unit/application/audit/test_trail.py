"""AuditTrail writes each event down, samples refused attempts, and verifies the chain."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest

from builders.audit import AT
from fakes.audit import FakeAuditLog
from stroke.application.audit.ports import AuditFilter
from stroke.application.audit.trail import AuditTrail, RefusalSampler
from stroke.domain.audit import AuditAction, AuditHead, AuditOutcome, chained
from stroke.domain.errors import StoreUnavailable

pytestmark = pytest.mark.anyio
READ = AuditAction.PREDICTION_READ


class Stage:
    def __init__(self) -> None:
        self.log = FakeAuditLog()
        self.seconds = 1000.0
        self.trail = AuditTrail(
            self.log, now=lambda: AT, refusals=RefusalSampler(3, lambda: self.seconds)
        )

    async def read(self, *targets: int) -> None:
        for each in targets:
            await self.trail.record(READ, actor="key:1", target=str(each))

    async def refused(self, times: int) -> None:
        for each in range(times):
            await self.trail.record(
                AuditAction.ACCESS_REFUSED,
                actor=f"stranger {each}",
                target="GET /api/v1/predictions",
                outcome=AuditOutcome.REFUSED,
            )


@pytest.fixture
def stage() -> Stage:
    return Stage()


async def test_what_was_done_is_written_before_the_call_returns(stage: Stage) -> None:
    await stage.trail.record(READ, actor="key:1", target="7", site="north", request_id="r")
    [entry] = stage.log.kept
    event = entry.event
    assert (event.at, event.actor, event.action, event.outcome) == (AT, "key:1", READ, "done")
    assert (event.target, event.site, event.request_id, event.times) == ("7", "north", "r", 1)


async def test_a_log_that_is_away_fails_the_caller(stage: Stage) -> None:
    stage.log.failing = StoreUnavailable("away")
    with pytest.raises(StoreUnavailable):
        await stage.read(1)


async def test_a_flood_of_refused_attempts_fills_no_disk_and_is_counted(stage: Stage) -> None:
    await stage.refused(1_000)
    assert [each.event.actor for each in stage.log.kept] == [f"stranger {n}" for n in range(3)]

    stage.seconds += 60
    await stage.refused(1)
    assert [(e.event.actor, e.event.times) for e in stage.log.kept[3:]] == [
        ("several", 997),
        ("stranger 0", 1),
    ]
    assert stage.log.kept[3].event.target is None

    await stage.refused(5)
    await stage.trail.close()
    await stage.trail.close()
    assert sum(each.event.times for each in stage.log.kept) == 1_006


async def test_what_was_done_is_never_sampled(stage: Stage) -> None:
    await stage.refused(10)
    await stage.read(*range(50))
    assert sum(each.event.action == READ for each in stage.log.kept) == 50


async def test_a_whole_chain_is_verified_page_by_page(stage: Stage) -> None:
    await stage.read(*range(2_345))
    pages: list[int] = []
    found = await stage.trail.verify(progress=pages.append)
    assert found.holds
    assert found.entries == sum(pages) == 2_345
    assert found.head == stage.log.end
    assert len(pages) == 3


async def test_entries_that_were_removed_from_the_end_are_missed(stage: Stage) -> None:
    await stage.read(*range(5))
    del stage.log.kept[3:]
    found = await stage.trail.verify()
    assert [(each.number, each.reason) for each in found.broken] == [
        (5, "the last 2 of the chain are missing")
    ]


async def test_a_chain_that_was_made_anew_is_found_by_an_end_that_was_written_down(
    stage: Stage,
) -> None:
    await stage.read(1, 2, 3)
    known = stage.log.end
    assert (await stage.trail.verify(known=known)).holds
    await stage.read(4)
    assert (await stage.trail.verify(known=known)).holds

    forged = Stage()
    await forged.read(1, 2, 9, 4)
    assert (await forged.trail.verify()).holds
    found = await forged.trail.verify(known=known)
    assert [each.number for each in found.broken] == [3]


async def test_entries_that_join_during_the_check_are_no_fault(stage: Stage) -> None:
    await stage.read(*range(1_000))
    before = stage.log.end

    class Growing(FakeAuditLog):
        asked = 0

        async def head(self) -> AuditHead:
            self.asked += 1
            return before if self.asked == 1 else self.end

    growing = Growing()
    growing.kept, growing.end = [*stage.log.kept], stage.log.end
    trail = AuditTrail(growing, now=lambda: AT, refusals=RefusalSampler(1, lambda: 0))
    await trail.record(READ, actor="key:2")
    assert (await trail.verify()).holds


async def test_the_last_entry_made_anew_with_its_digest_is_found(stage: Stage) -> None:
    await stage.read(1, 2, 3)
    before = AuditHead(2, stage.log.kept[1].digest)
    changed = replace(stage.log.kept[2].event, actor="key:another")
    [stage.log.kept[2]] = chained([changed], before)
    found = await stage.trail.verify()
    assert [(each.number, each.reason) for each in found.broken] == [
        (3, "it is not what the log's own end says")
    ]


async def test_an_entry_that_was_put_in_at_the_end_is_found(stage: Stage) -> None:
    await stage.read(1, 2, 3)
    stage.log.kept += chained([stage.log.kept[0].event], stage.log.end)
    found = await stage.trail.verify()
    assert [(each.number, each.reason) for each in found.broken] == [
        (4, "it is behind the log's own end")
    ]


@pytest.mark.parametrize("number", [0, -1, -(2**62)])
async def test_an_entry_below_the_first_number_is_found(stage: Stage, number: int) -> None:
    await stage.read(1, 2)
    [forged] = chained([stage.log.kept[0].event], AuditHead(number - 1))
    stage.log.kept.insert(0, forged)
    found = await stage.trail.verify()
    assert [(each.number, each.reason) for each in found.broken] == [
        (number, "numbers begin with 1")
    ]


async def test_each_fault_is_found_once(stage: Stage) -> None:
    await stage.read(*range(1_500))
    entry = stage.log.kept[700]
    stage.log.kept[700] = replace(entry, event=replace(entry.event, target="x"))
    del stage.log.kept[1_200]
    found = await stage.trail.verify()
    assert [each.number for each in found.broken] == [701, 1_202]


async def test_entries_are_given_oldest_or_newest_first(stage: Stage) -> None:
    await stage.read(*range(1_100))
    all_of_them = [each.number async for each in stage.trail.entries()]
    assert len(all_of_them) == 1_100
    assert all(a < b for a, b in pairwise(all_of_them))
    one = [each.number async for each in stage.trail.entries(AuditFilter(target="42"))]
    assert one == [43]
    assert [e.number for e in await stage.trail.newest(limit=2)] == [1_100, 1_099]
    assert [e.number for e in await stage.trail.newest(limit=2, before=3)] == [2, 1]


async def test_the_last_time_that_something_was_done_to_some_targets_is_known(stage: Stage) -> None:
    erase = AuditAction.PREDICTION_ERASE
    times = [AT + timedelta(hours=hour) for hour in range(6)]
    clock = iter(times)
    trail = AuditTrail(stage.log, now=lambda: next(clock), refusals=RefusalSampler(3, lambda: 0))
    for target in ("1", "2", "3", "4"):
        await trail.record(erase, actor="user:x", target=target)
    await trail.record(erase, actor="user:x", target="1", outcome=AuditOutcome.NOT_FOUND)
    await trail.record(READ, actor="user:x", target="1")

    assert await trail.last_done(erase, ["3", "1", "2"], batch=2) == times[2]
    assert await trail.last_done(erase, ["1"], batch=2) == times[0]
    assert await trail.last_done(erase, ["5"], batch=2) is None
    assert await trail.last_done(erase, [], batch=2) is None
