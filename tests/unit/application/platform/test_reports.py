"""What is known of the platform after reports that come one after another."""

from __future__ import annotations

from datetime import timedelta
from functools import reduce
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.platform import AT, platform_report
from stroke.application.platform.reports import LineState, PlatformReport, ReportKind, ReportLine


def compared(hours: int, *copies: str) -> PlatformReport:
    lines = tuple(ReportLine(each, LineState.OK, {"rows": hours}) for each in copies)
    made_at = AT + timedelta(hours=hours)
    return platform_report(ReportKind.VERIFICATION, made_at=made_at, lines=lines)


def known(reports: list[PlatformReport]) -> PlatformReport:
    return reduce(lambda before, report: report.after(before), reports[1:], reports[0])


@given(
    st.lists(
        st.tuples(st.integers(0, 160), st.sets(st.sampled_from(["sql", "s3", "third"]))),
        min_size=1,
        max_size=6,
        unique_by=lambda each: each[0],
    ),
    st.randoms(use_true_random=False),
)
def test_of_each_copy_the_newest_line_is_known_in_whatever_order_reports_come(
    looks: list[tuple[int, set[str]]], random: Random
) -> None:
    reports = [compared(hours, *sorted(copies)) for hours, copies in looks]
    random.shuffle(reports)

    found = known(reports)

    newest = {name: max(h for h, names in looks if name in names) for _, c in looks for name in c}
    assert {each.name: each.numbers["rows"] for each in found.lines} == newest
    assert found.made_at == AT + timedelta(hours=max(hours for hours, _ in looks))
    for line in found.lines:
        assert (line.seen_at or found.made_at) == AT + timedelta(hours=newest[line.name])


@pytest.mark.parametrize(("hours", "names"), [(168, {"sql", "s3"}), (169, {"s3"})])
def test_a_copy_that_nobody_has_looked_at_for_a_week_is_forgotten(
    hours: int, names: set[str]
) -> None:
    found = known([compared(0, "sql"), compared(hours, "s3")])

    assert {each.name for each in found.lines} == names


@pytest.mark.parametrize("kind", [ReportKind.CONNECTORS, ReportKind.DOCTOR])
def test_other_reports_speak_of_everything_and_replace_the_last_one(kind: ReportKind) -> None:
    one = platform_report(kind)
    later = platform_report(kind, made_at=AT + timedelta(seconds=1), lines=())

    assert known([one, later]) == later
    assert known([later, one]) == later
