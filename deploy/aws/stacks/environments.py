"""What the environments differ in: deploy/aws/environments/*.json."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent.parent
NEVER: Final = "never"


@dataclass(frozen=True, slots=True)
class Environment:
    """Parameters of the template, and how long a stack of it is meant to live (days)."""

    name: str
    parameters: dict[str, str]
    lifetime_days: int | None

    @classmethod
    def read(cls, name: str) -> Environment:
        """Return the environment that is called ``name``."""
        content = json.loads((FOLDER / "environments" / f"{name}.json").read_text())
        return cls(name, content["Parameters"], content["LifetimeDays"])

    @property
    def is_production(self) -> bool:
        """Whether its stacks are protected from termination."""
        return self.name == "production"

    def expires(self, today: date) -> str:
        """Return the tag ExpiresAt of a stack that is made today: a date, or ``never``."""
        if self.lifetime_days is None:
            return NEVER
        return (today + timedelta(days=self.lifetime_days)).isoformat()


def names() -> list[str]:
    """Return the names of all environments."""
    return sorted(path.stem for path in (FOLDER / "environments").glob("*.json"))
