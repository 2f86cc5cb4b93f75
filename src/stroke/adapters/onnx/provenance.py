"""Where an artefact comes from: who made it, when, with which code and of which data."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from stroke.adapters.onnx.manifest import PROVENANCE
from stroke.domain.errors import InvalidModel


class Provenance(BaseModel):
    """What is known of an artefact's origin; None where it is not.

    ``data_sha256`` is of the file of labelled data, of the outcomes of an update, or of the model
    that was imported. ``parent_version`` is that of the model that was updated.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    made_at: datetime
    made_by: str
    made_from: str
    stroke_version: str
    data_sha256: str | None = None
    parent_version: str | None = None


def read_provenance(folder: Path) -> Provenance | None:
    """Return the provenance of an artefact, None where there is none. Raises ``InvalidModel``."""
    try:
        text = (folder / PROVENANCE).read_bytes()
    except OSError:
        return None
    try:
        return Provenance.model_validate_json(text)
    except ValidationError as error:
        raise InvalidModel(f"{folder / PROVENANCE} cannot be read") from error
