"""The cluster of Spark."""

from __future__ import annotations

from pydantic import Field, SecretStr

from stroke.config.reading import SettingsGroup, prefixed


class SparkSettings(SettingsGroup):
    """The cluster that analyses and scores may run on."""

    model_config = prefixed("SPARK")

    secret: SecretStr | None = Field(
        None, description="what the parts of the cluster know of each other"
    )
