"""What DuckDB says, as errors of the field."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from stroke.domain.errors import InvalidData


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Translate a lack of memory or of disk while ``what`` was worked on."""
    try:
        yield
    except (duckdb.OutOfMemoryException, duckdb.IOException) as error:
        raise InvalidData(
            f"{what} needs more memory or room for temporary files: give it more with --memory, "
            "make room in TMPDIR, or run it on Spark"
        ) from error
