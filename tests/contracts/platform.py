"""Behaviour that every implementation of ``ReportBoard`` shares; see contracts.py."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from builders.platform import AT, platform_report
from stroke.application.platform.ports import ReportBoard
from stroke.application.platform.reports import LineState, ReportKind, ReportLine
from stroke.domain.errors import StoreUnavailable

SQL = ReportLine("sql", LineState.OK, {"rows": 9})
S3 = ReportLine("s3", LineState.FAILED, {"rows": 9, "missing": 2}, "", "mend it")


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

    async def test_a_report_of_one_copy_leaves_what_is_known_of_the_other_ones(
        self, board: ReportBoard
    ) -> None:
        later = AT + timedelta(minutes=5)
        both = platform_report(ReportKind.VERIFICATION, lines=(SQL, S3))
        one = platform_report(
            ReportKind.VERIFICATION, made_at=later, lines=(replace(SQL, state=LineState.FAILED),)
        )
        for report in (both, one):
            await board.put(report)

        assert await board.last() == {
            ReportKind.VERIFICATION: replace(one, lines=(*one.lines, replace(S3, seen_at=AT)))
        }

    async def test_reports_of_two_copies_at_once_are_both_kept(self, board: ReportBoard) -> None:
        reports = [
            platform_report(
                ReportKind.VERIFICATION,
                made_at=AT + timedelta(seconds=n),
                lines=(replace(line, numbers={"rows": n}),),
            )
            for n in range(6)
            for line in (SQL, S3)
        ]
        await asyncio.gather(*map(board.put, reports))

        kept = (await board.last())[ReportKind.VERIFICATION]
        assert {each.name: each.numbers["rows"] for each in kept.lines} == {"sql": 5, "s3": 5}

    async def test_a_board_that_does_not_answer_says_so(self, away: ReportBoard) -> None:
        with pytest.raises(StoreUnavailable):
            await away.put(platform_report())
        with pytest.raises(StoreUnavailable):
            await away.last()
