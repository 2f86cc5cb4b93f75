"""What became of charts, as metrics."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter

from stroke.application.clinical.ports import ClinicalObserver


class PrometheusClinicalObserver(ClinicalObserver):
    """Counts into ``registry``; safe with several workers (PROMETHEUS_MULTIPROC_DIR)."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._answers = Counter(
            "stroke_clinical_charts",
            "Charts of record systems, by how they were answered.",
            ("answer",),
            registry=registry,
        )
        self._unmapped = Counter(
            "stroke_clinical_unmapped",
            "Resources of charts without a known code, by the system of their codes.",
            ("system",),
            registry=registry,
        )
        self._fetched = Counter(
            "stroke_clinical_fetches",
            "Parts of charts that clients did not send: fetched from their server, or why not.",
            ("result",),
            registry=registry,
        )
        self._judged = Counter(
            "stroke_clinical_feedback",
            "Cards that got feedback.",
            ("model_version", "verdict", "reason"),
            registry=registry,
        )

    def answered(self, answer: str, unmapped: Mapping[str, int]) -> None:
        """Count a chart, and what was not known of it."""
        self._answers.labels(answer).inc()
        for system, count in unmapped.items():
            self._unmapped.labels(system).inc(count)

    def fetched(self, result: str) -> None:
        """Count a part of a chart."""
        self._fetched.labels(result).inc()

    def judged(self, model_version: str, verdict: str, reason: str | None) -> None:
        """Count a card."""
        self._judged.labels(model_version, verdict, reason or "").inc()
