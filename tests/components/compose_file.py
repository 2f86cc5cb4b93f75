"""deploy/compose.yaml as `docker compose` renders it, with every profile."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

from components.containers import ROOT
from components.processes import environment

COMPOSE = ROOT / "deploy" / "compose.yaml"
_EXAMPLE = ROOT / "deploy" / ".env.example"
_FILLED = re.compile(r"^([A-Z0-9_]*(?:PASSWORD|SECRET|TOKEN))=$", re.MULTILINE)


def marked(name: str) -> str:
    """Return a value that can be recognized, for the secret ``name``."""
    return f"pass-{name.lower().replace('_', '-')}"


def rendered(folder: Path, **settings: str) -> dict[str, Any]:
    """Return the platform by the settings of .env.example, its passwords filled, and ``settings``.

    Every password is ``marked``.
    """
    text = _FILLED.sub(lambda found: f"{found[1]}={marked(found[1])}", _EXAMPLE.read_text())
    own = "".join(f"{name}={value}\n" for name, value in settings.items())
    (folder / "example.env").write_text(text + own)
    command = ["docker", "compose", "--env-file", str(folder / "example.env"), "--profile", "*"]
    done = subprocess.run(
        [*command, "-f", str(COMPOSE), "config", "--format", "json"],
        capture_output=True,
        text=True,
        check=True,
        env=environment(),
    )
    return dict(json.loads(done.stdout))
