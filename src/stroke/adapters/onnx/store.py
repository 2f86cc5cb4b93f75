"""Where models are found: by a name or a version in a store, by a path, or as what is shipped."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Final

from stroke.adapters.onnx.artefact_folder import is_there
from stroke.adapters.onnx.manifest import GRAPH, read_manifest
from stroke.application.models.ports import ArtefactStore
from stroke.domain.errors import InvalidModel, ModelNotFound, ModelStoreUnavailable

SHIPPED: Final = Path(__file__).parent / "shipped"
DEFAULT: Final = "stroke-spline-lr"


class ModelStore:
    """Finds artefacts: in the store ``kept``, by a path, or the shipped default.

    Its methods raise ``ModelStoreUnavailable`` where they need ``kept`` and it cannot be reached.
    """

    def __init__(self, kept: ArtefactStore) -> None:
        self.kept = kept

    def names(self) -> list[str]:
        """Return the names that ``locate`` knows, sorted, the shipped default included."""
        return sorted({*self.kept.names(), DEFAULT})

    def locate(self, saved_model: str | None) -> Path:
        """Return the path of an artefact: a folder, or a bare ``.onnx`` file.

        ``saved_model`` is a name in the store, a folder, an ``.onnx`` file, or the version of a
        model in the store; None means the shipped default. Raises ``ModelNotFound`` saying what
        was looked for, and ``InvalidModel`` where the store does not hold what it once kept.
        """
        if saved_model is None:
            return SHIPPED / DEFAULT
        if "/" not in saved_model:
            with suppress(ModelNotFound):
                return self.kept.stored(saved_model)
        path = Path(saved_model)
        if is_there(path / GRAPH) or (path.suffix == ".onnx" and is_there(path)):
            return path
        if saved_model == DEFAULT:
            return SHIPPED / DEFAULT
        if (named := self.with_version(saved_model)) is not None:
            return named
        if is_there(path):
            raise ModelNotFound(
                f"{saved_model} is no .onnx graph: bring it into the store first "
                f"(stroke model import {saved_model} --name NAME --trust-pickle)"
            )
        raise ModelNotFound(
            f"no model {saved_model!r}: neither a name in {self.kept.place} "
            f"({self._known_names()}), a version of one of these, nor a folder with {GRAPH}, "
            "nor an .onnx file"
        )

    def by_name_or_version(self, text: str) -> Path:
        """Return the folder of a name or a version of this store, the shipped default included.

        Nothing else is reached, no path either. Raises ``ModelNotFound``, ``InvalidModel``.
        """
        with suppress(ModelNotFound):
            return self.kept.stored(text)
        if text == DEFAULT:
            return SHIPPED / DEFAULT
        if (found := self.with_version(text)) is not None:
            return found
        raise ModelNotFound(
            f"no model {text!r}: neither a name in {self.kept.place} ({self._known_names()}) nor "
            "the version of one that is or was there"
        )

    def with_version(self, version: str) -> Path | None:
        """Return the folder of the artefact of a version, None where there is none.

        Names and paths are not looked at: a caller reaches nothing but artefacts of the store.
        """
        if (found := self.kept.with_version(version)) is not None:
            return found
        shipped = SHIPPED / DEFAULT
        with suppress(ModelNotFound, InvalidModel):
            if read_manifest(shipped).version == version:
                return shipped
        return None

    def _known_names(self) -> str:
        try:
            return ", ".join(self.names())
        except ModelStoreUnavailable:
            return DEFAULT
