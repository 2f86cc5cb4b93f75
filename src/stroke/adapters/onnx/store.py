"""The model store: a folder of artefacts by name, and the default that is shipped."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path
from typing import Final

from stroke.adapters.onnx.manifest import GRAPH, MANIFEST, read_manifest
from stroke.domain.errors import InvalidModel, InvalidSetting, ModelNotFound

ARCHIVE: Final = ".archive"
"""The folder of a store with artefacts by version whose names were given up."""

SHIPPED: Final = Path(__file__).parent / "shipped"
DEFAULT: Final = "stroke-spline-lr"


class ModelStore:
    """Finds artefacts: by a name in ``folder``, by a path, or the shipped default."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def names(self) -> list[str]:
        """Return the names that ``locate`` knows, sorted, the shipped default included."""
        stored = self.folder.glob(f"[!.]*/{GRAPH}") if self.folder.is_dir() else ()
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
        if (named := self.with_version(saved_model)) is not None:
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

    def by_name_or_version(self, text: str) -> Path:
        """Return the folder of a name or a version of this store, the shipped default included.

        Nothing else is reached, no path either. Raises ``ModelNotFound``.
        """
        if text == DEFAULT and not (self.folder / text / GRAPH).is_file():
            return SHIPPED / DEFAULT
        with suppress(ModelNotFound):
            return self.stored(text)
        if (found := self.with_version(text)) is not None:
            return found
        raise ModelNotFound(
            f"no model {text!r}: neither a name in {self.folder} ({', '.join(self.names())}) nor "
            "the version of one that is or was there"
        )

    def stored(self, name: str) -> Path:
        """Return the folder of the name in this store. Raises ``ModelNotFound``."""
        folder = self.folder / name
        if "/" in name or name.startswith(".") or not (folder / GRAPH).is_file():
            raise ModelNotFound(f"no model {name!r} in {self.folder}")
        return folder

    def archive(self, name: str) -> str:
        """Move the artefact called ``name`` to its version in the archive; return the version.

        Raises ``ModelNotFound``, ``InvalidModel``, and ``InvalidSetting`` where the store cannot
        be written.
        """
        folder = self.stored(name)
        version = read_manifest(folder).version
        kept = self.folder / ARCHIVE / version
        try:
            kept.parent.mkdir(exist_ok=True)
            if kept.exists():  # the same version by another name
                shutil.rmtree(folder)
            else:
                folder.rename(kept)
        except OSError as error:
            raise InvalidSetting(f"{self.folder} cannot be written: {error.strerror}") from error
        return version

    def archived(self) -> list[str]:
        """Return the versions in the archive, sorted."""
        kept = self.folder / ARCHIVE
        return sorted(path.parent.name for path in kept.glob(f"*/{GRAPH}"))

    def with_version(self, version: str) -> Path | None:
        """Return the folder of the artefact of a version, None where there is none.

        Names and paths are not looked at: a caller reaches nothing but artefacts of the store.
        """
        stored = self.folder.glob(f"[!.]*/{MANIFEST}") if self.folder.is_dir() else ()
        # Looked for among the names that are there: a version may be any text.
        kept = [version] if version in self.archived() else []
        archive = (self.folder / ARCHIVE / name / MANIFEST for name in kept)
        shipped = SHIPPED / DEFAULT / MANIFEST
        for manifest in (*sorted(stored), *archive, shipped):
            with suppress(ModelNotFound, InvalidModel):
                if read_manifest(manifest.parent).version == version:
                    return manifest.parent
        return None
