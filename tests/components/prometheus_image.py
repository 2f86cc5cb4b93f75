"""promtool, amtool and their like, as the image of deploy/images/prometheus has them."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any, Final

import yaml

from components.containers import LABELS, ROOT, build_image

FOLDER: Final = ROOT / "deploy" / "prometheus"


def run_tool(*command: str, at: Path = FOLDER, within: float = 120) -> str:
    """Run a command of the image with the folder ``at`` as /etc/stroke; return all it printed.

    Raises ``AssertionError`` with that when it failed.
    """
    return docker(
        *("run", "--rm", *labelled(), "--network=none", "--read-only", "--tmpfs=/tmp"),
        *("--volume", f"{at}:/etc/stroke:ro", "--workdir=/etc/stroke/tests"),
        # The file of a key, as secrets.sh writes it: promtool looks whether it is there.
        "--volume=/dev/null:/run/secrets/STROKE_METRICS_KEY:ro",
        *(build_image("prometheus"), *command),
        within=within,
    )


def labelled() -> list[str]:
    return [f"--label={key}={value}" for key, value in LABELS.items()]


def docker(*arguments: str, within: float = 120) -> str:
    done = subprocess.run(
        ["docker", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=within,
    )
    assert done.returncode == 0, done.stdout[-8000:]
    return done.stdout


def rules() -> list[dict[str, Any]]:
    """Return every rule of deploy/prometheus/rules, of all groups."""
    return [
        rule
        for path in sorted((FOLDER / "rules").glob("*.yml"))
        for group in yaml.safe_load(path.read_text())["groups"]
        for rule in group["rules"]
    ]


def alerts() -> dict[str, dict[str, Any]]:
    return {rule["alert"]: rule for rule in rules() if "alert" in rule}
