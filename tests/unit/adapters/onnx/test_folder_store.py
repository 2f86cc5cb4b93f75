"""A folder keeps the promises of a store of models."""

from __future__ import annotations

from pathlib import Path

import pytest

from contracts.artefacts import ArtefactStoreContract, artefact, read
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


def test_a_model_whose_manifest_is_nothing_but_brackets_is_replaced(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.put("mine", artefact("mine"), replace=False)
    (tmp_path / "mine" / "manifest.json").write_bytes(b"[" * 100_000)

    store.put("mine", artefact("mine", b"other"), replace=True)

    assert read(store.stored("mine")) == artefact("mine", b"other")
