"""A Parquet file in batches whose decoded size is bounded before they are decoded.

A Parquet file of 3 KB can hold one value of a megabyte three thousand times: the sizes that its
metadata give are those of the encoded columns. So this looks at how long a value can be, and takes
so few rows at a time that a batch stays small.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import groupby
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stroke.adapters.arrow.parquet_pages import (
    BYTE_ARRAY,
    DELTA_BYTE_ARRAY,
    REFERENCES,
    WIDTHS,
    Chunk,
    DamagedPages,
    Group,
    Page,
    groups_of,
    longest_text,
    metadata_of,
    pages_of,
)
from stroke.application.predictions.file_rows import ParquetLimits, check_width
from stroke.domain.errors import InvalidData

LIMITS: Final = ParquetLimits()
BATCH_ROWS: Final = 64 * 1024
_BATCH_BYTES: Final = 16 * 1024 * 1024
# Pages of a column are read by and by; else the whole of a row group's column is.
_READ_BYTES: Final = 1024 * 1024
# Files that people write are packed to a hundredth at the most, but for rows that are all alike.
_TIGHTLY: Final = 1000
_ALIKE: Final = 1024  # bytes of such a row
_METADATA_SHARE: Final = 16  # of what may be decoded at once: read, they take some ten times that
_OFFSET: Final = 4  # where a text or a list begins
_LENGTH: Final = 4  # before a text
_TEXT: Final = 16  # where a text of a dictionary lies
_LEVELS: Final = 8  # of each value of a page: its levels, or its lengths


class _Taken(NamedTuple):
    """What one column of one row group takes, in bytes.

    ``per_row`` grows with the rows of a batch; ``at_once`` is held however few they are: a page,
    the dictionary, and of a repeated column all of its values, which one row may have. ``total`` is
    what all of it unpacks to.
    """

    per_row: float
    at_once: float
    total: float


class _Repeated(NamedTuple):
    """A column of a row group whose texts all come from a dictionary, and the most they take."""

    group: int
    column: str
    most: float


@contextmanager
def readable_parquet(path: Path) -> Iterator[None]:
    """Raise ``InvalidData`` where what is done inside finds that the file cannot be read."""
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeError) as error:  # also a name that is no UTF-8
        raise InvalidData(f"{path} cannot be read as a Parquet file: is it one, whole?") from error


def opened_parquet(path: Path, limits: ParquetLimits = LIMITS) -> pq.ParquetFile:
    """Open a Parquet file to be read page by page.

    Raises ``InvalidData`` where it has too many columns or too much metadata, before those are
    read.
    """
    with path.open("rb") as stream, suppress(DamagedPages):  # of which pyarrow says what it is
        said = metadata_of(stream)
        most = limits.decoded // _METADATA_SHARE
        if said.size > most:
            raise InvalidData(
                f"{path} has {said.size:,} bytes of metadata, more than the {most:,} that are "
                "allowed (a sixteenth of STROKE_FILES_MAX_DECODED_BYTES): write it with fewer "
                "columns or larger row groups"
            )
        check_width(said.columns, limits.columns)
    return pq.ParquetFile(path, buffer_size=_READ_BYTES)


def bounded_batches(
    path: Path, file: pq.ParquetFile, *, limits: ParquetLimits = LIMITS, rows: int | None = None
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of ``file``, which is at ``path``, up to ``rows`` at a time (BATCH_ROWS).

    A batch takes about 16 MB decoded. Raises ``InvalidData`` where one row could take more than the
    limit, where a column or the whole file is so tightly packed that it must be a trap, and where
    the file holds something else than its metadata say: other rows, or values that take more.
    """
    budget = _Budget(path, limits.total)
    most = BATCH_ROWS if rows is None else rows
    try:
        with path.open("rb") as stream:
            groups = groups_of(stream)
            _check_counts(path, file, groups)
            look = _Look(path, stream, file, limits.decoded)
            sizes = [min(look.rows_at_a_time(*each), most) for each in enumerate(groups)]
        budget.check(look.repeated)
    except DamagedPages:
        raise _damaged(path) from None
    for size, same in groupby(range(len(groups)), key=sizes.__getitem__):
        members = list(same)
        said = sum(groups[group].rows for group in members)
        read = 0
        for batch in file.iter_batches(batch_size=size, row_groups=members):
            read += batch.num_rows
            taken = _decoded_bytes(batch)
            if taken > limits.decoded:
                raise _too_large(path, taken, limits.decoded)
            budget.spend(taken, batch.num_rows)
            yield batch
        if read != said:
            raise _lies(path, read, said)


