"""What one client may ask of the server's memory and patience."""

from __future__ import annotations

import resource
from dataclasses import dataclass
from typing import Final

from stroke.config import HttpSettings

# What a head has besides its URL and its headers: method, version, colons, line ends.
_PUNCTUATION_OF_A_HEADER: Final = 4
_REQUEST_LINE: Final = 64
# Half of them for connections to the database, files and the like, half for connections that are
# refused at this moment.
_SPARE_FILES: Final = 512


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes, times in seconds; docs/settings.md explains each of them."""

    url_bytes: int
    headers: int
    header_bytes: int
    value_bytes: int
    connections: int
    refused_at_once: int
    unfinished_bytes: int
    idle_seconds: float
    head_seconds: float
    body_seconds: float
    bytes_per_second: int
    pause_seconds: float

    @classmethod
    def of(cls, settings: HttpSettings, *, open_files: int) -> Limits:
        """Return the limits of a process that may have so many ``open_files``.

        The limit of connections leaves some for everything else: the listening socket would be
        lost with the last of them.
        """
        spare = min(_SPARE_FILES, open_files // 2)
        return cls(
            url_bytes=settings.max_url_bytes,
            headers=settings.max_headers,
            header_bytes=settings.max_header_bytes,
            value_bytes=settings.max_header_value_bytes,
            connections=min(settings.max_connections, open_files - spare),
            refused_at_once=spare // 2,
            # Heads that are not complete may hold a quarter of what bodies may.
            unfinished_bytes=settings.max_bytes_in_flight // 4,
            idle_seconds=settings.idle_seconds,
            head_seconds=settings.head_seconds,
            body_seconds=settings.body_seconds,
            bytes_per_second=settings.min_bytes_per_second,
            pause_seconds=settings.refusal_pause_seconds,
        )

    @property
    def head_bytes(self) -> int:
        """The most bytes that a head within the limits can have."""
        punctuation = _PUNCTUATION_OF_A_HEADER * self.headers + _REQUEST_LINE
        return self.url_bytes + self.header_bytes + punctuation


def files_for(connections: int) -> int:
    """Let the process have files for so many ``connections``; return how many it may have open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _SPARE_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return wanted if soft == resource.RLIM_INFINITY else soft
