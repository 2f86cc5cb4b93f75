"""Models beside the champion."""

from __future__ import annotations

from pydantic import Field

from stroke.config.reading import SettingsGroup, prefixed


class ShadowSettings(SettingsGroup):
    """Models that score what the champion scores, and answer nobody."""

    model_config = prefixed("SHADOW")

    most: int = Field(2, ge=0, le=10, description="how many shadows there may be")
