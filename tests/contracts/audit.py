"""Behaviour that every implementation of ``AuditLog`` shares; see contracts.py."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from builders.audit import AT, audit_event
from stroke.application.audit.ports import AuditFilter, AuditLog
from stroke.domain.audit import AuditAction, AuditHead, AuditOutcome, broken_links
from stroke.domain.errors import StoreUnavailable
from stroke.domain.moments import FIRST, LAST


@pytest.mark.anyio
class AuditLogContract:
    """Provide fixtures ``log``, empty, and ``away``, a log whose store does not answer."""

    async def test_events_come_back_as_they_were_in_one_chain(self, log: AuditLog) -> None:
        events = [
            audit_event(),
            audit_event(target=None, site=None, request_id=None, times=2**40),
            audit_event(actor="Ünïcödé 山田 😀 ' \" \\ %s", action="a.newer.action", outcome="x"),
        ]

        first = await log.append(events[:1])
        end = await log.append(events[1:])

        entries = await log.entries(limit=10)
        assert [each.event for each in entries] == events
        assert [each.number for each in entries] == [1, 2, 3]
        assert AuditHead(1, entries[0].digest) == first
        assert AuditHead(3, entries[2].digest) == end == await log.head()
        assert list(broken_links(entries, AuditHead())) == []

    async def test_an_empty_log_ends_where_chains_begin(self, log: AuditLog) -> None:
        assert await log.append([]) == await log.head() == AuditHead()
        assert await log.entries(limit=10) == []

    async def test_many_writers_make_one_chain(self, log: AuditLog) -> None:
        await asyncio.gather(*(log.append([audit_event(target=str(n))] * 3) for n in range(20)))

        entries = await log.entries(limit=100)
        assert len(entries) == 60
        assert list(broken_links(entries, AuditHead())) == []
        targets = [each.event.target for each in entries]
        assert targets[::3] == targets[1::3] == targets[2::3]

    async def test_entries_are_read_page_by_page_both_ways(self, log: AuditLog) -> None:
        await log.append([audit_event(target=str(n)) for n in range(1, 8)])

        assert [e.number for e in await log.entries(after=2, limit=3)] == [3, 4, 5]
        assert [e.number for e in await log.entries(after=6, limit=3)] == [7]
        assert [e.number for e in await log.entries(limit=3, newest_first=True)] == [7, 6, 5]
        backwards = await log.entries(after=5, limit=9, newest_first=True)
        assert [e.number for e in backwards] == [4, 3, 2, 1]

    async def test_entries_are_narrowed_by_each_field(self, log: AuditLog) -> None:
        later = AT + timedelta(seconds=1)
        await log.append(
            [
                audit_event(),
                audit_event(actor="key:ward-4"),
                audit_event(action=AuditAction.AUDIT_READ, target=None),
                audit_event(site="south", at=later),
                audit_event(outcome=AuditOutcome.NOT_FOUND, target="77"),
            ]
        )

        async def numbers(narrowed: AuditFilter) -> list[int]:
            return [each.number for each in await log.entries(limit=10, narrowed=narrowed)]

        assert await numbers(AuditFilter(actor="key:ward-4")) == [2]
        assert await numbers(AuditFilter(action="audit.read")) == [3]
        assert await numbers(AuditFilter(site="south")) == [4]
        assert await numbers(AuditFilter(target="77")) == [5]
        assert await numbers(AuditFilter(targets=["77", "nobody's"])) == [5]
        assert await numbers(AuditFilter(targets=["7"], outcome="done", site="south")) == [4]
        assert await numbers(AuditFilter(targets=[])) == []
        assert await numbers(AuditFilter(outcome="not-found")) == [5]
        assert await numbers(AuditFilter(since=later)) == [4]
        assert await numbers(AuditFilter(until=later, site="north", target="7")) == [1, 2]
        assert await numbers(AuditFilter(since=FIRST, until=LAST)) == [1, 2, 3, 4, 5]
        assert await numbers(AuditFilter(until=FIRST)) == []
        assert await numbers(AuditFilter(since=LAST)) == []

    async def test_the_latest_of_some_entries_is_known(self, log: AuditLog) -> None:
        times = [AT, AT + timedelta(days=1), AT + timedelta(microseconds=1)]
        await log.append([audit_event(target=str(n), at=at) for n, at in enumerate(times)])

        assert await log.latest(AuditFilter(targets=["0", "2"])) == times[2]
        assert await log.latest(AuditFilter()) == times[1]
        assert await log.latest(AuditFilter(targets=["3"])) is None

    async def test_a_store_that_is_away_is_said(self, away: AuditLog) -> None:
        with pytest.raises(StoreUnavailable):
            await away.append([audit_event()])
        with pytest.raises(StoreUnavailable):
            await away.head()
        with pytest.raises(StoreUnavailable):
            await away.entries(limit=1)
        with pytest.raises(StoreUnavailable):
            await away.latest(AuditFilter())
