"""Folders that hold one artefact each: written whole, and known by what they hold."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from stroke.adapters.onnx.manifest import CARD, GRAPH, MANIFEST, PROVENANCE, SIGNATURE
from stroke.domain.errors import InvalidData, InvalidSetting

ARCHIVE: Final = ".archive"
"""The folder of a store with artefacts by version whose names were given up."""

CONTENT: Final = (GRAPH, MANIFEST, CARD, PROVENANCE)
"""What an artefact holds. A signature is beside it: it comes later, and can be replaced."""

_FILES: Final = frozenset({*CONTENT, SIGNATURE})


def is_there(path: Path) -> bool:
    """Return whether ``path`` is a file that can be reached. A name may be too long for one."""
    try:
        return path.is_file()
    except OSError:
        return False


def check_free(folder: Path, *, replace: bool) -> None:
    """Return if an artefact may be written as ``folder``; replacing takes an artefact only.

    Raises ``InvalidData`` otherwise.
    """
    if not folder.exists():
        return
    if not replace:
        raise InvalidData(f"{folder} exists already: choose another name, or --replace it")
    if not folder.is_dir() or any(e.name not in _FILES for e in folder.iterdir()):
        raise InvalidData(f"{folder} holds more than a model: it is not replaced")


def write_artefact(
    folder: Path,
    files: Mapping[str, bytes],
    *,
    replace: bool,
    accept: Callable[[Path], object] = lambda _: None,
) -> None:
    """Write ``files`` as the artefact ``folder``, or nothing.

    ``accept`` sees the new artefact before it takes its place, and raises to refuse it. Raises
    ``InvalidData`` when ``folder`` may not be taken, ``InvalidSetting`` when it cannot be written.
    """
    check_free(folder, replace=replace)
    made: Path | None = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        for name, content in files.items():
            (made / name).write_bytes(content)
        made.chmod(0o755)
        accept(made)
        _swap(made, folder, _place_in_the_archive(folder))
    except OSError as error:
        raise InvalidSetting(f"{folder} cannot be written: {error.strerror}") from error
    finally:
        if made is not None:
            shutil.rmtree(made, ignore_errors=True)


def write_signature(folder: Path, content: bytes) -> None:
    """Write the signature of the artefact ``folder``, whole. Raises ``InvalidSetting``."""
    part = folder / f".{SIGNATURE}.part"
    try:
        part.write_bytes(content)
        part.replace(folder / SIGNATURE)
    except OSError as error:
        raise InvalidSetting(f"{folder} cannot be written: {error.strerror}") from error


def content_digest(files: Mapping[str, bytes]) -> str:
    """Return one sha256 for all files of an artefact, its signature apart."""
    digest = hashlib.sha256()
    for name in CONTENT:
        if name in files:
            digest.update(f"{hashlib.sha256(files[name]).hexdigest()} {name}\n".encode())
    return digest.hexdigest()


def check_unchanged(
    version: str, kept: Mapping[str, bytes | None], files: Mapping[str, bytes], *, place: str
) -> None:
    """Return if ``files`` are the model that the store at ``place`` keeps by its version.

    The graph is in the version's name. With another manifest the version would name two behaviours,
    and nobody could explain the predictions that were stored with it. Raises ``InvalidData``.
    """
    if any(kept.get(name) != files.get(name) for name in (GRAPH, MANIFEST)):
        raise InvalidData(
            f"{place} has {version} with another manifest, and no version ever changes: choose "
            "another name"
        )


def content_of(folder: Path) -> dict[str, bytes]:
    """Return the files of the artefact in ``folder`` that are there, its signature apart.

    Raises ``OSError``.
    """
    return {name: (folder / name).read_bytes() for name in CONTENT if (folder / name).is_file()}


def _place_in_the_archive(folder: Path) -> Path | None:
    """Return where the artefact ``folder`` is kept by its version; None where it has none."""
    try:
        version = json.loads((folder / MANIFEST).read_bytes())["version"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    if not isinstance(version, str) or "/" in version or version.startswith("."):
        return None
    kept = folder.parent / ARCHIVE / version
    return None if kept.exists() else kept


def _swap(made: Path, folder: Path, kept: Path | None) -> None:
    """Let ``made`` take the place of ``folder``, which stays if that fails, and else is ``kept``.

    A version that was served must be there for as long as its predictions are.
    """
    old = made.with_name(made.name + ".old")
    replaced = folder.exists()
    if replaced:
        folder.rename(old)
    try:
        made.rename(folder)
    except OSError:
        if replaced:
            old.rename(folder)
        raise
    if replaced and kept is not None:
        kept.parent.mkdir(exist_ok=True)
        old.rename(kept)
    shutil.rmtree(old, ignore_errors=True)
