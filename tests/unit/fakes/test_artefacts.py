"""The fake of the store of artefacts keeps the promises of its port."""

from __future__ import annotations

from pathlib import Path

import pytest

from contracts.artefacts import ArtefactStoreContract
from fakes.artefacts import FakeArtefactStore
from stroke.domain.errors import InvalidSetting


class TestFakeArtefactStore(ArtefactStoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> FakeArtefactStore:
        return FakeArtefactStore(tmp_path)

    @pytest.fixture
    def twin(self, store: FakeArtefactStore) -> FakeArtefactStore:
        return store

    @pytest.fixture
    def unwritable(self, tmp_path: Path) -> FakeArtefactStore:
        store = FakeArtefactStore(tmp_path)
        store.failing = InvalidSetting("memory cannot be written")
        return store
