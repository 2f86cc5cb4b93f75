"""PrometheusObserver: predictions and the time of their commits, as metrics."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Sequence
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)

from stroke.adapters.prometheus.drift import DriftWindow, DriftWindows
from stroke.application.predictions.ports import PredictionObserver
from stroke.domain.prediction import Prediction

# A stroke is rare (4.9 % of the training data): most risks lie below 0.1, so most buckets do.
_PROBABILITY: Final = (
    0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 0.9, 1.0,
)  # fmt: skip
# From an fsync of a fast disk to the statement's time limit.
_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0)
_SIZE: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 10_000)


def create_registry() -> CollectorRegistry:
    """Return a registry of its own for one application, with the process's CPU and memory."""
    # A second series for each counter and histogram, which nobody reads.
    disable_created_metrics()  # type: ignore[no-untyped-call]
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    return registry


class PrometheusObserver(PredictionObserver):
    """Counts into ``registry``; safe with several workers (PROMETHEUS_MULTIPROC_DIR).

    ``window`` counts, too, what was predicted for whom.
    """

    def __init__(
        self, registry: CollectorRegistry, window: DriftWindow | DriftWindows | None = None
    ) -> None:
        self._window = window
        self._predictions = Counter(
            "stroke_predictions",
            "Predictions committed.",
            ("risk_category", "model_version"),
            registry=registry,
        )
        self._probability = Histogram(
            "stroke_prediction_probability",
            "Predicted probabilities of stroke.",
            ("model_version",),
            buckets=_PROBABILITY,
            registry=registry,
        )
        self._seconds = Histogram(
            "stroke_store_seconds",
            "Time that the database took for one commit.",
            buckets=_SECONDS,
            registry=registry,
        )
        self._size = Histogram(
            "stroke_commit_size",
            "Predictions that shared one commit.",
            buckets=_SIZE,
            registry=registry,
        )

    def committed(self, predictions: Sequence[Prediction], seconds: float) -> None:
        """``predictions`` became durable in one commit that took ``seconds``."""
        self._seconds.observe(seconds)
        self._size.observe(len(predictions))
        tally = Tally((str(p.assessment.category), p.model_version) for p in predictions)
        for (category, version), count in tally.items():
            self._predictions.labels(category, version).inc(count)
        # Looked up once for each version: `labels` takes a lock.
        by_version = {version: self._probability.labels(version) for _, version in tally}
        for prediction in predictions:
            by_version[prediction.model_version].observe(prediction.assessment.probability)
        if self._window is not None:
            self._window.count(predictions)
