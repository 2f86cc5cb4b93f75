"""Values in temporary files."""

from __future__ import annotations

import resource
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from contracts.scratch import ScratchContract
from stroke.adapters.scratch.files import FileScratch
from stroke.domain.errors import ScratchFull


class TestFileScratch(ScratchContract):
    @pytest.fixture
    def scratch(self) -> type[FileScratch]:
        return FileScratch


@pytest.fixture
def scratch() -> Iterator[FileScratch]:
    with closing(FileScratch(np.int64)) as made:
        yield made


def test_no_file_is_to_be_seen_while_values_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    with closing(FileScratch(np.int64)) as scratch:
        scratch.append(np.arange(1 << 17))

        assert list(tmp_path.iterdir()) == []
        files = [each.readlink() for each in Path("/proc/self/fd").iterdir() if each.is_symlink()]
        assert any(each.is_relative_to(tmp_path) for each in files)


def test_a_folder_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere/at/all")

    with pytest.raises(ScratchFull, match=r"No such file or directory\. Set TMPDIR to a folder"):
        FileScratch(np.float64)


def test_a_disk_that_takes_no_more_is_said_and_what_was_kept_is_kept(
    scratch: FileScratch,
) -> None:
    scratch.append(np.arange(1 << 16))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, ((1 << 19) + 5, hard))
    try:
        with pytest.raises(ScratchFull, match="File too large"):
            scratch.append(np.arange(1 << 16))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert len(scratch) == 1 << 16
    assert scratch.read((1 << 16) - 1, 1 << 17).tolist() == [(1 << 16) - 1]
    scratch.append(np.array([7]))
    assert scratch.read(1 << 16, 1 << 17).tolist() == [7]