class _Budget:
    """What the file at ``path`` may still unpack to."""

    def __init__(self, path: Path, limit: int) -> None:
        self._path = path
        self._limit = limit
        self._left = max(limit, _TIGHTLY * path.stat().st_size)

    def check(self, repeated: Sequence[_Repeated]) -> None:
        """Raise ``InvalidData`` where texts of dictionaries would take more, all written out."""
        if sum(each.most for each in repeated) <= self._left:
            return
        taken = 0
        for each in repeated:
            wanted = {"row_groups": [each.group], "columns": [each.column]}
            with pq.ParquetFile(self._path, read_dictionary=[each.column]) as file:
                for batch in file.iter_batches(batch_size=BATCH_ROWS, **wanted):
                    taken += self._over(_decoded_bytes(batch), batch.num_rows)
                    if taken > self._left:
                        raise self._spent()

    def spend(self, taken: int, rows: int) -> None:
        """Take a batch off. Raises ``InvalidData`` where nothing is left."""
        self._left -= self._over(taken, rows)
        if self._left < 0:
            raise self._spent()

    @staticmethod
    def _over(taken: int, rows: int) -> int:
        return max(taken - _ALIKE * rows, 0)

    def _spent(self) -> InvalidData:
        return InvalidData(
            f"{self._path} unpacks to more than {self._limit:,} bytes "
            f"(STROKE_FILES_MAX_TOTAL_BYTES), and to more than {_TIGHTLY:,} times its size: "
            "does one long text stand in all of its rows?"
        )


def _decoded_bytes(batch: pa.RecordBatch) -> int:
    """Return what a batch takes with each text written out, also those of a dictionary."""
    return sum(map(_bytes_of, batch.columns))


def _bytes_of(column: pa.Array) -> int:
    if not pa.types.is_dictionary(column.type):
        return int(column.nbytes)
    try:
        lengths = pc.binary_length(column.dictionary)
    except pa.ArrowNotImplementedError:  # no texts: each takes little
        return int(column.indices.nbytes)
    texts = pc.sum(lengths.take(column.indices)).as_py() or 0
    return int(column.indices.nbytes) + int(texts)


def _check_counts(path: Path, file: pq.ParquetFile, groups: Sequence[Group]) -> None:
    """Raise ``InvalidData`` where the numbers of rows in the metadata contradict each other.

    pyarrow believes the number of a row group, and would leave out the rows beyond it.
    """
    count = len(file.schema)
    flat = [at for at in range(count) if not file.schema.column(at).max_repetition_level]
    for group in groups:
        if len(group.columns) != count:
            raise _damaged(path)
        for column in flat:
            if (values := group.columns[column].values) != group.rows:
                raise _lies(path, values, group.rows)
    rows = sum(group.rows for group in groups)
    if rows != file.metadata.num_rows:
        raise _lies(path, rows, file.metadata.num_rows)


