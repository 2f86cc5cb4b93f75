"""Which tests two workers (test.sh) keep together: those that share containers, or an order.

pytest-xdist's own groups are no groups with pytest 9.2 (its issue 1386).
"""

from __future__ import annotations

from pathlib import PurePath
from typing import Final

import pytest
from xdist.scheduler import LoadScopeScheduling

_PLATFORM: Final = "platform"
# Two cores carry one platform, and its tests want to be one by one.
OF_PLATFORM: Final = frozenset(
    {
        "test_compose",
        "test_connectors_command",
        "test_doctor",
        "test_kafka_adapter",
        "test_kafka_connect",
        "test_monitoring",
        "test_pipeline",
        "test_pipeline_analytics",
        "test_pipeline_dead_letters",
        "test_pipeline_lake",
        "test_pipeline_verify",
        "test_pipeline_with_faults",
        "test_pipeline_with_incidents",
    }
)


class Scheduling(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """A module of tests/integration goes to one worker, all of the platform's to the same.

    The largest go first; what is left, the unit tests, fills up both workers at the end.
    """

    def _split_scope(self, nodeid: str) -> str:
        module = PurePath(nodeid.split("::", maxsplit=1)[0])
        if "integration" not in module.parts:
            return nodeid
        return _PLATFORM if module.stem in OF_PLATFORM else module.stem


def check(items: list[pytest.Item]) -> None:
    """Raise ``pytest.UsageError`` for a test of the platform that another worker would run."""
    for item in items:
        is_of_platform = "pipeline" in getattr(item, "fixturenames", ())
        if is_of_platform and item.path.stem not in OF_PLATFORM:
            raise pytest.UsageError(f"tests/workers.py: add {item.path.stem} to OF_PLATFORM")
