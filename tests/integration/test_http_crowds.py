"""Thousands of busy connections: health stays quick, and predictions go on."""

from __future__ import annotations

import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import urllib3

from components.containers import ROOT
from components.processes import Service
from components.programs import program

SECONDS = 8


def drive(service: Service, connections: int) -> float:
    """Let so many connections predict without pause; return the accepted predictions per second."""
    wrk = f"{program('wrk', 'wrk')} -t1 -c{connections} -d{SECONDS}s -s bench/patients.lua"
    shown = subprocess.run(
        ["sh", "-c", f"ulimit -n {connections + 200} && exec {wrk} {service.url}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    found = re.search(r"^RESULT (\d+) (\d+) \S+ \S+ (\d+)", shown, re.MULTILINE)
    assert found, shown
    requests, micros, refused = map(int, found.groups())
    return (requests - refused) / micros * 1e6


@contextmanager
def asking_for_health(service: Service) -> Iterator[list[float]]:
    """Ask all the while, over a new connection each time; yield the seconds that answers took."""
    took: list[float] = []
    over = threading.Event()

    def ask() -> None:
        while not over.wait(0.1):
            began = time.perf_counter()
            status = urllib3.PoolManager().request("GET", f"{service.url}/health/live").status
            took.append(time.perf_counter() - began if status == 200 else 60)

    asker = threading.Thread(target=ask)
    asker.start()
    try:
        yield took
    finally:
        over.set()
        asker.join()


@pytest.mark.soak("4,000 busy connections take both cores for a minute")
def test_health_is_quick_and_predictions_go_on_under_4000_connections(
    tmp_path: Path, figures: Callable[[str], None]
) -> None:
    ratios, slowest = [], 0.0
    with Service(tmp_path) as service:
        drive(service, 1_000)  # warm
        for _ in range(3):
            few = drive(service, 1_000)
            with asking_for_health(service) as took:
                many = drive(service, 4_000)
            ratios.append(many / few)
            slowest = max(slowest, *took)
        assert service.stop() == 0
    figures(
        f"4,000 connections: {sorted(ratios)[1]:.2f} of the predictions under 1,000 "
        f"({min(ratios):.2f} to {max(ratios):.2f}); slowest health {slowest:.2f} s"
    )
    assert sorted(ratios)[1] >= 0.8
    assert slowest <= 1
