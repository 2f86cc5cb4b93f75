"""The store of artefacts in memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from fakes.failing import Failing
from stroke.adapters.onnx.artefact_folder import check_unchanged
from stroke.application.models.ports import ArtefactStore
from stroke.domain.errors import InvalidData, ModelNotFound


class FakeArtefactStore(Failing, ArtefactStore):
    """Dicts of versions and names; ``folder`` gets what somebody asks for."""

    place = "memory"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.kept: dict[str, dict[str, bytes]] = {}
        self.named: dict[str, str] = {}

    def names(self) -> list[str]:
        self.raise_if_failing()
        return sorted(self.named)

    def archived(self) -> list[str]:
        self.raise_if_failing()
        return sorted(self.kept.keys() - self.named.values())

    def stored(self, name: str) -> Path:
        return self._folder(self._version(name))

    def with_version(self, version: str) -> Path | None:
        self.raise_if_failing()
        return self._folder(version) if version in self.kept else None

    def check_free(self, name: str, *, replace: bool) -> None:
        self.raise_if_failing()
        if name in self.named and not replace:
            raise InvalidData(f"{name} exists already: choose another name, or --replace it")

    def put(
        self,
        name: str,
        files: Mapping[str, bytes],
        *,
        replace: bool,
        accept: Callable[[Path], object] = lambda _: None,
    ) -> None:
        self.check_free(name, replace=replace)
        version = json.loads(files["manifest.json"])["version"]
        accept(self._written(self.folder / "made", files))
        check_unchanged(
            version, self.kept.setdefault(version, dict(files)), files, place=self.place
        )
        self.named[name] = version

    def put_signature(self, folder: Path, content: bytes) -> None:
        self.raise_if_failing()
        self.kept[folder.name]["signature.json"] = content

    def archive(self, name: str) -> str:
        version = self._version(name)
        del self.named[name]
        return version

    def _version(self, name: str) -> str:
        self.raise_if_failing()
        if name not in self.named:
            raise ModelNotFound(f"no model {name!r} in memory")
        return self.named[name]

    def _folder(self, version: str) -> Path:
        return self._written(self.folder / version, self.kept[version])

    def _written(self, folder: Path, files: Mapping[str, bytes]) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (folder / name).write_bytes(content)
        return folder
