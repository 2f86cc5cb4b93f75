"""A folder keeps the promises of a store of models."""

from __future__ import annotations

from pathlib import Path

import pytest

from contracts.artefacts import ArtefactStoreContract
from stroke.adapters.onnx.folder_store import FolderStore


class TestFolderStore(ArtefactStoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> FolderStore:
        return FolderStore(tmp_path / "models")

    @pytest.fixture
    def twin(self, tmp_path: Path) -> FolderStore:
        return FolderStore(tmp_path / "models")

    @pytest.fixture
    def unwritable(self, tmp_path: Path) -> FolderStore:
        (tmp_path / "file").write_bytes(b"")
        return FolderStore(tmp_path / "file" / "models")
