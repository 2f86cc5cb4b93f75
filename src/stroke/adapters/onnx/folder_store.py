"""A folder that holds models by name, and those without a name by version."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from stroke.adapters.onnx.artefact_folder import (
    ARCHIVE,
    check_free,
    check_unchanged,
    content_of,
    is_there,
    write_artefact,
    write_signature,
)
from stroke.adapters.onnx.manifest import GRAPH, MANIFEST, SIGNATURE, read_manifest
from stroke.application.models.ports import ArtefactStore
from stroke.domain.errors import InvalidModel, InvalidSetting, ModelNotFound, ModelStoreUnavailable


class FolderStore(ArtefactStore):
    """Keeps each artefact as ``folder/NAME``, and those without a name in the archive."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def place(self) -> str:
        return str(self.folder)

    def names(self) -> list[str]:
        if self.folder.exists() and not self.folder.is_dir():
            raise ModelStoreUnavailable(f"the model store {self.folder} is no folder")
        stored = self.folder.glob(f"[!.]*/{GRAPH}") if self.folder.is_dir() else ()
        return sorted(graph.parent.name for graph in stored)

    def archived(self) -> list[str]:
        named = set()
        for name in self.names():
            with suppress(ModelNotFound, InvalidModel):
                named.add(read_manifest(self.folder / name).version)
        return sorted(self._in_the_archive() - named)

    def stored(self, name: str) -> Path:
        folder = self.folder / name
        if "/" in name or name.startswith(".") or not is_there(folder / GRAPH):
            raise ModelNotFound(f"no model {name!r} in {self.folder}")
        return folder

    def with_version(self, version: str) -> Path | None:
        stored = self.folder.glob(f"[!.]*/{MANIFEST}") if self.folder.is_dir() else ()
        # Looked for among the names that are there: a version may be any text.
        kept = [version] if version in self._in_the_archive() else []
        archive = (self.folder / ARCHIVE / name / MANIFEST for name in kept)
        for manifest in (*sorted(stored), *archive):
            with suppress(ModelNotFound, InvalidModel):
                if read_manifest(manifest.parent).version == version:
                    return manifest.parent
        return None

    def check_free(self, name: str, *, replace: bool) -> None:
        check_free(self.folder / name, replace=replace)

    def put(
        self,
        name: str,
        files: Mapping[str, bytes],
        *,
        replace: bool,
        accept: Callable[[Path], object] = lambda _: None,
    ) -> None:
        self.check_free(name, replace=replace)
        kept = self._same(files)
        write_artefact(self.folder / name, kept or files, replace=replace, accept=accept)

    def put_signature(self, folder: Path, content: bytes) -> None:
        write_signature(folder, content)

    def archive(self, name: str) -> str:
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

    def _same(self, files: Mapping[str, bytes]) -> Mapping[str, bytes] | None:
        """Return what is kept of the version of ``files``, with its signature; None for a new one.

        Raises ``InvalidData`` where it is another model.
        """
        try:
            version = json.loads(files[MANIFEST])["version"]
        except (KeyError, ValueError, TypeError):
            return None
        folder = self.with_version(version)
        if folder is None:
            return None
        kept = content_of(folder)
        check_unchanged(version, kept, files, place=self.place)
        with suppress(OSError):
            kept[SIGNATURE] = (folder / SIGNATURE).read_bytes()
        return kept

    def _in_the_archive(self) -> set[str]:
        return {path.parent.name for path in (self.folder / ARCHIVE).glob(f"*/{GRAPH}")}
