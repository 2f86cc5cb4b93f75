"""What a bucket holds that no store of ours wrote: read by the same store, of a folder's files."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyarrow.fs import LocalFileSystem, SubTreeFileSystem

from stroke.adapters.onnx.bucket_store import BucketStore
from stroke.domain.errors import InvalidModel


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff", b"[" * 4_000, b'{"a":' * 800])
def test_a_name_that_does_not_say_which_artefact_it_means_is_refused(
    tmp_path: Path, content: bytes
) -> None:
    files = SubTreeFileSystem(str(tmp_path), LocalFileSystem())
    (tmp_path / "bucket" / "names").mkdir(parents=True)
    (tmp_path / "bucket" / "names" / "mine.json").write_bytes(content)
    store = BucketStore(files, "bucket", tmp_path / "cache", most_bytes=1_000_000)
    assert store.names() == ["mine"]

    with pytest.raises(InvalidModel, match="does not say which artefact"):
        store.stored("mine")
