"""What a change of the served model costs those who wait: p99 around swaps against p99 without.

One `stroke serve` (one worker, SQLite) gets a steady stream of patients: each is sent when its time
has come, whatever became of those before, and its latency counts from then on. Meanwhile the model
is promoted and rolled back by the API. The other model is the shipped one under another version,
with other bands: an answer whose category does not fit the bands of the version that it names is of
two models. A window around a swap lasts from the request for it until a second after the first
answer of the new model; all requests out of the windows are those without.

    .venv/bin/python bench/swap.py [--rate 2000] [--swaps 20] [--pause 3] [--connections 64]

A rate that is not carried, a failed request or a mixed answer fails the bench; a missed goal is
only said. Goals: 0 failed, 0 mixed, p99 in the windows <= 2 x that without.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import urllib.request
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter
from typing import cast
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import orjson
from bench.context import simulated
from bench.service import databases, stroke_server, warn_when_busy
from bench.shadow import OTHER, store_with_another

from stroke.adapters.onnx.manifest import MANIFEST, read_manifest
from stroke.adapters.onnx.store import DEFAULT, SHIPPED
from stroke.domain.risk import RiskBands

TICK = 0.001
AFTER = 1.0
FOLLOW_SECONDS = 30.0
WARM_SECONDS = 3.0
CARRIED = 0.98
BANDS = {"medium": 0.2, "high": 0.4}


@dataclass
class Answers:
    """What came back: when each was due, how long it took, and who answered."""

    bands: dict[str, RiskBands]
    due: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    versions: list[str] = field(default_factory=list)
    failed: int = 0
    mixed: int = 0

    def add(self, due: float, status: bytes, body: bytes) -> None:
        if status != b"200":
            self.failed += 1
            return
        answer = orjson.loads(body)
        version = answer["model_version"]
        fits = self.bands[version].categorise(answer["probability"]).value
        self.mixed += fits != answer["risk_category"]
        self.due.append(due)
        self.seconds.append(perf_counter() - due)
        self.versions.append(version)


class Client(asyncio.Protocol):
    """One connection: a request at a time, and its answer."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._transport: asyncio.Transport
        self._got = b""
        self._due = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def send(self, due: float, request: bytes) -> None:
        self._due, self._got = due, b""
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._got += data
        head, end, body = self._got.partition(b"\r\n\r\n")
        if not end:
            return
        length = head.lower().partition(b"\r\ncontent-length: ")[2].partition(b"\r\n")[0]
        if len(body) == int(length):
            self._stream.answered(self, self._due, head[9:12], body)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        if not self._stream.ended:
            self._stream.answers.failed += 1


class Stream:
    """Sends ``requests`` in turn, ``rate`` a second, over so many connections."""

    def __init__(self, answers: Answers, requests: list[bytes], rate: float) -> None:
        self.answers = answers
        self.ended = False
        self._requests = requests
        self._rate = rate
        self._idle: deque[Client] = deque()
        self._waiting: deque[float] = deque()
        self.sent = 0

    async def connect(self, address: str, connections: int) -> None:
        at = urlsplit(address)
        loop = asyncio.get_running_loop()
        for _ in range(connections):
            _, client = await loop.create_connection(
                lambda: Client(self), at.hostname or "127.0.0.1", at.port or 80
            )
            self._idle.append(client)

    def answered(self, client: Client, due: float, status: bytes, body: bytes) -> None:
        self.answers.add(due, status, body)
        self._idle.append(client)
        self._send()

    async def run(self) -> None:
        began, planned = perf_counter(), 0
        while not self.ended:
            await asyncio.sleep(TICK)
            until = int((perf_counter() - began) * self._rate)
            self._waiting.extend(began + n / self._rate for n in range(planned, until))
            planned = until
            self._send()

    def _send(self) -> None:
        while self._waiting and self._idle:
            request = self._requests[self.sent % len(self._requests)]
            self._idle.popleft().send(self._waiting.popleft(), request)
            self.sent += 1


