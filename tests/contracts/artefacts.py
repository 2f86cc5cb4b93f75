"""Behaviour that every implementation of ``ArtefactStore`` shares; see held.py."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from stroke.application.models.ports import ArtefactStore
from stroke.domain.errors import InvalidData, InvalidModel, InvalidSetting, ModelNotFound


def artefact(name: str, graph: bytes = b"graph", **manifest: object) -> dict[str, bytes]:
    """Return the files of an artefact; no store looks into a graph."""
    sha256 = hashlib.sha256(graph).hexdigest()
    known = {
        "manifest_version": 1,
        "name": name,
        "version": f"{name}-{sha256[:12]}",
        "model_type": "test",
        "sha256": sha256,
        "features": ["age"],
        "bands": {"medium": 0.1, "high": 0.2},
    }
    return {
        "model.onnx": graph,
        "manifest.json": json.dumps(known | manifest).encode(),
        "card.md": b"# A card\n",
        "provenance.json": b"{}",
    }


def version_of(files: dict[str, bytes]) -> str:
    return str(json.loads(files["manifest.json"])["version"])


def read(folder: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in folder.iterdir()}


class ArtefactStoreContract:
    """Provide a fixture ``store``, empty, and ``twin``: the same store as another process has it.

    A third, ``unwritable``, is a store that cannot be written.
    """

    def test_an_empty_store_has_no_model(self, store: ArtefactStore) -> None:
        assert store.names() == []
        assert store.archived() == []
        assert store.with_version("none-0123456789ab") is None
        assert store.place
        store.check_free("mine", replace=False)
        for call in (store.stored, store.archive):
            with pytest.raises(ModelNotFound):
                call("mine")

    def test_an_artefact_is_found_by_its_name_and_its_version_file_by_file(
        self, store: ArtefactStore, twin: ArtefactStore
    ) -> None:
        mine, other = artefact("mine"), artefact("other", bytes(range(256)) * 999)

        store.put("mine", mine, replace=False)
        store.put("other", other, replace=False)

        for each in (store, twin):
            assert each.names() == ["mine", "other"]
            assert each.archived() == []
            for name, files in (("mine", mine), ("other", other)):
                assert read(each.stored(name)) == files
                found = each.with_version(version_of(files))
                assert found is not None
                assert read(found) == files

    @pytest.mark.parametrize(
        "text", ["", ".", "..", "../mine", "mine/", ".archive", "a b", "x" * 99, "x" * 999, "a\0b"]
    )
    def test_nothing_but_an_artefact_is_reached_by_a_name_or_a_version(
        self, store: ArtefactStore, text: str
    ) -> None:
        store.put("mine", artefact("mine"), replace=False)

        assert store.with_version(text) is None
        with pytest.raises(ModelNotFound):
            store.stored(text)

    def test_a_name_that_is_taken_is_replaced_only_when_asked(
        self, store: ArtefactStore, twin: ArtefactStore
    ) -> None:
        first, second = artefact("mine", b"first"), artefact("mine", b"second")
        store.put("mine", first, replace=False)

        with pytest.raises(InvalidData, match="--replace"):
            twin.check_free("mine", replace=False)
        with pytest.raises(InvalidData, match="--replace"):
            twin.put("mine", second, replace=False)
        assert read(twin.stored("mine")) == first

        twin.check_free("mine", replace=True)
        twin.put("mine", second, replace=True)
        assert read(store.stored("mine")) == second

    def test_a_version_whose_name_was_given_to_another_is_still_found(
        self, store: ArtefactStore, twin: ArtefactStore
    ) -> None:
        first, second = artefact("mine", b"first"), artefact("mine", b"second")
        store.put("mine", first, replace=False)
        store.put("mine", second, replace=True)

        for each in (store, twin):
            assert each.names() == ["mine"]
            assert each.archived() == [version_of(first)]
            found = each.with_version(version_of(first))
            assert found is not None
            assert read(found) == first

    def test_a_name_that_is_given_up_leaves_the_version(
        self, store: ArtefactStore, twin: ArtefactStore
    ) -> None:
        mine = artefact("mine")
        store.put("mine", mine, replace=False)
        twin.stored("mine")

        assert store.archive("mine") == version_of(mine)

        for each in (store, twin):
            assert each.names() == []
            assert each.archived() == [version_of(mine)]
            with pytest.raises(ModelNotFound):
                each.stored("mine")
            found = each.with_version(version_of(mine))
            assert found is not None
            assert read(found) == mine
        store.put("mine", mine, replace=False)
        assert (twin.names(), twin.archived()) == (["mine"], [])

    def test_an_artefact_that_is_not_accepted_is_not_kept(
        self, store: ArtefactStore, twin: ArtefactStore
    ) -> None:
        mine, worse = artefact("mine"), artefact("mine", b"worse")
        store.put("mine", mine, replace=False)
        seen: list[dict[str, bytes]] = []

        def refuse(folder: Path) -> None:
            seen.append(read(folder))
            raise InvalidModel("it is not sound")

        with pytest.raises(InvalidModel, match="not sound"):
            store.put("mine", worse, replace=True, accept=refuse)

        assert seen == [worse]
        for each in (store, twin):
            assert read(each.stored("mine")) == mine
            assert each.with_version(version_of(worse)) is None
            assert each.archived() == []

    def test_a_signature_comes_later_and_can_be_replaced(
        self, store: ArtefactStore, twin: ArtefactStore
    ) -> None:
        mine = artefact("mine")
        store.put("mine", mine, replace=False)
        assert read(twin.stored("mine")) == mine

        for signature in (b"by one key", b"by another"):
            store.put_signature(store.stored("mine"), signature)

            for each in (store, twin):
                assert read(each.stored("mine")) == mine | {"signature.json": signature}
                found = each.with_version(version_of(mine))
                assert found is not None
                assert (found / "signature.json").read_bytes() == signature

    def test_no_version_ever_changes(self, store: ArtefactStore, twin: ArtefactStore) -> None:
        first = artefact("mine")
        other = artefact("mine", bands={"medium": 0.3, "high": 0.4})
        assert version_of(other) == version_of(first)
        store.put("mine", first, replace=False)

        for name in ("mine", "another"):
            with pytest.raises(InvalidData, match="no version ever changes"):
                twin.put(name, other, replace=True)
        assert twin.names() == ["mine"]
        assert read(twin.stored("mine")) == first

        store.archive("mine")
        with pytest.raises(InvalidData, match="no version ever changes"):
            twin.put("mine", other, replace=False)
        assert (twin.names(), twin.archived()) == ([], [version_of(first)])

    @pytest.mark.parametrize("name", ["mine", "another"])
    def test_a_model_that_is_there_already_stays_as_it_is_and_gets_the_name(
        self, store: ArtefactStore, twin: ArtefactStore, name: str
    ) -> None:
        first = artefact("mine")
        again = first | {"provenance.json": b'{"made_by": "somebody else"}'}
        store.put("mine", first, replace=False)
        store.put_signature(store.stored("mine"), b"by a key")

        store.put(name, again, replace=True)

        for each in (store, twin):
            assert each.names() == sorted({"mine", name})
            assert read(each.stored(name)) == first | {"signature.json": b"by a key"}

    def test_a_store_that_cannot_be_written_says_so(self, unwritable: ArtefactStore) -> None:
        with pytest.raises(InvalidSetting, match="cannot be written"):
            unwritable.put("mine", artefact("mine"), replace=False)
