"""A crowd of clients that predict without pause, and a client that asks for the health meanwhile.

wrk's own figures would count the seconds in which it opens its connections, and leave out what was
done for the requests that have no answer when it ends: with thousands of connections, that is a
large part of a short round. So what counts is what the service stores in a window in between.
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import urllib3

from components.containers import ROOT
from components.figures import read
from components.programs import program

_SETTLES_WITHIN = 120.0
# How often each client has been answered before the window begins.
_TURNS_BEFORE = 2
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Crowd:
    """What a service did for a crowd in a window of time."""

    connections: int
    stored: int
    seconds: float
    waited: float
    """Seconds in which the service was ready to run, and something else had the processor."""
    service_cpu: float
    client_cpu: float

    @property
    def rate(self) -> float:
        """Accepted predictions per second of the window."""
        return self.stored / self.seconds

    @property
    def own_rate(self) -> float:
        """The same without the seconds that others took, wrk among them."""
        return self.stored / (self.seconds - self.waited)

    @property
    def cpu_us(self) -> float:
        """CPU time of the service per accepted prediction."""
        return self.service_cpu / self.stored * 1e6

    def __str__(self) -> str:
        return (
            f"{self.connections} connections: {self.rate:.0f}/s, without what others took "
            f"{self.own_rate:.0f}/s; CPU per prediction: service {self.cpu_us:.0f} us, "
            f"wrk {self.client_cpu / self.stored * 1e6:.0f} us"
        )


def predict_in_a_crowd(
    url: str, pid: int, stored: Callable[[], int], *, connections: int, seconds: float
) -> Crowd:
    """Let so many ``connections`` predict without pause; return what happened in ``seconds``.

    The service at ``url`` is the process ``pid``. ``stored`` returns how many predictions it has
    stored so far.
    """
    lasts = f"{_SETTLES_WITHIN + seconds + 60:.0f}s"  # it is ended before
    wrk = f"{program('wrk', 'wrk')} -t1 -c{connections} -d{lasts} -s bench/patients.lua {url}"
    client = subprocess.Popen(
        ["sh", "-c", f"ulimit -n {connections + 200} && exec {wrk}"],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
    )
    try:
        enough = stored() + _TURNS_BEFORE * connections
        deadline = time.monotonic() + _SETTLES_WITHIN
        while stored() < enough:
            assert client.poll() is None, "wrk ended by itself"
            assert time.monotonic() < deadline, "the crowd gets no answers"
            time.sleep(0.1)
        before = _measure(pid, client.pid, stored)
        time.sleep(seconds)
        after = _measure(pid, client.pid, stored)
    finally:
        client.kill()
        client.wait()
    rows, took, waited, service_cpu, client_cpu = (
        then - now for then, now in zip(after, before, strict=True)
    )
    return Crowd(
        connections,
        int(read("accepted predictions", rows)),
        read("the window", took),
        waited,
        read("the CPU time of the service", service_cpu),
        client_cpu,
    )


def _measure(service: int, client: int, stored: Callable[[], int]) -> tuple[float, ...]:
    # Of the main thread, where the event loop is: running, and ready to run, in nanoseconds.
    _, waited, _ = Path(f"/proc/{service}/task/{service}/schedstat").read_text().split()
    now = time.monotonic()
    return stored(), now, int(waited) / 1e9, _cpu_seconds(service), _cpu_seconds(client)


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


@contextmanager
def asking_for_health(url: str, *, every: float = 0.1) -> Iterator[list[float]]:
    """Ask all the while, over a new connection each time; yield the seconds that answers took.

    An answer that does not come, or is not 200, counts as a minute.
    """
    took: list[float] = []
    over = threading.Event()

    def ask() -> None:
        while not over.wait(every):
            began = time.perf_counter()
            with urllib3.PoolManager(retries=False, timeout=60) as new:
                try:
                    status = new.request("GET", f"{url}/health/live").status
                except urllib3.exceptions.HTTPError:
                    status = 0
            took.append(time.perf_counter() - began if status == 200 else 60)

    asker = threading.Thread(target=ask)
    asker.start()
    try:
        yield took
    finally:
        over.set()
        asker.join()
