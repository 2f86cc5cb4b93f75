"""Google's Lighthouse from npm, run on Debian's Chromium."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

from components.programs import program

# The last one that runs on Node 20, which is what Debian and others have.
_PACKAGE: Final = "lighthouse@12.8.2"
# A test that lacks it skips with these words, which tests/conftest.py allows.
MISSING: Final = "needs npm and its registry"
CATEGORIES: Final = ("accessibility", "best-practices")


def install(folder: Path) -> Path | None:
    """Install Lighthouse under ``folder``; return its program, or nothing where npm cannot."""
    npm = shutil.which("npm")
    if npm is None:
        return None
    done = subprocess.run(
        [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", _PACKAGE],
        cwd=folder,
        env=os.environ | {"npm_config_fetch_retries": "1"},
        capture_output=True,
        check=False,
    )
    found = folder / "node_modules" / ".bin" / "lighthouse"
    return found if done.returncode == 0 and found.exists() else None


def scores(lighthouse: Path, url: str) -> tuple[dict[str, float], list[str]]:
    """Return each category's score (0 to 100), and what lowers it. Error pages have scores."""
    done = subprocess.run(
        [
            *(lighthouse, url, "--quiet", "--output=json", "--output-path=stdout"),
            *("--ignore-status-code", f"--only-categories={','.join(CATEGORIES)}"),
            "--chrome-flags=--headless --no-sandbox --disable-dev-shm-usage",
        ],
        env=os.environ | {"CHROME_PATH": program("chromium", "chromium")},
        capture_output=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr.decode()[-1000:]
    report = json.loads(done.stdout)
    found = report["categories"]
    lowered = [
        f"{audit['id']}: {audit['title']}"
        for audit in report["audits"].values()
        if audit["score"] is not None and audit["score"] < 1
    ]
    return {name: 100 * found[name]["score"] for name in CATEGORIES}, lowered