class _Look:
    """Looks at the headers of the pages of ``file``, which is at ``path`` and is ``stream``."""

    def __init__(self, path: Path, stream: BinaryIO, file: pq.ParquetFile, limit: int) -> None:
        self._path = path
        self._stream = stream
        self._file = file
        self._limit = limit
        self._size = path.stat().st_size
        self.repeated: list[_Repeated] = []

    def rows_at_a_time(self, group: int, said: Group) -> int:
        """Return how many rows of a row group may be decoded at once.

        Raises ``InvalidData`` where one row may be too large, and ``DamagedPages``.
        """
        if not said.rows:
            return BATCH_ROWS
        per_row, at_once = 0.0, 0.0
        for column, chunk in enumerate(said.columns):
            taken = self._taken(group, column, chunk, said.rows)
            packed = max(chunk.packed, 1)
            if taken.total > self._limit and taken.total / packed > _TIGHTLY:
                raise _too_large(self._path, taken.total, self._limit)
            per_row += taken.per_row
            at_once += taken.at_once
            if per_row > self._limit or at_once > self._limit:
                raise _too_large(self._path, max(per_row, at_once), self._limit)
        return max(int(_BATCH_BYTES / max(per_row, 1)), 1)

    def _taken(self, group: int, column: int, chunk: Chunk, rows: int) -> _Taken:
        schema = self._file.schema.column(column)
        seen = _Seen(0 if chunk.kind == BYTE_ARRAY else WIDTHS.get(chunk.kind) or schema.length)
        for page in pages_of(self._stream, chunk, self._size):
            if (bytes_of_page := page.size + page.values * _LEVELS) > self._limit:
                raise _too_large(self._path, bytes_of_page, self._limit)
            seen.add(page)
            if page.is_dictionary and not seen.width:
                seen.longest = self._longest(chunk, page)
        if seen.total > 2 * chunk.unpacked + _READ_BYTES:
            raise DamagedPages
        if seen.prefixes:
            seen.longest = max(seen.longest, self._longest_by_prefixes(group, column, seen.page))
        value = (seen.width or max(seen.longest, seen.average)) + _OFFSET
        held = seen.page + seen.dictionary
        if seen.longest > _ALIKE and not seen.average:
            self.repeated.append(_Repeated(group, schema.path, value * chunk.values))
        if not schema.max_repetition_level:
            return _Taken(value, held, seen.total)
        decoded = max(value * chunk.values, seen.total)
        return _Taken(decoded / rows, held + decoded, decoded)

    def _longest(self, chunk: Chunk, page: Page) -> int:
        if page.size * BATCH_ROWS <= _BATCH_BYTES:
            return page.size  # as good, and it need not be unpacked
        return longest_text(self._stream, chunk, page)

    def _longest_by_prefixes(self, group: int, column: int, page: int) -> int:
        """Return the length of the longest text, found by decoding few at a time.

        Where that cannot be done, it is that of the largest ``page``.
        """
        schema = self._file.schema.column(column)
        if schema.path not in self._file.schema_arrow.names or schema.max_repetition_level:
            return page
        rows = max(int(_BATCH_BYTES / max(page, 1)), 1)
        wanted = {"batch_size": rows, "row_groups": [group], "columns": [schema.path]}
        longest = 0
        with pq.ParquetFile(self._path, buffer_size=_READ_BYTES) as probe:
            for batch in probe.iter_batches(**wanted):
                longest = max(longest, pc.max(pc.binary_length(batch.column(0))).as_py() or 0)
        return longest


class _Seen:
    """What the pages of a column chunk take, in bytes.

    ``width`` is that of a value, 0 of texts; ``page`` the largest page of values, ``average`` what
    a text takes in the page where texts are longest, ``prefixes`` whether texts may repeat others.
    """

    def __init__(self, width: int) -> None:
        self.width = width
        self.longest = 0.0
        self.average = 0.0
        self.page = 0
        self.dictionary = 0
        self.total = 0
        self.prefixes = False

    def add(self, page: Page) -> None:
        """Add a page. Raises ``DamagedPages`` for a dictionary with fewer values than it says."""
        self.total += page.size
        if page.is_dictionary:
            if page.values * (self.width or _LENGTH) > page.unpacked:
                raise DamagedPages
            self.dictionary = page.size + page.values * _TEXT
            return
        self.page = max(self.page, page.size)
        if not self.width and page.encoding not in REFERENCES:
            self.average = max(self.average, page.size / max(page.values, 1))
            self.prefixes |= page.encoding == DELTA_BYTE_ARRAY


def _lies(path: Path, found: int, said: int) -> InvalidData:
    return InvalidData(
        f"{path} has {found:,} rows where its metadata say {said:,}: it is damaged, write it anew"
    )


def _damaged(path: Path) -> InvalidData:
    return InvalidData(
        f"{path} cannot be read as a Parquet file: is it one, whole? "
        "The pages of a column are not as its metadata say"
    )


def _too_large(path: Path, size: float, limit: int) -> InvalidData:
    return InvalidData(
        f"{path} unpacks to {int(size):,} bytes at once, more than the {limit:,} that are allowed "
        "(STROKE_FILES_MAX_DECODED_BYTES)"
    )
