"""A prefix of an S3 bucket that holds models, and a cache of those that were used."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple
from uuid import uuid4

from pyarrow import fs

from stroke.adapters.onnx.artefact_folder import (
    CONTENT,
    check_unchanged,
    content_digest,
    content_of,
)
from stroke.adapters.onnx.manifest import GRAPH, MANIFEST, SIGNATURE
from stroke.application.models.ports import ArtefactStore
from stroke.domain.errors import (
    InvalidData,
    InvalidModel,
    InvalidSetting,
    ModelNotFound,
    ModelStoreUnavailable,
)
from stroke.domain.object_stores import advice

_SETTINGS: Final = "STROKE_MODEL_S3_"  # of endpoint and keys
_WORD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_MOST_BYTES_OF_A_POINTER: Final = 4096
_MOST_BYTES_OF_A_SIGNATURE: Final = 64 * 1024


class _Content(NamedTuple):
    """An artefact of the store: its version, and the digest of its files."""

    version: str
    digest: str

    @property
    def path(self) -> str:
        return f"{self.version}/{self.digest}"


class BucketStore(ArtefactStore):
    """Keeps artefacts under ``root`` of ``files``, which is a bucket or a prefix in one.

    ``artefacts/VERSION/DIGEST/`` holds the files of an artefact, and its signature. The digest is
    of all files but the signature, so that whoever reads them knows that they are whole, and
    unchanged. Its manifest is written last: without one there is no artefact. ``names/NAME.json``
    says which artefact has the name. Only these and signatures are ever written twice.

    ``cache`` is a folder of this machine that several processes may share. What was read once is
    taken from there, after its digest was compared; a name, too, while the bucket cannot be
    reached, and ``tell`` gets a line about it. No file of more than ``most_bytes`` is read.
    """

    def __init__(
        self,
        files: fs.FileSystem,
        root: str,
        cache: Path,
        *,
        most_bytes: int,
        tell: Callable[[str], object] = lambda _: None,
    ) -> None:
        self._files = files
        self._root = root.strip("/")
        self._cache = cache
        self._most_bytes = most_bytes
        self._tell = tell

    @property
    def place(self) -> str:
        return f"s3://{self._root}"

    def names(self) -> list[str]:
        listed = self._listed("names", recursive=False)
        if not listed:
            self._check_bucket()
        return sorted(
            path.removesuffix(".json")
            for path in listed
            if path.endswith(".json") and _WORD.fullmatch(path.removesuffix(".json"))
        )

    def archived(self) -> list[str]:
        kept = {each.version for each in self._artefacts()}
        named = set()
        for name in self.names():
            with suppress(ModelNotFound):  # its name was given up meanwhile
                named.add(self._read_pointer(name).version)
        return sorted(kept - named)

    def stored(self, name: str) -> Path:
        if not _WORD.fullmatch(name):
            raise ModelNotFound(f"no model {name!r} in {self.place}")
        known = self._cache / "names" / f"{name}.json"
        try:
            found = self._read_pointer(name)
        except ModelNotFound:
            known.unlink(missing_ok=True)
            raise
        except ModelStoreUnavailable as error:
            try:
                found = _pointer(known.read_bytes(), known)
            except (OSError, InvalidModel):
                raise error from None
            folder = self._fetched(found)
            self._tell(f"{error}; {name} is {found.version}, as this machine knew it last")
            return folder
        folder = self._fetched(found)
        _write(known, json.dumps(found._asdict()).encode())
        return folder

    def with_version(self, version: str) -> Path | None:
        if not _WORD.fullmatch(version):
            return None
        try:
            found = self._artefacts(version)
        except ModelStoreUnavailable:
            found = self._cached(version)
            if not found:
                raise
        return self._fetched(found[0]) if found else None

    def check_free(self, name: str, *, replace: bool) -> None:
        if not replace and self._read(f"names/{name}.json", _MOST_BYTES_OF_A_POINTER) is not None:
            raise InvalidData(
                f"{self.place} has a model {name} already: choose another name, or --replace it"
            )

    def put(
        self,
        name: str,
        files: Mapping[str, bytes],
        *,
        replace: bool,
        accept: Callable[[Path], object] = lambda _: None,
    ) -> None:
        self.check_free(name, replace=replace)
        version = _version_of(files)
        content = _Content(version, content_digest(files))
        with self._made(content, files) as made:
            accept(made)
        kept = self._artefacts(version)
        if kept:
            content = self._same(kept[0], files)
        else:
            # The manifest last: who finds it finds the others.
            for each in sorted(files, key=lambda file: file == MANIFEST):
                self._write(f"artefacts/{content.path}/{each}", files[each])
        self.check_free(name, replace=replace)  # nobody else took it meanwhile
        self._write(f"names/{name}.json", json.dumps(content._asdict()).encode())

    def put_signature(self, folder: Path, content: bytes) -> None:
        path = folder.relative_to(self._cache / "artefacts").as_posix()
        self._write(f"artefacts/{path}/{SIGNATURE}", content)
        _write(folder / SIGNATURE, content)

    def archive(self, name: str) -> str:
        if not _WORD.fullmatch(name):
            raise ModelNotFound(f"no model {name!r} in {self.place}")
        version = self._read_pointer(name).version
        try:
            self._files.delete_file(f"{self._root}/names/{name}.json")
        except OSError as error:
            raise self._unwritable() from error
        (self._cache / "names" / f"{name}.json").unlink(missing_ok=True)
        return version

    def _read_pointer(self, name: str) -> _Content:
        """Return what has the name. Raises ``ModelNotFound``, ``InvalidModel``."""
        path = f"names/{name}.json"
        content = self._read(path, _MOST_BYTES_OF_A_POINTER)
        if content is None:
            self._check_bucket()
            raise ModelNotFound(f"no model {name!r} in {self.place}")
        return _pointer(content, f"{self.place}/{path}")

    def _artefacts(self, version: str | None = None) -> list[_Content]:
        """Return the artefacts that are whole, of one version or of all, sorted."""
        folder = "artefacts" if version is None else f"artefacts/{version}"
        before = () if version is None else (version,)
        found = []
        for path in self._listed(folder, recursive=True):
            parts = (*before, *path.split("/"))
            if len(parts) == 3 and parts[2] == MANIFEST and _DIGEST.fullmatch(parts[1]):  # noqa: PLR2004
                found.append(_Content(parts[0], parts[1]))
        return sorted(found)

    def _cached(self, version: str) -> list[_Content]:
        folder = self._cache / "artefacts" / version
        return sorted(
            _Content(version, each.parent.name)
            for each in folder.glob(f"*/{MANIFEST}")
            if _DIGEST.fullmatch(each.parent.name)
        )

    def _fetched(self, content: _Content) -> Path:
        """Return the folder of a copy that is whole, with the signature of now if it can be read.

        Raises ``InvalidModel`` where the bucket holds something else than the digest says.
        """
        folder = self._cache / "artefacts" / content.path
        if not _is_whole(folder, content.digest):
            self._fetch(content, folder)
        with suppress(ModelStoreUnavailable):  # a copy keeps the signature that it has
            path = f"artefacts/{content.path}/{SIGNATURE}"
            signature = self._read(path, _MOST_BYTES_OF_A_SIGNATURE)
            if signature is None:
                (folder / SIGNATURE).unlink(missing_ok=True)
            elif not _holds(folder / SIGNATURE, signature):
                _write(folder / SIGNATURE, signature)
        return folder

    def _fetch(self, content: _Content, folder: Path) -> None:
        path = f"artefacts/{content.path}"
        read = {name: self._read(f"{path}/{name}", self._most_bytes) for name in CONTENT}
        files = {name: each for name, each in read.items() if each is not None}
        if content_digest(files) != content.digest:
            raise InvalidModel(f"{self.place}/{path} is not what was put there")
        with self._made(content, files) as made:
            try:
                made.rename(folder)
            except OSError:
                if _is_whole(folder, content.digest):
                    return  # another process was faster
                shutil.rmtree(folder, ignore_errors=True)
                made.rename(folder)

    @contextmanager
    def _made(self, content: _Content, files: Mapping[str, bytes]) -> Iterator[Path]:
        """Give a folder of the cache with ``files``; it goes, if it was not renamed.

        Raises ``InvalidSetting`` where the cache cannot be written.
        """
        made: Path | None = None
        try:
            place = self._cache / "artefacts" / content.version
            place.mkdir(parents=True, exist_ok=True)
            made = Path(tempfile.mkdtemp(prefix=".", dir=place))
            for name, each in files.items():
                (made / name).write_bytes(each)
            made.chmod(0o755)
            yield made
        except OSError as error:
            raise InvalidSetting(
                f"{self._cache} cannot be written (STROKE_MODEL_CACHE): {error.strerror}"
            ) from error
        finally:
            if made is not None:
                shutil.rmtree(made, ignore_errors=True)

    def _same(self, kept: _Content, files: Mapping[str, bytes]) -> _Content:
        """Return ``kept`` if it is the same model. Raises ``InvalidData``: no version changes."""
        before = {
            name: self._read(f"artefacts/{kept.path}/{name}", self._most_bytes)
            for name in (GRAPH, MANIFEST)
        }
        check_unchanged(kept.version, before, files, place=self.place)
        return kept

    def _listed(self, folder: str, *, recursive: bool) -> list[str]:
        """Return the files under a folder, their paths beginning there."""
        path = f"{self._root}/{folder}"
        selector = fs.FileSelector(path, recursive=recursive, allow_not_found=True)
        try:
            found = self._files.get_file_info(selector)
        except OSError as error:
            raise self._unreachable(error) from error
        return [each.path.removeprefix(f"{path}/") for each in found if each.is_file]

    def _check_bucket(self) -> None:
        """Raise ``ModelStoreUnavailable`` where there is no such bucket at all."""
        try:
            found = self._files.get_file_info(self._root.partition("/")[0])
        except OSError as error:
            raise self._unreachable(error) from error
        if found.type is fs.FileType.NotFound:
            raise self._unreachable()

    def _read(self, path: str, most_bytes: int) -> bytes | None:
        """Return a file of the bucket, None where there is none. Raises ``InvalidModel``."""
        try:
            with self._files.open_input_stream(f"{self._root}/{path}") as stream:
                content = bytes(stream.read(most_bytes + 1))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._unreachable(error) from error
        if len(content) > most_bytes:
            raise InvalidModel(f"{self.place}/{path} has more than {most_bytes:,} bytes")
        return content

    def _write(self, path: str, content: bytes) -> None:
        try:
            with self._files.open_output_stream(f"{self._root}/{path}") as stream:
                stream.write(content)
        except OSError as error:
            raise self._unwritable() from error

    def _unreachable(self, error: OSError | None = None) -> ModelStoreUnavailable:
        """Return what is wrong; without an error there is no bucket."""
        error = error or OSError("NO_SUCH_BUCKET")
        return ModelStoreUnavailable(f"the model store {advice(error, self.place, _SETTINGS)}")

    def _unwritable(self) -> InvalidSetting:
        return InvalidSetting(
            f"{self.place} cannot be written: check the bucket, the endpoint and the credentials"
        )


def _version_of(files: Mapping[str, bytes]) -> str:
    """Return the version that the manifest among ``files`` gives. Raises ``InvalidModel``."""
    try:
        version = json.loads(files[MANIFEST])["version"]
    except (KeyError, ValueError, TypeError) as error:
        raise InvalidModel(f"there is no {MANIFEST} that gives a version") from error
    if not isinstance(version, str) or not _WORD.fullmatch(version):
        raise InvalidModel("the version of a model has letters, digits, dots, dashes, underscores")
    return version


def _pointer(text: bytes, path: object) -> _Content:
    """Return the artefact that a name's file gives. Raises ``InvalidModel``."""
    try:
        found = _Content(**json.loads(text))
        known = _WORD.fullmatch(found.version) and _DIGEST.fullmatch(found.digest)
    except (ValueError, TypeError, RecursionError) as error:
        raise InvalidModel(f"{path} does not say which artefact it means") from error
    if not known:
        raise InvalidModel(f"{path} does not say which artefact it means")
    return found


def _is_whole(folder: Path, digest: str) -> bool:
    try:
        return content_digest(content_of(folder)) == digest
    except OSError:
        return False


def _holds(path: Path, content: bytes) -> bool:
    try:
        return path.read_bytes() == content
    except OSError:
        return False


def _write(path: Path, content: bytes) -> None:
    """Write a file of the cache whole, where it can be written: it is only a copy."""
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.{uuid4().hex}")
        part.write_bytes(content)
        part.replace(path)
