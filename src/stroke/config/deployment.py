"""Models beside the champion."""

from __future__ import annotations

from pydantic import Field

from stroke.config.reading import SettingsGroup, prefixed


class ShadowSettings(SettingsGroup):
    """Models that score what the champion scores, and answer nobody."""

    model_config = prefixed("SHADOW")

    most: int = Field(2, ge=0, le=10, description="how many shadows there may be")
    queue: int = Field(
        5_000, ge=1, description="predictions that may wait for shadows; more are dropped"
    )
    gather_seconds: float = Field(
        0.4, ge=0, le=10, description="how long patients gather for the next run of shadows"
    )
    busy: float = Field(
        0.5,
        ge=0,
        le=1,
        description="from this share of the time of its answering thread on a worker is busy",
    )
    busy_share: float = Field(
        0.01,
        gt=0,
        le=1,
        description="of a busy worker's answering thread's time, what shadows may take beside it",
    )
    store: bool = Field(True, description="whether what shadows say is stored")
    shown: int = Field(
        5_000, ge=1_000, description="how many of the newest predictions API and page read"
    )
    least: int = Field(20, ge=1, description="of smaller groups, only the size is shown")


class CanarySettings(SettingsGroup):
    """When a canary is taken back by itself.

    Each worker judges by what it has seen, and one of them by what all have stored.
    """

    model_config = prefixed("CANARY")

    patients: int = Field(500, ge=20, description="of each model, before bands and scores count")
    errors: int = Field(5, ge=0, description="more runs that fail than this are too many")
    seconds: float = Field(0.5, gt=0, description="how long a run may take on average")
    band_shift: float = Field(
        0.1, gt=0, le=1, description="difference of the shares of Medium and High"
    )
    psi: float = Field(0.25, gt=0, description="population stability index of its scores")
    look_seconds: float = Field(
        60, gt=0, le=3600, description="how often one of all workers judges what is stored"
    )
    newest: int = Field(
        5_000, ge=100, description="of how many stored predictions of each model it judges"
    )
    outcomes: int = Field(200, ge=20, description="of each model, before outcomes count")
    strokes: int = Field(20, ge=5, description="of each model, before outcomes count")
    oe_ratio: float = Field(
        1.5, gt=1, description="how many times observed / expected may be the champion's"
    )
    auc_drop: float = Field(
        0.05, gt=0, lt=0.5, description="how much lower the AUC may be than the champion's"
    )
