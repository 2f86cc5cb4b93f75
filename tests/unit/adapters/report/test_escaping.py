"""Text from the data stays text on every page, whatever is in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jinja2 import UndefinedError

from builders.predictions import NOON
from fakes.predictions import FakeRiskModel
from runner.examples import examples
from stroke.adapters.report import analyses, drift, model_card, model_quality
from stroke.adapters.report.plots import as_svg
from stroke.adapters.report.templating import environment, fill
from stroke.application.analyses.queries import Analysis
from stroke.application.models.card import card_of
from stroke.application.quality.drift import DriftReport
from stroke.domain.agreement import AgreementGroup, AgreementReport
from stroke.domain.drift import BinCounts, ReferenceHistogram
from stroke.domain.drift import drift as drift_of
from stroke.domain.performance import (
    CalibrationPoint,
    CurvePoint,
    Estimate,
    GroupPerformance,
    PerformanceReport,
)
from stroke.domain.prediction import PredictionFilter

REPORT = Path(str(files("stroke.adapters.report")))
HOSTILE = (
    """</title></style></p>"><script>alert('1' & "2")</script><img src=x onerror=y>{{ 7 }}&lt;"""
)
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=40)


class Elements(HTMLParser):
    """The elements of a page with the names of their attributes, and its texts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, tuple[str, ...]]] = []
        self.values: list[str] = []
        self.texts: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, tuple(name for name, _ in attributes)))
        self.values += [value or "" for _, value in attributes]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def outside_of_plots(self) -> list[tuple[str, tuple[str, ...]]]:
        """The elements that templates write; how many a plot has depends on its labels."""
        drawn = {"path", "g", "use", "text", "tspan", "defs", "clippath", "rect", "style"}
        return [each for each in self.found if each[0] not in drawn]


def page_of_analyses(text: str) -> str:
    named = Analysis("risk-by-country", title=text, about=text, sql="")
    run = {
        "engine": text,
        "source": text,
        "began": NOON.isoformat(),
        "seconds": 1.0,
        "point": {text: text, "topics": [text, text]},
        "events": 1,
        "predictions": 1,
        "rows": {text: 1},
    }
    row = {"country": text, text + " ": text, "predictions": 12, "share": 0.1}
    return analyses.render(run, [(named, pa.Table.from_pylist([row]))])


def page_of_drift(text: str) -> str:
    histogram = ReferenceHistogram((0.5, 0.3, 0.2), labels=(text[:20], text[:20] + "2"))
    found = drift_of(text, histogram, BinCounts([5, 3, 2]))
    report = DriftReport(text, PredictionFilter(), 10, (found,))
    return drift.render(report, threshold=0.25, minimum=1)


def page_of_model_quality(text: str) -> str:
    group = GroupPerformance(
        "all",
        "all",
        500,
        40,
        {"auc": Estimate(0.8, 0.7, 0.9)},
        [CalibrationPoint(0.1, 0.1, 0.0, 0.2, 50)],
        [CurvePoint(0.1, 0.02, 0.01, 0.03, 0.01)],
    )
    groups = [group, replace(group, group="gender", level=text)]
    report = PerformanceReport(text, NOON, PredictionFilter(), groups, {}, {}, 0)
    of_text = AgreementGroup("gender", text, 30)
    shadow = AgreementReport(
        text, 30, is_part=False, not_comparable={text: 1}, answered_by={text: 2}, groups=[of_text]
    )
    return model_quality.render([report], [shadow])


def page_of_model_card(text: str) -> str:
    model = replace(
        FakeRiskModel().description,
        name=text,
        version=text,
        model_type=text,
        training={"counts": {text: {text: {"patients": 1, "strokes": 0}}}},
        metrics={text: {"value": 0.8, "low": 0.7, "high": 0.9}},
        population={
            "fairness": [
                {
                    "group": text,
                    "measure": "equalised_odds_high",
                    "estimate": {"value": 0.1, "low": 0.0, "high": 0.2},
                    "highest": text,
                    "lowest": text,
                    "left_out": [text],
                }
            ]
        },
    )
    return model_card.render(card_of(model))


PAGES = [
    pytest.param(page_of_model_card, 10, id="model card"),
    pytest.param(page_of_analyses, 7, id="analyses"),
    pytest.param(page_of_drift, 3, id="drift"),
    pytest.param(page_of_model_quality, 6, id="model quality"),
]


@pytest.mark.parametrize(("page_of", "at_least"), PAGES)
def test_hostile_text_comes_out_escaped_wherever_a_report_shows_it(
    page_of: Callable[[str], str], at_least: int
) -> None:
    html = page_of(HOSTILE)
    page = Elements(html)
    assert HOSTILE not in html
    assert "<script" not in html
    assert "<img" not in html
    assert sum(HOSTILE in text for text in page.texts) >= at_least
    assert page.outside_of_plots == Elements(page_of("harmless")).outside_of_plots


@pytest.mark.parametrize(("page_of", "at_least"), PAGES)
@given(text=TEXT)
@example(text="'")
@example(text='" onload="x')
@example(text="&amp;")
@example(text="${x}{% raw %}")
@settings(max_examples=examples(10), deadline=None)
def test_any_text_leaves_the_elements_of_a_page_as_they_are(
    page_of: Callable[[str], str], at_least: int, text: str
) -> None:
    page = Elements(page_of(text))
    assert page.outside_of_plots == Elements(page_of("harmless")).outside_of_plots
    assert sum(text in each for each in page.texts) >= at_least


def test_text_in_a_plot_is_escaped_by_what_draws_it() -> None:
    histogram = ReferenceHistogram((0.5, 0.5), labels=("<b>&</b>",))
    found = drift_of("age", histogram, BinCounts([1, 1]))
    svg = as_svg(lambda: drift.drift_plot(found), "m")
    assert "&lt;b&gt;&amp;&lt;/b&gt;" in svg.content
    assert "<b>" not in svg.content


def templates() -> Iterator[tuple[str, str]]:
    for path in sorted((REPORT / "templates").iterdir()):
        yield path.name, path.read_text(encoding="utf-8")


def test_no_template_switches_escaping_off() -> None:
    found = dict(templates())
    pages = {"analyses.html.j2", "drift.html.j2", "model_card.html.j2", "model_quality.html.j2"}
    assert pages <= set(found)
    for name, text in found.items():
        assert not re.search(r"\|\s*safe\b|autoescape|Markup", text), name
    assert environment().autoescape is True


def test_one_place_alone_declares_html_safe() -> None:
    """Plots are the only HTML that is not a template's."""
    uses = {
        path.name: len(re.findall(r"\bMarkup\(", path.read_text(encoding="utf-8")))
        for path in REPORT.glob("*.py")
    }
    assert {name: count for name, count in uses.items() if count} == {"plots.py": 2}


def test_no_report_writes_html_beside_its_templates() -> None:
    for path in REPORT.glob("*.py"):
        code = re.sub(r're\.compile\(.*|"<svg.*', "", path.read_text(encoding="utf-8"))
        assert not re.search(r"""["'][^"'\n]*</?[a-z]+[ >]""", code), path.name


def test_a_value_that_a_template_lacks_is_an_error() -> None:
    values: dict[str, Any] = {"predictions": "1"}
    with pytest.raises(UndefinedError):
        fill("drift.html.j2", **values)
