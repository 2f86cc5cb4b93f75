"""The first estimate of the page: ms from the last field that is filled to the painted result.

Debian's Chromium fills the calculator of a `stroke serve` (one worker, SQLite) again and again, all
fields but one; the clock runs from the choice in the last one. What is compared with it is a
request to /health/live and a paint, by the same page in the same round.

    .venv/bin/python bench/page.py [--rounds 31]

Needs Chromium (Debian's package). A missed goal is only said. Goal: median <= 100 ms.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.service import warn_when_busy

from components.clinic_page import bare_request_ms, chromium, first_result_ms, window
from components.figures import read
from components.processes import Service


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=31)
    rounds = parser.parse_args().rounds
    warn_when_busy()
    with (
        tempfile.TemporaryDirectory() as folder,
        Service(Path(folder)) as service,
        chromium() as browser,
        window(browser, service.url) as opened,
    ):
        opened.page.goto("/ui")
        first_result_ms(opened.page)  # warm caches
        seen = [(first_result_ms(opened.page), bare_request_ms(opened.page)) for _ in range(rounds)]
    first = read("the time to the first result", median(took for took, _ in seen))
    bare = read("the time of a bare request", median(took for _, took in seen))
    slowest = max(took for took, _ in seen)
    print(
        f"first result    median {first:.1f} ms, slowest {slowest:.1f} ms   goal: median <= 100 ms"
    )
    print(f"bare request    median {bare:.1f} ms   ratio {first / bare:.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
