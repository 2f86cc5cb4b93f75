"""When patients or results count as other than they were."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field
from pydantic_settings import NoDecode

from stroke.config.reading import SettingsGroup, parted, prefixed
from stroke.domain.performance import MEASURES


class DriftSettings(SettingsGroup):
    """Whether the service counts what it is asked, and over how long."""

    model_config = prefixed("DRIFT")

    enabled: bool = True
    window_hours: float = Field(24, gt=0, le=24 * 366)


class PerformanceSettings(SettingsGroup):
    """When a model counts as worse than it was."""

    model_config = prefixed("PERFORMANCE")

    drop: float = Field(0.15, gt=0, lt=1, description="by which share of the reference")
    watched: Annotated[
        tuple[Literal[*MEASURES], ...],  # type: ignore[valid-type] # the domain's names
        NoDecode,
        BeforeValidator(parted),
    ] = ("auc", "sensitivity_medium", "sensitivity_high", "calibration_slope", "oe_ratio")


class UpdateSettings(SettingsGroup):
    """When `stroke model update` changes a model, and what it needs for it."""

    model_config = prefixed("UPDATE")

    alpha: float = Field(0.05, gt=0, lt=1, description="of each likelihood-ratio test")
    min_events: int = Field(
        100, ge=10, description="strokes, and patients without one, for any update"
    )
    events_per_coefficient: int = Field(20, ge=1, description="for a refit")
