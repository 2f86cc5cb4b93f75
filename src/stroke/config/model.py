"""The model that is served, and what importing one may take."""

from __future__ import annotations

from pathlib import Path

from pydantic import AliasChoices, Field

from stroke.config.reading import SettingsGroup, prefixed


class ModelSettings(SettingsGroup):
    """Which model is served."""

    model_config = prefixed("MODEL")

    saved_model: str | None = Field(
        None, validation_alias=AliasChoices("STROKE_MODEL_SAVED_MODEL", "SAVED_MODEL")
    )
    store: Path = Path("models")
    poll_seconds: float = Field(
        2, gt=0, le=5, description="how often a worker looks which models are served"
    )
    public_keys: Path | None = Field(
        None, description="a PEM file of Ed25519 keys, one of which must have signed a model"
    )
    max_file_bytes: int = Field(
        256 * 1024 * 1024, ge=1024, description="of a graph, and of a pickle that is imported"
    )
    memory_bytes: int = Field(
        2 * 1024**3, ge=64 * 1024**2, description="what a graph may allocate while it scores"
    )
    run_seconds: float = Field(60, gt=0, description="how long a graph may score one batch")
    refuse_outside: bool = Field(
        False, description="whether the API refuses patients outside of the training data"
    )
    import_seconds: float = Field(
        120, gt=0, description="how long each process of an import may take"
    )
    import_memory_bytes: int = Field(
        4 * 1024**3, ge=512 * 1024**2, description="address space of each process of an import"
    )
