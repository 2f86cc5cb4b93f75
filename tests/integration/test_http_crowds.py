"""Thousands of busy connections: health stays quick, and predictions go on."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from statistics import median

import pytest

from components.crowds import Crowd, asking_for_health, predict_in_a_crowd
from components.processes import Service

SECONDS = 6
ROUNDS = 5


@pytest.mark.soak("4,000 busy connections take both cores for two minutes")
def test_health_is_quick_and_predictions_go_on_under_4000_connections(
    tmp_path: Path, figures: Callable[[str], None]
) -> None:
    ratios, shares, slowest = [], [], 0.0
    with (
        Service(tmp_path) as service,
        closing(sqlite3.connect(tmp_path / "stroke.db")) as file,
    ):

        def stored() -> int:
            [(newest,)] = file.execute("SELECT COALESCE(MAX(id), 0) FROM predictions").fetchall()
            return int(newest)

        def drive(connections: int) -> Crowd:
            seen = predict_in_a_crowd(
                service.url, service.pid, stored, connections=connections, seconds=SECONDS
            )
            figures(str(seen))
            return seen

        for _ in range(ROUNDS):
            few = drive(1_000)
            with asking_for_health(service.url) as took:
                many = drive(4_000)
            ratios.append(many.own_rate / few.own_rate)
            shares.append(few.cpu_us / many.cpu_us)
            slowest = max(slowest, *took)
        assert service.stop() == 0
    figures(
        f"4,000 connections: {median(ratios):.2f} of the predictions under 1,000 "
        f"({min(ratios):.2f} to {max(ratios):.2f}), by CPU time {median(shares):.2f} "
        f"({min(shares):.2f} to {max(shares):.2f}); slowest health {slowest:.2f} s"
    )
    assert median(ratios) >= 0.8
    assert median(shares) >= 0.8
    assert slowest <= 1
