"""The page for clinicians."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from stroke.config.reading import SettingsGroup, prefixed


class UiSettings(SettingsGroup):
    """What the page shows, and in which languages."""

    model_config = prefixed("UI")

    catalogues: Path | None = Field(
        None, description="a folder of catalogues (de.po) that add languages or change texts"
    )
    insights_rows: int = Field(
        10_000,
        ge=100,
        le=1_000_000,
        description="how many predictions, the newest ones, a look at the insights counts",
    )
