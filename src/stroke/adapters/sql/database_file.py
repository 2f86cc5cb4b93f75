"""Whether an SQLite database is still where its connections found it.

Whoever deletes or replaces an open file leaves its connections with a file that has no name. They
commit to it without an error, and with the last of them all of it is gone. SQLite says nothing.
"""

from __future__ import annotations

import os
from typing import Final

from stroke.domain.errors import StoreUnavailable

# The journal and its index: SQLite keeps both next to the file as long as a connection is open.
_COMPANION_FILES: Final = ("-wal", "-shm")
_REMEDY: Final = (
    "nothing is stored any more; put it back where it was, or stop the service and follow "
    "docs/operations.md, 'The SQLite file is gone'"
)

# Of a file's header: how many bytes a page has (1 stands for 65536), and how many pages there are.
_HEADER_BYTES: Final = 100
_PAGE_BYTES: Final = slice(16, 18)
_PAGES: Final = slice(28, 32)

_Identity = tuple[int, int]


class DatabaseFile:
    """The file of one engine, watched from its first connection on.

    ``path`` is the file as the settings name it, or None where SQLite reads that name itself.
    """

    def __init__(self, path: str | None) -> None:
        self._path = path
        self._connections = 0
        self._file: tuple[str, _Identity] | None = None
        self._beside: dict[str, _Identity] = {}
        self._size = 0
        self._header: int | None = None

    def opened(self, real_path: str) -> None:
        """Note a new connection to ``real_path``, which SQLite has resolved and read from."""
        self._connections += 1
        if self._file is None:
            path = self._path or real_path
            if (found := _identity(path)) is not None:
                self._file = path, found
        if self._connections == 1:
            named = (f"{real_path}{suffix}" for suffix in _COMPANION_FILES)
            self._beside = {path: found for path in named if (found := _identity(path))}

    def closed(self) -> None:
        """Note that a connection ended; with the last one SQLite removes its journal."""
        self._connections -= 1
        if self._connections == 0:
            self._beside = {}

    def verify(self) -> None:
        """Raise ``StoreUnavailable`` if the file, or its journal, is not the one that is open.

        Takes a few microseconds. Before a commit it keeps rows from being written to nowhere,
        after a commit it keeps them from being acknowledged.
        """
        if self._file is not None:
            path, known = self._file
            found = _found(path)
            if found is None or not found.st_size or _identity_of(found) != known:
                raise StoreUnavailable(
                    f"the SQLite file was deleted, moved, emptied or replaced: {_REMEDY}"
                )
            if found.st_size < self._size and self._is_cut_short(path, found.st_size):
                raise StoreUnavailable(f"the SQLite file was cut short: {_REMEDY}")
            self._size = found.st_size
        for path, known in self._beside.items():
            if _identity(path) != known:
                raise StoreUnavailable(
                    f"the SQLite file's journal ({path[-4:]}) was deleted or replaced: {_REMEDY}"
                )

    def _is_cut_short(self, path: str, size: int) -> bool:
        """Return whether the file has fewer pages than it says; after a VACUUM it says fewer."""
        if self._header is None:
            # Never closed: with that, the process would lose SQLite's locks on the file.
            try:
                self._header = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                return True
        head = os.pread(self._header, _HEADER_BYTES, 0)
        page = int.from_bytes(head[_PAGE_BYTES], "big")
        pages = int.from_bytes(head[_PAGES], "big")
        return len(head) < _HEADER_BYTES or size < pages * (65536 if page == 1 else page)


def _identity(path: str) -> _Identity | None:
    """Return what separates a file from every other that is there now, or None without it."""
    found = _found(path)
    return None if found is None else _identity_of(found)


def _found(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)  # noqa: PTH116 - a third of the time of Path.stat
    except OSError:
        return None


def _identity_of(found: os.stat_result) -> _Identity:
    return found.st_dev, found.st_ino