def change(address: str, action: str) -> None:
    wish = {"action": action} | ({"model": "other"} if action == "promote" else {})
    asked = urllib.request.Request(  # noqa: S310 - our own http address
        f"{address}/api/v1/models/deployment",
        json.dumps(wish).encode(),
        {"Content-Type": "application/json"},
    )
    urllib.request.urlopen(asked).close()  # noqa: S310 - as above


async def swaps(
    address: str, requests: list[bytes], chosen: argparse.Namespace, bands: dict[str, RiskBands]
) -> tuple[Answers, list[tuple[float, float]], float]:
    """Return the answers, the windows of the swaps, and the rate that was carried."""
    answers = Answers(bands)
    stream = Stream(answers, requests, chosen.rate)
    await stream.connect(address, chosen.connections)
    streaming = asyncio.create_task(stream.run())
    await asyncio.sleep(WARM_SECONDS)
    for warm in (answers.due, answers.seconds, answers.versions):
        del warm[:-1]
    began = perf_counter()
    windows = []
    for turn in range(chosen.swaps):
        await asyncio.sleep(chosen.pause)
        action = "promote" if turn % 2 == 0 else "rollback"
        asked = perf_counter()
        before = answers.versions[-1]
        await asyncio.to_thread(change, address, action)
        while answers.versions[-1] == before:
            if perf_counter() - asked > FOLLOW_SECONDS:
                raise SystemExit(f"the server does not follow {action}")
            await asyncio.sleep(TICK)
        await asyncio.sleep(AFTER)
        windows.append((asked, perf_counter()))
    carried = len(answers.due) / (perf_counter() - began)
    stream.ended = True
    await streaming
    return answers, windows, carried


def p99(seconds: list[float]) -> float:
    return quantiles(seconds, n=100)[98] * 1e3


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rate", type=float, default=2_000)
    parser.add_argument("--swaps", type=int, default=20)
    parser.add_argument("--pause", type=float, default=3)
    parser.add_argument("--connections", type=int, default=64)
    chosen = parser.parse_args()
    warn_when_busy()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        store = store_with_another(folder)
        other = store / "other" / MANIFEST
        other.write_text(json.dumps(json.loads(other.read_text()) | {"bands": BANDS}))
        shipped = read_manifest(SHIPPED / DEFAULT).description
        bands = {shipped.version: shipped.bands, OTHER: RiskBands(**BANDS)}
        bodies = Path(simulated(folder)).read_bytes().splitlines()
        requests = [
            b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
            for body in bodies
        ]
        with databases(folder, sqlite=True) as database:
            settings = {"STROKE_DATABASE_URL": database("swap"), "STROKE_MODEL_STORE": str(store)}
            with stroke_server("swap", settings) as server:
                answers, windows, carried = asyncio.run(
                    swaps(server.address, requests, chosen, bands)
                )
    within: list[list[float]] = [[] for _ in windows]
    without: list[float] = []
    for due, seconds in zip(answers.due, answers.seconds, strict=True):
        place = next((n for n, (first, last) in enumerate(windows) if first <= due <= last), None)
        (without if place is None else within[place]).append(seconds)
    quiet, during = p99(without), p99([each for window in within for each in window])
    each = [p99(window) for window in within]
    print(f"offered {chosen.rate:.0f}/s, carried {carried:.0f}/s; {len(windows)} swaps")
    print(f"answers {len(answers.due)}, failed {answers.failed}, mixed {answers.mixed}")
    print(
        f"p99 without {quiet:.1f} ms ({len(without)} requests), around swaps {during:.1f} ms "
        f"({sum(map(len, within))}; of single swaps {min(each):.1f} to {max(each):.1f}, median "
        f"{median(each):.1f})"
    )
    print(f"ratio {during / quiet:.2f}   goal: <= 2")
    if carried < CARRIED * chosen.rate:
        print("the rate was not carried: offer less (--rate)")
        return 1
    return 1 if answers.failed or answers.mixed else 0


if __name__ == "__main__":
    sys.exit(main())
