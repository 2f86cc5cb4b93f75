from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from builders.predictions import NOON
from stroke.adapters.report.model_quality import render
from stroke.domain.agreement import QUANTILES, AgreementGroup, AgreementReport
from stroke.domain.performance import (
    CalibrationPoint,
    CurvePoint,
    Estimate,
    GroupPerformance,
    PerformanceReport,
)
from stroke.domain.prediction import PredictionFilter, Span

CALIBRATION = [CalibrationPoint(p, p + 0.01, p, p + 0.02, 50) for p in (0.01, 0.05, 0.2)]
CURVE = [CurvePoint(t, 0.04 - t / 10, 0.02, 0.05, 0.05 - t) for t in (0.01, 0.05, 0.1)]
MEASURES = {"auc": Estimate(0.8, 0.75, 0.85), "oe_ratio": Estimate(1.5, 1.3, 1.7)}


MADE = Span(NOON, NOON + timedelta(days=40))


def report(
    dropped: dict[str, bool], version: str = "m-<1>", made: Span | None = MADE
) -> PerformanceReport:
    return PerformanceReport(
        version,
        NOON,
        PredictionFilter(since=NOON),
        [
            GroupPerformance("all", "all", 500, 40, MEASURES, CALIBRATION, CURVE),
            GroupPerformance("gender", "Male", 300, 30, MEASURES, CALIBRATION, CURVE),
            GroupPerformance("gender", "Other", 7, None),
        ],
        {"auc": 0.83},
        dropped,
        3,
        made,
        {"m-0": 2600},
    )


class _Ids(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.references: set[str] = set()
        self.feed(page)

    def handle_starttag(self, _: str, attributes: list[tuple[str, str | None]]) -> None:
        for name, value in attributes:
            if name == "id":
                self.ids.append(value or "")
            if name == "aria-labelledby":
                self.references |= set((value or "").split())


def test_the_page_needs_nothing_else_and_has_a_plot_of_each_kind() -> None:
    page = render([report({"auc": False, "oe_ratio": True})])
    assert page.count("<figure><svg ") == 2
    assert not re.search(r"<script|<link|<img|@import|(src|href)=\"(?!#)", page)
    assert "Model m-&lt;1&gt;" in page
    assert "Calibration of everybody" in page
    assert "Decision curve of everybody" in page


def test_groups_share_one_table_in_which_their_intervals_are_drawn() -> None:
    page = render([report({})])
    _, _, table = page.partition("<caption>Measures of groups</caption>")
    table, _, _ = table.partition("</table>")
    rows = [re.sub(r"<svg.*?</svg>", "|", row, flags=re.DOTALL) for row in table.split("<tr>")[2:]]
    texts = [re.sub(r"<[^>]*>", " ", row).split() for row in rows]
    assert texts == [
        [
            *("Gender:", "Male", "300", "30", "0.8000", "(0.7500", "to", "0.8500)", "|"),
            *("1.5000", "(1.3000", "to", "1.7000)", "|"),
        ],
        ["Gender:", "Other", "7", "too", "few", "too", "few", "too", "few"],
    ]
    # Of the same numbers as everybody's: the point lies on the line of everybody, in the middle.
    lines = re.findall(r'<line class="whole" x1="([^"]*)"', table)
    points = re.findall(r'<circle cx="([^"]*)"', table)
    assert lines == points == ["50.0", "50.0"]
    assert re.findall(r'<line x1="([^"]*)" y1="5" x2="([^"]*)"', table) == [("4.5", "95.5")] * 2


@given(st.lists(st.tuples(*[st.floats(-5, 5)] * 3).map(sorted), min_size=1, max_size=6))
def test_every_drawn_interval_lies_within_its_column(bounds: list[list[float]]) -> None:
    groups = [
        GroupPerformance("gender", str(at), 100, 10, {"auc": Estimate(value, low, high)})
        for at, (low, value, high) in enumerate(bounds)
    ]
    whole = GroupPerformance("all", "all", 500, 40)  # without measures, so that nothing is plotted
    page = render([replace(report({}), groups=[whole, *groups])])
    table = page.split("Measures of groups")[-1]
    places = [float(x) for x in re.findall(r' (?:x1|x2|cx)="([^"]*)"', table)]
    assert len(places) == 3 * len(groups)
    assert all(0 <= place <= 100 for place in places)


def test_every_mark_on_the_page_is_there_once() -> None:
    found = _Ids(render([report({}), report({}, "m-2")]))
    assert len(found.ids) == len(set(found.ids))
    assert found.references <= set(found.ids)


def test_what_has_dropped_is_said_first() -> None:
    assert "Worse than the reference: observed / expected." in render([report({"oe_ratio": True})])
    assert "No watched measure is worse" in render([report({"auc": False})])
    assert "too few outcomes to say" in render([report({})])


def test_of_a_small_group_only_the_size_is_shown() -> None:
    page = render([report({})])
    _, _, small = page.partition('<th scope="row">Gender: Other</th>')
    row, _, _ = small.partition("</tr>")
    assert re.sub(r"<[^>]*>|\s+", " ", row).split() == ["7", *["too", "few"] * 3]
    assert "<svg" not in row


def test_the_page_says_when_its_predictions_were_made_and_what_other_models_have() -> None:
    page = render([report({})])
    assert "<dd>2026-01-02 12:00 to 2026-02-11 12:00 UTC</dd>" in page
    assert "<dd>2,600 of m-0</dd>" in page
    assert "<dd>at times that are not known</dd>" in render([report({}, made=None)])
    nobody = [GroupPerformance("all", "all", 0, 0)]
    empty = replace(report({}, made=None), groups=nobody, passed_over=0)
    assert "<dd>no prediction was made</dd>" in render([empty])


def test_no_number_is_shown_as_minus_nothing() -> None:
    intercept = {"calibration_intercept": Estimate(-1e-9, -1e-7, 1e-9)}
    whole = GroupPerformance("all", "all", 500, 40, intercept, CALIBRATION, CURVE)
    page = render([replace(report({}), groups=[whole], references={})])
    assert "0.0000" in page
    assert "-0.0000" not in page
    assert "no reference" in page


def test_how_far_shadows_agree_follows_the_models() -> None:
    half = Estimate(0.5, 0.4, 0.6)
    whole = AgreementGroup(
        "all",
        "all",
        1_200,
        Estimate(0.0123, -0.001, 0.02),
        0.1,
        0.4,
        dict.fromkeys(QUANTILES, -0.25),
        half,
        half,
        Estimate(0, 0, 0.003),
        [[1, 2, 3]] * 3,
    )
    groups = [whole, AgreementGroup("age_group", "Very old", 3)]
    agreement = AgreementReport("s-<1>", 1_230, False, {"lacking": 30}, {"m-0": 1_200}, groups)

    page = render([report({})], [agreement])

    ids = _Ids(page)
    assert len(set(ids.ids)) == len(ids.ids)
    assert ids.references <= set(ids.ids)
    section = page.partition("Shadow s-&lt;1&gt;")[2]
    text = " ".join(re.sub(r"<[^>]+>", " ", section).split())
    assert "1,230 predictions" in text
    assert "30 lacking" in text
    assert "1,200 by m-0" in text
    assert (
        "Everybody 1,200 +0.0123 (-0.0010 to +0.0200) -0.2500 -0.2500 -0.2500 -0.2500 -0.2500 "
        "50.00% (40.00% to 60.00%) 50.00% (40.00% to 60.00%) 0.00% (0.00% to 0.30%)"
    ) in text
    assert f"Age group: Very old 3 {' '.join(['too few'] * 9)}" in text
    assert "Shadow" not in render([report({})])
