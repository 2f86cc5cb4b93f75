"""Bulk scoring on Spark: files of patients of any size, with the model that the service serves.

The workers need stroke's package with what requirements/app.txt lists. The model's files are
broadcast to them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as sf
from pyspark.sql.types import DoubleType, LongType, StringType, StructField, StructType

from stroke.adapters.arrow.batches import BatchScoring
from stroke.adapters.onnx.model import OnnxRiskModel
from stroke.domain.errors import InvalidData

Artefact = tuple[tuple[str, bytes], ...]
"""The files of a model: their names, below its folder if it is one, and what they hold."""

Batches = Iterator[pa.RecordBatch]

_REJECTS: Final = "file STRING, row BIGINT, reason STRING"
_FILE, _ROW, _TORN = "_stroke_file", "_stroke_row", "_stroke_torn"
_OTHER_CELLS: Final = "has other cells than the header"
_CSV: Final = {"header": True, "multiLine": True, "escape": '"', "mode": "PERMISSIVE"}


def score_files(
    spark: SparkSession,
    source: str,
    output: str,
    *,
    rejects: str,
    model: Path,
    contributions: bool = False,
) -> dict[str, Any]:
    """Score Parquet files, or CSV if the name ends in ``.csv``, from ``source`` into ``output``.

    Both are addresses that Spark knows, ``source`` with wildcards if need be. ``output`` becomes a
    folder of Parquet files (of CSV if its name ends so), which is whole when it has ``_SUCCESS``.
    ``rejects`` becomes one of CSV, if any row cannot be scored: its file, its number from 1 (in
    Parquet only) and the reason. Returns what was done; raises ``InvalidData``.
    """
    served = OnnxRiskModel(model)
    given = _read(spark, source)
    plain = given.drop(_TORN)
    typed = _is_csv(source) and not _is_csv(output)
    options = {"contributions": contributions, "numbers": typed}
    scoring = BatchScoring(plain.limit(0).toArrow().schema, served, **options)
    fields = [_field(field) for field in scoring.schema]
    if not typed:
        fields[: len(plain.columns)] = plain.schema.fields
    shared = spark.sparkContext.broadcast(artefact_of(model))
    bad = spark.sparkContext.accumulator(0)

    def score(batches: Batches) -> Batches:
        return scored(batches, shared.value, bad.add, options)

    def reject(batches: Batches) -> Batches:
        return rejected(batches, shared.value)

    try:
        _write(given.mapInArrow(score, StructType(fields)), output)
        told = 0
        if bad.value:  # A task that is tried again counts twice: this only says if there are any.
            told = _write_rejects(_placed(given).mapInArrow(reject, _REJECTS), rejects)
        rows = given.count()
    except PySparkException as error:
        raise InvalidData(f"{source} cannot be scored into {output}: {_why(error)}") from error
    finally:
        shared.destroy()
    return {
        "rows": rows,
        "scored": rows - told,
        "rejected": told,
        "rejects": rejects if told else None,
        "model_version": served.description.version,
    }


def artefact_of(model: Path) -> Artefact:
    """Return the files of the model at ``model``: a folder, or a bare graph."""
    files = sorted(model.iterdir()) if model.is_dir() else [model]
    below = model.parent
    return tuple((str(f.relative_to(below)), f.read_bytes()) for f in files if f.is_file())


def scored(
    batches: Batches, artefact: Artefact, bad: Callable[[int], None], options: Mapping[str, bool]
) -> Batches:
    """Yield the rows that can be scored, with their scores; tell ``bad`` how many cannot.

    ``options`` are those of ``BatchScoring``.
    """
    for batch in batches:
        whole = _untorn(batch)
        scoring = BatchScoring(whole.schema, _model(artefact), **options)
        rows, _ = scoring.score(whole)
        bad(batch.num_rows - rows.num_rows)
        yield rows


def rejected(batches: Batches, artefact: Artefact) -> Batches:
    """Yield file, row and reason of each row that cannot be scored."""
    for batch in batches:
        scoring = BatchScoring(batch.schema, _model(artefact))
        reasons = {row.place: row.reason for row in scoring.score(batch).rejects}
        if _TORN in batch.schema.names:
            torn = batch.column(_TORN).is_valid().to_pylist()
            reasons |= {at: _OTHER_CELLS for at, is_torn in enumerate(torn) if is_torn}
        places = pa.array(sorted(reasons), pa.int64())
        yield pa.record_batch(
            [
                batch.column(_FILE).take(places),
                batch.column(_ROW).take(places),
                pa.array([reasons[at] for at in sorted(reasons)], pa.string()),
            ],
            names=["file", "row", "reason"],
        )


@lru_cache(maxsize=1)
def _model(artefact: Artefact) -> OnnxRiskModel:
    """Return the model, loaded once in each worker."""
    with tempfile.TemporaryDirectory(prefix="stroke-model-") as folder:
        for name, content in artefact:
            path = Path(folder, name)
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
        return OnnxRiskModel(Path(folder, artefact[0][0].partition("/")[0]))


def _read(spark: SparkSession, source: str) -> DataFrame:
    try:
        if not _is_csv(source):
            return spark.read.parquet(source)
        columns = spark.read.options(**_CSV).csv(source).schema.fields
        # One more column, which holds the rows that have more or fewer cells than the header.
        schema = StructType([*columns, StructField(_TORN, StringType())])
        options = {**_CSV, "columnNameOfCorruptRecord": _TORN}
        return spark.read.options(**options).schema(schema).csv(source)
    except PySparkException as error:
        raise InvalidData(f"{source} cannot be read: {_why(error)}") from error


def _write(rows: DataFrame, output: str) -> None:
    writer = rows.write.mode("overwrite")
    if _is_csv(output):
        writer.options(header=True, escape='"').csv(output)
    else:
        writer.parquet(output)


def _placed(given: DataFrame) -> DataFrame:
    """Return the rows with their file and, where Spark knows it, their number in it."""
    known = _TORN not in given.columns
    row = sf.col("_metadata.row_index") + 1 if known else sf.lit(None).cast("bigint")
    return given.select("*", sf.col("_metadata.file_path").alias(_FILE), row.alias(_ROW))


def _write_rejects(found: DataFrame, output: str) -> int:
    options = {"header": True, "escape": '"'}
    found.write.mode("overwrite").options(**options).csv(output)
    written = found.sparkSession.read.schema(_REJECTS).options(**options).csv(output)
    return int(written.count())


def _untorn(batch: pa.RecordBatch) -> pa.RecordBatch:
    if _TORN not in batch.schema.names:
        return batch
    return batch.filter(batch.column(_TORN).is_null()).drop_columns([_TORN])


def _field(field: pa.Field) -> StructField:
    if pa.types.is_floating(field.type):
        return StructField(field.name, DoubleType())
    return StructField(field.name, LongType() if field.type == pa.int64() else StringType())


def _is_csv(address: str) -> bool:
    return address.rstrip("/").lower().endswith(".csv")


def _why(error: PySparkException) -> str:
    """Return what kind of error it is: its message may quote a value."""
    return str(error.getCondition() or type(error).__name__)
