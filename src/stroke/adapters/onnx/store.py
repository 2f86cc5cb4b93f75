"""The model store: a folder of artefacts by name, and the default that is shipped."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Final

from stroke.adapters.onnx.manifest import GRAPH, MANIFEST, read_manifest
from stroke.domain.errors import InvalidModel, ModelNotFound

SHIPPED: Final = Path(__file__).parent / "shipped"
DEFAULT: Final = "stroke-spline-lr"


class ModelStore:
    """Finds artefacts: by a name in ``folder``, by a path, or the shipped default."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def names(self) -> list[str]:
        """Return the names that ``locate`` knows, sorted, the shipped default included."""
        stored = self.folder.glob(f"*/{GRAPH}") if self.folder.is_dir() else ()
        return sorted({graph.parent.name for graph in stored} | {DEFAULT})

    def locate(self, saved_model: str | None) -> Path:
        """Return the path of an artefact: a folder, or a bare ``.onnx`` file.

        ``saved_model`` is a name in the store, a folder, an ``.onnx`` file, or the version of a
        model in the store; None means the shipped default. Raises ``ModelNotFound`` saying what
        was looked for.
        """
        if saved_model is None:
            return SHIPPED / DEFAULT
        stored = self.folder / saved_model
        if "/" not in saved_model and (stored / GRAPH).is_file():
            return stored
        path = Path(saved_model)
        if (path / GRAPH).is_file() or (path.suffix == ".onnx" and path.is_file()):
            return path
        if saved_model == DEFAULT:
            return SHIPPED / DEFAULT
        if (named := self._with_version(saved_model)) is not None:
            return named
        if path.is_file():
            raise ModelNotFound(
                f"{saved_model} is no .onnx graph: bring it into the store first "
                f"(stroke model import {saved_model} --name NAME --trust-pickle)"
            )
        raise ModelNotFound(
            f"no model {saved_model!r}: neither a name in {self.folder} "
            f"({', '.join(self.names())}), a version of one of these, nor a folder with {GRAPH}, "
            "nor an .onnx file"
        )

    def _with_version(self, version: str) -> Path | None:
        """Return the folder of the artefact of a version, None where there is none."""
        stored = self.folder.glob(f"*/{MANIFEST}") if self.folder.is_dir() else ()
        for manifest in (*sorted(stored), SHIPPED / DEFAULT / MANIFEST):
            with suppress(ModelNotFound, InvalidModel):
                if read_manifest(manifest.parent).version == version:
                    return manifest.parent
        return None
