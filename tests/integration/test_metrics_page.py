"""docs/metrics.md against the registries of the real code, the dashboards and the rules."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
from prometheus_client import CollectorRegistry

from components.boards import expressions, selectors
from components.containers import ROOT
from components.prometheus_image import rules
from stroke.adapters.prometheus.observer import create_registry
from stroke.adapters.prometheus.performance import PerformanceMetrics
from stroke.adapters.prometheus.pipeline import PrometheusPipelineObserver
from stroke.application.doctor.part_failures import FAILED_AT
from stroke.config import Settings
from stroke.container.service import Container
from stroke.entrypoints.api.app import create_app

PAGE: Final = ROOT / "docs" / "metrics.md"
FOREIGN: Final = "Debezium, Connect, the broker and Java"
RECORDED: Final = "Recorded by Prometheus"
_ROW: Final = re.compile(r"^\| `([a-z0-9_:]+)` \| (\w+) \| ([^|]*)\|", re.MULTILINE)


class Metric(NamedTuple):
    """What the page, or the code, says of one metric."""

    name: str
    kind: str
    labels: frozenset[str]


def sections() -> dict[str, set[Metric]]:
    """Return the metrics of each section of the page."""
    found = {}
    for part in PAGE.read_text().split("\n## ")[1:]:
        title, _, text = part.partition("\n")
        found[title] = {
            Metric(name, kind, frozenset(re.findall(r"\w+", labels)))
            for name, kind, labels in _ROW.findall(text)
        }
    return found


def service_registry() -> CollectorRegistry:
    Path("stroke.db").touch()  # what only uses a database makes none
    parts = Container(settings=Settings.load())
    create_app(parts)
    parts.observer()
    parts.clinical_observer()
    parts.swapped()
    parts.shadows()
    parts.canary_metrics()
    parts.engine()
    registry: CollectorRegistry = parts.metrics_registry()
    return registry


def pipeline_registry() -> CollectorRegistry:
    registry = create_registry()
    PrometheusPipelineObserver(registry)
    return registry


def performance_registry() -> CollectorRegistry:
    registry = create_registry()
    PerformanceMetrics(registry)
    return registry


def exported(registry: CollectorRegistry) -> set[Metric]:
    """Return what a registry exports; labels are known before the first sample."""
    found = set()
    for collector in registry._collector_to_names:
        described: Any = collector
        for family in described.collect():
            labels = getattr(collector, "_labelnames", getattr(family, "_labelnames", None))
            if labels is None:
                labels = {name for sample in family.samples for name in sample.labels}
            name = f"{family.name}_total" if family.type == "counter" else family.name
            found.add(Metric(name, family.type, frozenset(labels)))
    return found


def test_the_page_lists_what_the_code_exports_with_types_and_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("MYSQL_HOST", "MYSQL_USER", "MYSQL_PASSWORD"):
        monkeypatch.delenv(name, raising=False)

    code = set().union(
        *(
            exported(registry)
            for registry in (
                service_registry(),
                pipeline_registry(),
                performance_registry(),
            )
        )
    )
    page = sections()
    documented = set().union(*(page[title] for title in page if title not in {FOREIGN, RECORDED}))

    assert code == documented


def test_the_page_lists_each_foreign_metric_that_is_used_and_no_other() -> None:
    asked = expressions() + [("rule", rule["expr"]) for rule in rules()]
    used = {name for _, expression in asked for name, _ in selectors(expression)}
    foreign = {
        re.sub(r"_(seconds)_(sum|count)$", r"_\1", name)
        for name in used
        if name.startswith(("debezium_", "kafka_", "jvm_"))
    }

    # The doctor reads it of parts that cannot serve.
    foreign.add(FAILED_AT)

    assert foreign == {each.name for each in sections()[FOREIGN]}


def test_every_series_of_ours_that_is_asked_for_is_on_the_page() -> None:
    asked = expressions() + [("rule", rule["expr"]) for rule in rules()]
    names = {metric.name for section in sections().values() for metric in section}
    for _, expression in asked:
        for name, _ in selectors(expression):
            if name.startswith(("stroke", "http_", "process_")):
                assert re.sub(r"_(bucket|sum|count)$", "", name) in names or name in names, name


def test_the_page_lists_each_recorded_series() -> None:
    recorded = {rule["record"] for rule in rules() if "record" in rule}

    assert recorded == {metric.name for metric in sections()[RECORDED]}
