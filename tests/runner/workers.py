"""In which order the workers (test.sh) take the tests, and which of them they keep together.

pytest-xdist's own groups are no groups with pytest 9.2 (its issue 1386).
"""

from __future__ import annotations

from collections import Counter
from pathlib import PurePath
from typing import Final

import pytest
from xdist.scheduler import LoadScopeScheduling

_PLATFORM: Final = "platform"
_FAULTS: Final = "faults"
# Two cores carry one platform, and its tests want to be one by one.
OF_PLATFORM: Final = frozenset(
    {
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
        "test_restore_drill",
    }
)
# The platform takes more than a minute to start. The first of these modules begins that; they wait,
# too, and need nothing of it.
BESIDE_PLATFORM: Final = ("test_sql_repository", "test_migrations")
# They leave another Kafka, or many rows: after the others (the gate), or on the other worker's own
# platform (the soak); the many rows last, which whatever compares copies then reads.
AT_FAULT: Final = ("test_pipeline_with_incidents", "test_pipeline_with_faults")

_UNITS: Final = "units in the image"
# The unit tests run once more in the image that is shipped: the first of these modules begins
# that, the last one waits for its end. The others mostly wait for containers and for intervals.
BESIDE_UNITS: Final = (
    "test_api_image",
    "test_access",
    "test_erasure_jobs",
    "test_edge",
    "test_faults",
    "test_shipped_python",
)

# Spark's image takes longest to make, and the tests of the platform want it some time later.
_FIRST: Final = ("test_spark_image",)
# Each has a platform of its own, as the faults have: side by side, when the images are there, and
# the first platform is gone.
_LAST: Final = ("test_compose", "test_platform_short_of")
# Of the unit tests, these take longest: at the end one of them would keep one worker alone.
_LONG_UNITS: Final = ("test_checkpoint", "test_ports")


class Scheduling(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """A module of tests/integration goes to one worker, those of the platform to the same.

    So do those beside which the unit tests run in the image.

    What is left, the unit tests, fills up all workers at the end.
    """

    def _split_scope(self, nodeid: str) -> str:
        module = PurePath(nodeid.split("::", maxsplit=1)[0])
        return scope_of(module, self.config) or nodeid


def scope_of(module: PurePath, config: pytest.Config) -> str | None:
    """Return what keeps the tests of ``module`` together; nothing does for unit tests."""
    if "integration" not in module.parts:
        return None
    if module.stem in OF_PLATFORM or module.stem in BESIDE_PLATFORM:
        return _PLATFORM
    if module.stem in AT_FAULT:  # a second platform is not worth the few of them in the gate
        return _PLATFORM if config.getoption("--soak") is None else _FAULTS
    return _UNITS if module.stem in BESIDE_UNITS else module.stem


def order(items: list[pytest.Item], config: pytest.Config) -> None:
    """Sort: the platform's, then others of tests/integration, large ones first; unit tests last."""
    scopes = {item: scope_of(item.path, config) for item in items}
    sizes = Counter(scopes.values())

    def rank(item: pytest.Item) -> tuple[int, int, int]:
        scope = scopes[item]
        if scope is None:
            return 5, 0, -(item.path.stem in _LONG_UNITS)
        module = item.path.stem
        turns = {_PLATFORM: 0, _FAULTS: 3} | dict.fromkeys(_FIRST, 1) | dict.fromkeys(_LAST, 4)
        # Within a scope: these keep the order in which they are listed, before or after all others.
        place = next(
            (each.index(module) + 1 for each in (AT_FAULT, BESIDE_UNITS) if module in each), 0
        )
        if module in BESIDE_PLATFORM:
            place = BESIDE_PLATFORM.index(module) - len(BESIDE_PLATFORM)
        return turns.get(scope, 2), -sizes[scope], place

    items.sort(key=rank)


def wants_platform(item: pytest.Item) -> bool:
    """Say whether a test runs on the shared platform."""
    return "pipeline" in getattr(item, "fixturenames", ())


def check(items: list[pytest.Item]) -> None:
    """Raise ``pytest.UsageError`` for a test of the platform that another worker would run."""
    for item in items:
        if wants_platform(item) and item.path.stem not in {*OF_PLATFORM, *AT_FAULT}:
            raise pytest.UsageError(f"tests/runner/workers.py: add {item.path.stem} to OF_PLATFORM")
