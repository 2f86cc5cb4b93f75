"""What Spark's workers do to score: Arrow batches in, Arrow batches out. Needs no Spark itself."""

from __future__ import annotations

import posixpath
import re
import tempfile
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import permutations
from pathlib import Path
from typing import Final, NamedTuple

import pyarrow as pa

from stroke.application.predictions.batch_scoring import BatchScorer, ScoringOptions
from stroke.application.predictions.columnar import ColumnarRiskModel
from stroke.domain.errors import InvalidData

Artefact = tuple[tuple[str, bytes], ...]
"""The files of a model: their names, with that of its folder if it is one, and what they hold."""

Batches = Iterator[pa.RecordBatch]

FILE, ROW, TORN = "_stroke_file", "_stroke_row", "_stroke_torn"
"""Columns that the input has not: a row's file, its number in it, and what was wrong with it."""

_WILDCARD: Final = re.compile(r"[*?\[{]")
_OTHER_CELLS: Final = "has other cells than the header"


class WorkerParts(NamedTuple):
    """What a worker loads the model with, and what scores batches of a schema with it.

    Both are pickled with each task. They must be functions or classes of a module, or values that
    equal themselves afterwards: otherwise a worker loads the model for every batch.
    """

    load: Callable[[Path], ColumnarRiskModel]
    scorer: Callable[[pa.Schema, ColumnarRiskModel, ScoringOptions], BatchScorer]


def check_apart(source: str, *outputs: str) -> None:
    """Raise ``InvalidData`` where an output would take the place of what is read, or be read.

    Spark deletes what lies at an output before it reads.
    """
    read = _path(source)
    fixed = read[: found.start()].rpartition("/")[0] if (found := _WILDCARD.search(read)) else read
    for output in map(_path, outputs):
        if _holds(output, fixed) or (fixed == read and _holds(read, output)):
            raise InvalidData("INPUT, OUTPUT and --rejects must not be one in another")
    for one, other in permutations(map(_path, outputs), 2):
        if _holds(one, other):
            raise InvalidData("OUTPUT and --rejects must not be one in another")


def artefact_of(model: Path) -> Artefact:
    """Return the files of the model at ``model``: a folder, or a bare graph."""
    files = sorted(model.iterdir()) if model.is_dir() else [model]
    below = model.parent
    return tuple((str(f.relative_to(below)), f.read_bytes()) for f in files if f.is_file())


def scored(
    batches: Batches,
    artefact: Artefact,
    bad: Callable[[int], None],
    options: ScoringOptions,
    parts: WorkerParts,
) -> Batches:
    """Yield the rows that can be scored, with their scores; call ``bad`` with how many cannot."""
    for batch in batches:
        whole = _untorn(batch)
        model = _model(artefact, parts.load)
        rows, _ = parts.scorer(whole.schema, model, options).score(whole)
        bad(batch.num_rows - rows.num_rows)
        yield rows


def rejected(batches: Batches, artefact: Artefact, parts: WorkerParts) -> Batches:
    """Yield file, row and reason of each row that cannot be scored."""
    for batch in batches:
        model = _model(artefact, parts.load)
        rejects = parts.scorer(batch.schema, model, ScoringOptions()).score(batch).rejects
        reasons = {row.place: row.reason for row in rejects}
        if TORN in batch.schema.names:
            torn = batch.column(TORN).is_valid().to_pylist()
            reasons |= {at: _OTHER_CELLS for at, is_torn in enumerate(torn) if is_torn}
        places = pa.array(sorted(reasons), pa.int64())
        yield pa.record_batch(
            [
                batch.column(FILE).take(places),
                batch.column(ROW).take(places),
                pa.array([reasons[at] for at in sorted(reasons)], pa.string()),
            ],
            names=["file", "row", "reason"],
        )


@lru_cache(maxsize=1)
def _model(artefact: Artefact, load: Callable[[Path], ColumnarRiskModel]) -> ColumnarRiskModel:
    """Return the model, loaded once in each worker."""
    with tempfile.TemporaryDirectory(prefix="stroke-model-") as folder:
        for name, content in artefact:
            path = Path(folder, name)
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
        return load(Path(folder, artefact[0][0].partition("/")[0]))


def _path(address: str) -> str:
    """Return an address without what may be said or not."""
    bare = re.sub(r"^file:(//)?(?=/)", "", address)
    scheme, separator, path = bare.rpartition("://")
    return f"{scheme}{separator}{posixpath.normpath(path)}"


def _holds(folder: str, path: str) -> bool:
    return path == folder or path.startswith(f"{folder}/") or folder in ("/", ".")


def _untorn(batch: pa.RecordBatch) -> pa.RecordBatch:
    if TORN not in batch.schema.names:
        return batch
    return batch.filter(batch.column(TORN).is_null()).drop_columns([TORN])
