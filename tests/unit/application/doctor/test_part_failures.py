"""What a part's container tells of its failures, beside what a check finds."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.doctor import AWAY, FakeMetrics
from stroke.application.doctor.part_failures import CAUSES, FAILED_AT, RECENT_SECONDS, explained
from stroke.domain.errors import BrokerUnavailable, EndpointUnavailable

NOW = 1_800_000_000.0


def telling(**failed_at: float) -> FakeMetrics:
    metrics = FakeMetrics([FAILED_AT])
    for name, at in failed_at.items():
        metrics.set(FAILED_AT, at, cause=name.replace("_", "-"))
    return metrics


async def answers() -> str:
    return "3 connectors"


async def is_away() -> str:
    raise BrokerUnavailable("away")


def looked(metrics: FakeMetrics | None, *, away: bool = False) -> str:
    async def look() -> str:
        return await explained(is_away if away else answers, metrics, lambda: NOW)()

    return asyncio.run(look())


@pytest.mark.parametrize("cause", CAUSES)
@pytest.mark.parametrize("age", [0.0, 3 * RECENT_SECONDS])
def test_a_part_that_is_away_is_away_for_the_cause_that_it_gave(cause: str, age: float) -> None:
    with pytest.raises(EndpointUnavailable) as said:
        looked(telling(**{cause: NOW - age}), away=True)

    assert str(said.value) == f"{CAUSES[cause]}; away"


@given(age=st.floats(0, RECENT_SECONDS))
def test_a_part_that_failed_a_moment_ago_is_not_well_though_it_answers(age: float) -> None:
    with pytest.raises(EndpointUnavailable, match=r"memory.*it answers now: 3 connectors"):
        looked(telling(out_of_memory=NOW - age))


def test_a_part_that_has_run_for_long_since_is_well() -> None:
    assert looked(telling(out_of_memory=NOW - RECENT_SECONDS - 1)) == "3 connectors"


@pytest.mark.parametrize("metrics", [None, telling(), telling(unheard_of=NOW)])
def test_a_part_that_tells_nothing_is_as_the_check_finds_it(metrics: FakeMetrics | None) -> None:
    assert looked(metrics) == "3 connectors"
    with pytest.raises(BrokerUnavailable, match=r"^away$"):
        looked(metrics, away=True)


def test_metrics_that_do_not_answer_leave_the_check_as_it_is() -> None:
    metrics = telling(disk_full=NOW)
    metrics.failing = AWAY

    assert looked(metrics) == "3 connectors"
    with pytest.raises(BrokerUnavailable, match=r"^away$"):
        looked(metrics, away=True)
