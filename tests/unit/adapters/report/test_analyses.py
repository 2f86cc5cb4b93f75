"""The page of a run, made from the truth of every analysis."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from html.parser import HTMLParser
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.changes import loaded
from builders.truth import EVENTS
from runner.examples import examples
from stroke.adapters.duckdb.engine import DuckDbEngine
from stroke.adapters.report.analyses import MOST_ROWS, render
from stroke.adapters.report.plots import MOST_BARS
from stroke.application.analyses.queries import Analysis, analyses

Results = list[tuple[Analysis, pa.Table]]
ANALYSES = {each.name: each for each in analyses()}
RUN: dict[str, Any] = {
    "engine": "duckdb",
    "source": "iceberg",
    "began": datetime(2026, 1, 3, 1, 2, tzinfo=UTC).isoformat(),
    "seconds": 1.25,
    "point": {"table": "stroke.predictions_changes", "snapshot_id": 5_781_947_118_336_215_154},
    "events": 15,
    "predictions": 6,
    "rows": {},
}


class Page(HTMLParser):
    """A page taken apart; fails where an element is closed that is not open."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag != "meta":
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def ids(self) -> list[str]:
        return [found for _, attributes in self.elements if (found := attributes.get("id"))]

    @property
    def text(self) -> str:
        return " ".join(self.texts)


@pytest.fixture(scope="module")
def results() -> Iterator[Results]:
    with DuckDbEngine(memory_mib=256) as engine:
        loaded(engine, EVENTS)
        wanted = analyses(top=2, minimum=2)
        yield [(each, engine.query(each)) for each in wanted]


def grouped(rows: list[dict[str, Any]], name: str = "risk-by-country") -> Results:
    rates = ("high_rate", "high_rate_low", "high_rate_high")
    plain = {"share": 0.1, "mean_probability": 0.2, "high_risk": 3, **dict.fromkeys(rates, 0.1)}
    return [(ANALYSES[name], pa.Table.from_pylist([{**row, **plain} for row in rows]))]


def test_every_analysis_without_patients_has_its_plot_and_its_table(results: Results) -> None:
    page = Page(render(RUN, results))
    shown = [each for each, _ in results if not each.patient_level]
    assert len(page.all("svg")) == len(page.all("table")) == len(page.all("section")) == len(shown)
    for each in shown:
        assert each.title in page.text
        assert each.name in page.ids
    for country in ("Canada", "日本", "United States", "(missing)"):
        assert country in page.texts


def test_no_patient_is_on_the_page(results: Results) -> None:
    """Of analyses with a row per patient it tells the name alone."""
    run = {**RUN, "rows": {each.name: 1 for each, _ in results}}
    html = render(run, results)
    assert "latest-snapshot, top-risks, merits-review" in html
    assert "228.69" not in html


def test_the_page_needs_nothing_else(results: Results) -> None:
    html = render(RUN, results)
    page = Page(html)
    assert not page.all("script") + page.all("link") + page.all("img")
    assert set(re.findall(r"https?://[^\"'\s<]*", html)) == {
        "http://www.w3.org/2000/svg",  # names of namespaces: nobody goes there
        "http://www.w3.org/1999/xlink",
    }
    referred = [
        value
        for _, attributes in page.elements
        for name, value in attributes.items()
        if name.endswith("href")
    ]
    assert referred
    assert all(value and value[0] == "#" and value[1:] in page.ids for value in referred)


def test_plots_do_not_share_the_names_of_their_parts(results: Results) -> None:
    ids = Page(render(RUN, results)).ids
    assert len(ids) == len(set(ids))


def test_a_text_says_what_a_plot_shows(results: Results) -> None:
    html = render(RUN, results)
    page = Page(html)
    for svg in page.all("svg"):
        assert svg["role"] == "img"
        names = (svg["aria-labelledby"] or "").split()
        assert set(names) <= set(page.ids)
    assert len(page.all("desc")) == len(page.all("svg"))
    assert "Male: 2 predictions, 50.0% High (9.5% to 90.5%)" in html
    assert all(head.get("scope") in ("col", "row") for head in page.all("th"))
    assert page.all("html")[0]["lang"] == "en"


def test_what_was_read_is_reported(results: Results) -> None:
    page = Page(render(RUN, results))
    for fact in ("2026-01-03 01:02 UTC, in 1.2 s", "stroke.predictions_changes", "duckdb"):
        assert fact in page.texts
    assert "5781947118336215154" in page.texts


def test_the_same_results_give_the_same_page(results: Results) -> None:
    assert render(RUN, results) == render(RUN, results)


def test_rates_of_few_are_not_shown(results: Results) -> None:
    [gender] = [each for each in results if each[0].name == "risk-by-gender"]
    assert Page(render(RUN, [gender])).texts.count("too few") == 8  # of NULL and of Other


def test_of_many_groups_the_largest_are_drawn_and_the_table_has_an_end() -> None:
    count = MOST_ROWS + 50
    rows: list[dict[str, Any]] = [
        {"country": f"Country {n:03}", "predictions": 10 + n * 7 % count} for n in range(count)
    ]
    html = render(RUN, grouped(rows))
    page = Page(html)
    assert f"The {MOST_BARS} largest of {count} groups." in page.texts
    assert f"stroke_analytics_risk_by_country, the first {MOST_ROWS} of {count} rows" in page.texts
    assert len(page.all("tr")) == MOST_ROWS + 1
    plot = html[html.index("<figure>") : html.index("</figure>")]
    drawn = set(re.findall(r"Country \d{3}(?=</text>)", plot))
    largest = sorted(rows, key=lambda row: -row["predictions"])[:MOST_BARS]
    assert drawn == {row["country"] for row in largest}


@given(st.text(max_size=60))
@settings(max_examples=examples(30))
def test_any_text_from_the_data_is_text_on_the_page(name: str) -> None:
    rows = [{"country": name, "predictions": 12}, {"country": "<script>$a$", "predictions": 11}]
    page = Page(render(RUN, grouped(rows)))
    assert not page.all("script")
    assert "<script>$a$" in page.texts


@pytest.mark.parametrize(
    "days",
    [
        [None],
        [date(2026, 1, 1)],
        [date(2026, 1, 1), date(2026, 1, 4), None],
        [date(1, 1, 1), date(9999, 12, 31)],
    ],
)
def test_days_of_any_kind_are_drawn(days: list[date | None]) -> None:
    rows = [{"day": day, "predictions": 5, "high_risk": 1, "mean_probability": 0.1} for day in days]
    schema = {"day": pa.date32(), "predictions": pa.int64(), "high_risk": pa.int64()}
    shape = pa.schema([*schema.items(), ("mean_probability", pa.float64())])
    page = Page(render(RUN, [(ANALYSES["trend-per-day"], pa.Table.from_pylist(rows, shape))]))
    assert len(page.all("svg")) == 1
    assert ("not recorded" in page.texts) == (None in days)


def test_an_analysis_without_rows_has_no_plot(results: Results) -> None:
    nothing = [(analysis, rows.slice(0, 0)) for analysis, rows in results]
    page = Page(render({**RUN, "predictions": 0}, nothing))
    assert page.all("svg") == []
    assert len(page.all("table")) == len(page.all("section"))
