"""What orchestrators and Prometheus ask, every few seconds, by whatever name they have for us."""

from __future__ import annotations

from typing import Final

PROBES: Final = frozenset(
    {"/health/live", "/health/ready", "/v2/health/live", "/v2/health/ready", "/metrics"}
)
"""Their paths. They have no rate, need no allowed host, and leave no span."""
