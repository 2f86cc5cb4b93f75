"""Behaviour that every implementation of ``ReportBoard`` shares; see contracts.py."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from builders.platform import AT, platform_report
from stroke.application.platform.ports import ReportBoard
from stroke.application.platform.reports import LineState, ReportKind, ReportLine
from stroke.domain.errors import StoreUnavailable


@pytest.mark.anyio
class ReportBoardContract:
    """Provide fixtures ``board``, empty, and ``away``, a board whose store does not answer."""

    async def test_the_last_report_of_each_kind_comes_back_as_it_was(
        self, board: ReportBoard
    ) -> None:
        reports = [
            platform_report(
                kind, lines=(ReportLine("Ünï 山 ' \" %s", state, {"lag": 2**40}, "d", "r"),)
            )
            for kind, state in zip(ReportKind, LineState, strict=False)
        ]
        for report in reports:
            await board.put(report)

        assert await board.last() == {each.kind: each for each in reports}

    async def test_an_empty_board_has_no_report(self, board: ReportBoard) -> None:
        assert await board.last() == {}

    async def test_a_newer_report_takes_the_place_of_the_last_one(self, board: ReportBoard) -> None:
        newer = platform_report(made_at=AT + timedelta(microseconds=1), lines=())
        for report in (platform_report(), newer, newer):
            await board.put(report)

        assert await board.last() == {newer.kind: newer}

    async def test_an_older_report_that_comes_late_is_dropped(self, board: ReportBoard) -> None:
        await board.put(platform_report())
        await board.put(platform_report(made_at=AT - timedelta(seconds=1), lines=()))

        assert await board.last() == {ReportKind.CONNECTORS: platform_report()}

    async def test_of_many_at_once_the_newest_stays(self, board: ReportBoard) -> None:
        reports = [platform_report(made_at=AT + timedelta(seconds=n)) for n in range(12)]
        await asyncio.gather(*map(board.put, reports))

        assert await board.last() == {ReportKind.CONNECTORS: reports[-1]}

    async def test_a_board_that_does_not_answer_says_so(self, away: ReportBoard) -> None:
        with pytest.raises(StoreUnavailable):
            await away.put(platform_report())
        with pytest.raises(StoreUnavailable):
            await away.last()
