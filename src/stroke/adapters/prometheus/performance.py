"""PerformanceMetrics: how right models were, as of the last report, for Prometheus."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from stroke.domain.performance import PerformanceReport

_GROUP = ("group", "level", "model_version")
_VALUE = ("measure", *_GROUP)
_GAP = ("measure", "group", "model_version")
_MEASURE = ("measure", "model_version")


class PerformanceMetrics(Collector):
    """Exposes the last reports as a whole: a scrape never sees half of one.

    What no report has (a group that is too small, a measure that is open) has no sample.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._reports: Sequence[PerformanceReport] = ()
        registry.register(self)

    def show(self, reports: Sequence[PerformanceReport]) -> None:
        """Expose ``reports``, one per version, instead of those before."""
        self._reports = tuple(reports)

    def describe(self) -> list[GaugeMetricFamily]:
        """Return the metrics without samples."""
        return list(_families().values())

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Return the metrics of the last reports."""
        families = _families()
        for report in self._reports:
            _add(families, report)
        yield from families.values()


def _families() -> dict[str, GaugeMetricFamily]:
    return {
        name: GaugeMetricFamily(f"stroke_performance_{name}", about, labels=labels)
        for name, about, labels in (
            ("value", "A measure of how right the model was.", _VALUE),
            ("low", "Lower end of the measure's 95 % interval.", _VALUE),
            ("high", "Upper end of the measure's 95 % interval.", _VALUE),
            ("samples", "Predictions with an outcome.", _GROUP),
            ("events", "Strokes among these predictions.", _GROUP),
            ("reference", "Reference value of the measure.", _MEASURE),
            ("dropped", "1 while a watched measure is much worse than its reference.", _MEASURE),
            ("gap", "Largest difference between the levels of a group.", _GAP),
            ("gap_low", "Lower end of the difference's 95 % interval.", _GAP),
            ("gap_high", "Upper end of the difference's 95 % interval.", _GAP),
            ("timestamp_seconds", "Time of the measurement.", ("model_version",)),
        )
    }


def _add(families: dict[str, GaugeMetricFamily], report: PerformanceReport) -> None:
    version = report.model_version
    for group in report.groups:
        labels = [group.group, group.level, version]
        families["samples"].add_metric(labels, group.samples)
        if group.events is not None:
            families["events"].add_metric(labels, group.events)
        for measure, estimate in group.measures.items():
            for part in ("value", "low", "high"):
                families[part].add_metric([measure, *labels], getattr(estimate, part))
    for measure, reference in report.references.items():
        families["reference"].add_metric([measure, version], reference)
    for measure, dropped in report.dropped.items():
        families["dropped"].add_metric([measure, version], float(dropped))
    for gap in report.gaps:
        if gap.measure is not None and gap.estimate is not None:
            for name, number in zip(("gap", "gap_low", "gap_high"), gap.estimate, strict=True):
                families[name].add_metric([gap.measure, gap.group, version], number)
    families["timestamp_seconds"].add_metric([version], report.made_at.timestamp())
