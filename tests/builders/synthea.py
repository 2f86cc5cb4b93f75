"""Records of invented patients that Synthea made; components/synthea.py makes them again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

KEPT: Final = Path(__file__).with_suffix(".jsonl")


def kept_records() -> list[dict[str, Any]]:
    """Return the kept records: of each measurement the newest, and all conditions."""
    return [json.loads(line) for line in KEPT.read_text(encoding="utf-8").splitlines()]
