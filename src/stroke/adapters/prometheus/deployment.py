"""Which models this process serves, as metrics."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Gauge

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
