"""Which models this process serves, and what became of canaries and shadows, as metrics."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter as Tally
from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from stroke.application.models.shadows import Compared
from stroke.application.predictions.deployed import Deployed


class DeploymentMetrics:
    """Says what is served; safe with several workers (PROMETHEUS_MULTIPROC_DIR)."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._number = Gauge(
            "stroke_deployment_number",
            "Number of the deployment that is served; of all workers the lowest.",
            registry=registry,
            multiprocess_mode="livemin",
        )
        self._workers = Gauge(
            "stroke_model_workers",
            "Workers that serve a model in this role.",
            ("model_version", "role"),
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._roles: set[tuple[str, str]] = set()

    def swapped(self, deployed: Deployed) -> None:
        """Say that this process serves ``deployed`` from now on."""
        self._number.set(deployed.number)
        roles = {(deployed.champion.description.version, "champion")}
        if deployed.challenger is not None:
            roles.add((deployed.challenger.description.version, "challenger"))
        roles |= {(each.description.version, "shadow") for each in deployed.shadows}
        for version, role in self._roles - roles:
            self._workers.labels(version, role).set(0)
        for version, role in roles:
            self._workers.labels(version, role).set(1)
        self._roles = roles


class _BulkHistogram(Histogram):
    """A histogram that counts many values at a time: a bucket is locked once, not once for each."""

    def observe_all(self, values: Sequence[float]) -> None:
        """Do what ``observe`` does for each of ``values``, of which none is NaN."""
        self._sum.inc(sum(values))
        bounds = self._upper_bounds
        for bucket, count in Tally([bisect_left(bounds, each) for each in values]).items():
            self._buckets[bucket].inc(count)


class ShadowMetrics:
    """Counts how shadows agree with the champion."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._compared = Counter(
            "stroke_shadow_compared",
            "Patients whom a shadow scored, by the champion's category, its own, and gender.",
            ("model_version", "champion", "shadow", "gender"),
            registry=registry,
        )
        self._difference = _BulkHistogram(
            "stroke_shadow_difference",
            "How far a shadow's probability was from the champion's.",
            ("model_version",),
            buckets=(0.0001, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0),
            registry=registry,
        )
        self._left_out = Counter(
            "stroke_shadow_left_out",
            "Patients whom a shadow did not score, or whose score was not stored, by the reason.",
            ("model_version", "reason"),
            registry=registry,
        )

    def seen(self, compared: Compared) -> None:
        """Count what became of some patients."""
        version = compared.version
        agreements = compared.agreements
        tally = Tally([(each.champion, each.shadow, each.gender) for each in agreements])
        for labels, count in tally.items():
            self._compared.labels(version, *labels).inc(count)
        self._difference.labels(version).observe_all([abs(each.difference) for each in agreements])
        for reason, count in (
            ("not-comparable", compared.not_comparable),
            ("failed", compared.failed),
            ("dropped", compared.dropped),
            ("not-stored", compared.not_stored),
        ):
            if count:
                self._left_out.labels(version, reason).inc(count)


class CanaryMetrics:
    """Counts canaries that were taken back."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._breaches = Counter(
            "stroke_canary_breaches",
            "Canaries that a worker took back by itself, by the guard that was breached.",
            ("model_version", "guard"),
            registry=registry,
        )

    def breached(self, version: str, guard: str) -> None:
        """Count one."""
        self._breaches.labels(version, guard).inc()
