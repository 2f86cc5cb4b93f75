"""How long a browser stays signed in, and how often one may try to sign in."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from stroke.config.http import rate
from stroke.config.reading import SettingsGroup, prefixed


class SessionSettings(SettingsGroup):
    """Sessions of browsers."""

    model_config = prefixed("SESSION")

    idle_seconds: float = Field(1800, ge=1, le=604_800, description="a session unused so long ends")
    max_seconds: float = Field(
        43_200, ge=1, le=2_592_000, description="how long a session lasts, used or not"
    )
    provider_max_seconds: float = Field(
        3600, ge=1, le=2_592_000, description="the same of who signed in at the OpenID provider"
    )
    sign_in_rate: Annotated[str, AfterValidator(rate)] = Field(
        "60/minute", description="attempts of one client to sign in, as `limits` writes it"
    )
