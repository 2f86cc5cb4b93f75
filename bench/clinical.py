"""How long a hook of a record system takes, with its token and its commits, at a steady rate.

One `stroke serve` with two workers gets 50 calls a second, each of another chart with a token of
its own (ES384, signed before the clock starts), and, in turns with that, as many plain predictions
with a key (`POST /api/v1/predict`). A call's time counts from when it was due: one that waits for a
late one before it is late, too.

    .venv/bin/python bench/clinical.py [--rounds 5] [--seconds 10] [--rate 50] [--mysql]

The database is SQLite, or with --mysql a real MySQL at its durable defaults (a Docker engine). The
clients run on the same cores. What was refused, is no card, or is not found in the database
afterwards fails the bench; a missed goal is only said. Goal: p95 of the hook <= 50 ms.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import quantiles
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import jwt
import urllib3
from bench.service import warn_when_busy
from cryptography.hazmat.primitives.asymmetric import ec

from builders.charts import bmi, bundle, glucose, request
from builders.predictions import patient_json
from components.containers import MySqlServer, mysql_image
from components.openid_provider import ec_key, public_jwk
from components.processes import Service, new_key, upgrade_schema

ISSUER, PUBLIC = "https://ehr.hospital.example", "https://risk.hospital.example"
HOOK, PLAIN = "/cds-services/stroke-risk", "/api/v1/predict"
KEY = ec_key("bench", ec.SECP384R1)
GOAL = 0.050
CLIENTS = 32
Call = tuple[bytes, dict[str, str]]


def charts(count: int, first: int) -> list[Call]:
    """Return the bodies and headers of so many hooks, each of another chart."""
    calls = []
    for number in range(first, first + count):
        now = int(time.time())
        claims = {"iss": ISSUER, "aud": PUBLIC + HOOK, "iat": now, "exp": now + 500}
        token = jwt.encode(claims | {"jti": str(number)}, KEY, "ES384", headers={"kid": "bench"})
        other = {"bmi": bundle(bmi(15 + number % 4_000 / 100))}
        body = json.dumps(request(**other, glucose=bundle(glucose(100 + number // 4_000))))
        calls.append((body.encode(), {"Authorization": f"Bearer {token}"}))
    return calls


def patients(key: str) -> Callable[[int, int], list[Call]]:
    """Return what makes so many plain predictions."""

    def calls(count: int, first: int) -> list[Call]:
        return [
            (
                json.dumps(patient_json(bmi=15 + number % 4_000 / 100)).encode(),
                {"Authorization": f"Bearer {key}"},
            )
            for number in range(first, first + count)
        ]

    return calls


def driven(url: str, calls: list[Call], rate: float, stored: str) -> list[float]:
    """Send calls at a steady rate; return how long each took, in seconds, from when it was due.

    Each answer must have ``stored`` in it: what says that a prediction was stored.
    """
    pool = urllib3.PoolManager(maxsize=CLIENTS, retries=False, timeout=30)
    taken: list[float] = []
    lock = threading.Lock()
    begins = time.perf_counter() + 0.2

    def send(place: int) -> None:
        due = begins + place / rate
        time.sleep(max(due - time.perf_counter(), 0))
        body, headers = calls[place]
        kind = {"Content-Type": "application/json"}
        answer = pool.request("POST", url, body=body, headers=headers | kind)
        taken_now = time.perf_counter() - due
        if answer.status != 200 or stored not in answer.json():
            raise SystemExit(f"{url}: {answer.status} {answer.data.decode()}")
        with lock:
            taken.append(taken_now)

    with ThreadPoolExecutor(CLIENTS) as threads:
        list(threads.map(send, range(len(calls))))
    return taken


def stored_assessments(url: str, key: str) -> int:
    """Return how many assessments the service finds, page by page."""
    found = 0
    following: str | None = f"{url}/fhir/RiskAssessment?_count=1000"
    while following is not None:
        answer = urllib3.request("GET", following, headers={"Authorization": f"Bearer {key}"})
        if answer.status != 200:
            raise SystemExit(f"the assessments could not be counted: {answer.status}")
        page = answer.json()
        found += len(page.get("entry", []))
        links = {each["relation"]: each["url"] for each in page["link"]}
        following = links.get("next", "").replace(PUBLIC, url) or None
    return found


@contextmanager
def database(folder: Path, *, mysql: bool) -> Iterator[str]:
    """Yield the address of a database that is ready."""
    if not mysql:
        url = f"sqlite:///{folder / 'stroke.db'}"
        upgrade_schema(url, folder)
        yield url
        return
    server = MySqlServer(mysql_image(), on_host_network=True)
    server.launch()
    try:
        url = server.new_database()
        upgrade_schema(url, folder)
        yield url
    finally:
        server.remove()


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rate", type=float, default=50)
    parser.add_argument("--mysql", action="store_true")
    return parser.parse_args()


def settings(folder: Path, url: str) -> dict[str, str]:
    """Return those of a service that takes our tokens."""
    (folder / "keys.json").write_text(json.dumps({"keys": [public_jwk(KEY, "bench")]}))
    client: dict[str, Any] = {"issuer": ISSUER, "keys": "keys.json", "site": "north"}
    (folder / "clients.json").write_text(json.dumps({"clients": [client]}))
    return {
        "STROKE_DATABASE_URL": url,
        "STROKE_HTTP_WORKERS": "2",
        "STROKE_CLINICAL_CLIENTS": "clients.json",
        "STROKE_CLINICAL_PUBLIC_URL": PUBLIC,
    }


def main() -> int:
    chosen = options()
    warn_when_busy()
    count = int(chosen.rate * chosen.seconds)
    with tempfile.TemporaryDirectory() as name, database(Path(name), mysql=chosen.mysql) as url:
        folder = Path(name)
        key = new_key(folder, url, "predict,read,all-sites")
        with Service(folder, **settings(folder, url)) as service:
            kinds = {
                "hook": (HOOK, charts, "extension"),
                "plain": (PLAIN, patients(key), "probability"),
            }
            seen: dict[str, list[list[float]]] = {kind: [] for kind in kinds}
            for turn in range(chosen.rounds + 1):
                for kind, (path, calls, stored) in kinds.items():
                    made = calls(count, turn * count)
                    taken = driven(service.url + path, made, chosen.rate, stored)
                    if turn:  # the first one warms caches and connections
                        seen[kind].append(taken)
            sent, found = count * (chosen.rounds + 1), stored_assessments(service.url, key)
    if found != sent:
        raise SystemExit(f"{sent} charts were answered, and {found} assessments are stored")
    p95 = {}
    for kind, rounds in seen.items():
        cuts = quantiles((each for taken in rounds for each in taken), n=100)
        p95[kind] = cuts[94]
        by_round = [quantiles(taken, n=100)[94] * 1000 for taken in rounds]
        print(
            f"{kind:5}  {count * len(rounds)} calls at {chosen.rate:g}/s: p50 {cuts[49] * 1000:.1f}"
            f" ms, p95 {p95[kind] * 1000:.1f} ms ({min(by_round):.1f} to {max(by_round):.1f} in a "
            f"round), p99 {cuts[98] * 1000:.1f} ms"
        )
    print(f"hook/plain: p95 {p95['hook'] / p95['plain']:.2f}")
    met = "met" if p95["hook"] <= GOAL else "missed"
    print(f"p95 of the hook {p95['hook'] * 1000:.1f} ms (goal <= {GOAL * 1000:.0f} ms): {met}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
