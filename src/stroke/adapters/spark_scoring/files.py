"""Bulk scoring on Spark: files of patients of any size, with the model that the service serves.

The workers need stroke's package with what requirements/app.txt lists. The model's files are
broadcast to them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as sf
from pyspark.sql.types import DoubleType, LongType, StringType, StructField, StructType

from stroke.adapters.spark_scoring.tasks import (
    FILE,
    ROW,
    TORN,
    Batches,
    WorkerParts,
    artefact_of,
    check_apart,
    rejected,
    scored,
)
from stroke.application.predictions import cells
from stroke.application.predictions.batch_scoring import ScoringOptions
from stroke.application.predictions.cells import FORMULA, NO_VALUE, NUMBER_CELL
from stroke.application.predictions.scored_columns import earlier_scores
from stroke.domain.errors import InvalidData

_REJECTS: Final = "file STRING, row BIGINT, reason STRING"
_LOCAL: Final = "on Spark, CSV is UTF-8 with commas; score it with --engine local"
_OTHER_TABLE: Final = re.compile(
    r"\.(?:(?:csv|tsv|tab|txt)\.(?:gz|zst|bz2|xz|zip)|tsv|tab|txt)/*$", re.IGNORECASE
)
_OTHER_MARKS: Final = {";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_DECIMAL_COMMA: Final = r"^\s*[+-]?[0-9]*,[0-9]+\s*$"
_FAULTS: Final = {
    "not_utf8": f"is not UTF-8 text, or has U+FFFD or NUL in it: {_LOCAL}",
    "commas": f"has decimal commas: {_LOCAL}",
    "open": "has a row that does not end: is a quote opened and never closed?",
}
# What bytes of another encoding become in UTF-8: UTF-16 has NULs, in all that is ASCII.
_NOT_UTF8: Final = ("\ufffd", "\0")
_BLANK: Final = '[,"\\s\u00a0\u202f\u2007\ufeff]'
_CSV: Final = {"header": True, "multiLine": True, "escape": '"', "mode": "PERMISSIVE"}


def score_files(
    spark: SparkSession,
    source: str,
    output: str,
    *,
    rejects: str,
    model: Path,
    parts: WorkerParts,
    contributions: bool = False,
    variants: bool = False,
    context: bool = False,
) -> dict[str, Any]:
    """Score Parquet files, or CSV if the name ends in ``.csv``, from ``source`` into ``output``.

    All are addresses that Spark knows, ``source`` with wildcards if need be. ``output`` becomes a
    folder of Parquet files (of CSV if its name ends so) in the place of one that is there; it is
    whole when it has ``_SUCCESS``. ``rejects`` becomes one of CSV, with the file, the number from 1
    (in Parquet only) and the reason of each row that cannot be scored. ``parts`` are what the
    workers score with. Returns what was done. Raises ``InvalidData``, also for CSV of another
    dialect or encoding than CSV in UTF-8 with commas, before anything is written.
    """
    check_apart(source, output, rejects)
    served = parts.load(model)
    given = _read(spark, source)
    given = given.drop(*[given.columns[at] for at in earlier_scores(given.columns)])
    rows = _checked(given, source) if _is_csv(source) else given.count()
    plain = given.drop(TORN)
    typed = _is_csv(source) and not _is_csv(output)
    options = ScoringOptions(contributions, numbers=typed, variants=variants, context=context)
    scoring = parts.scorer(plain.limit(0).toArrow().schema, served, options)
    fields = [_field(field) for field in scoring.schema]
    if not typed:
        fields[: len(plain.columns)] = plain.schema.fields
    shared = spark.sparkContext.broadcast(artefact_of(model))
    bad = spark.sparkContext.accumulator(0)

    def score(batches: Batches) -> Batches:
        return scored(batches, shared.value, bad.add, options, parts)

    def reject(batches: Batches) -> Batches:
        return rejected(batches, shared.value, parts)

    try:
        texts = _restored(given) if typed else given
        _write(texts.mapInArrow(score, StructType(fields)), output, copied=_is_csv(source))
        found = spark.createDataFrame([], _REJECTS)
        if bad.value:  # A task that is tried again counts twice: this only says if there are any.
            found = _placed(given).mapInArrow(reject, _REJECTS)
        rejections = _write_rejects(found, rejects)
    except PySparkException as error:
        raise InvalidData(f"{source} cannot be scored into {output}: {_why(error)}") from error
    finally:
        shared.destroy()
    return {
        "rows": rows,
        "scored": rows - rejections,
        "rejected": rejections,
        "rejects": rejects if rejections else None,
        "model_version": served.description.version,
    }


def _read(spark: SparkSession, source: str) -> DataFrame:
    if _OTHER_TABLE.search(source) is not None:
        raise InvalidData(f"{source} is packed, or no plain CSV by its name: {_LOCAL}")
    try:
        if not _is_csv(source):
            return spark.read.parquet(source)
        columns = spark.read.options(**_CSV).csv(source).schema.fields
        # One more column, which holds the rows that have more or fewer cells than the header.
        schema = StructType([*columns, StructField(TORN, StringType())])
        options = {**_CSV, "columnNameOfCorruptRecord": TORN}
        return _filled(spark.read.options(**options).schema(schema).csv(source))
    except PySparkException as error:
        raise InvalidData(f"{source} cannot be read: {_why(error)}") from error


def _checked(given: DataFrame, source: str) -> int:
    """Return the number of rows of a CSV. Raises ``InvalidData`` for one that Spark misreads.

    The engine local finds dialect and encoding by the whole text (decision 0054). Spark does not:
    it would take other text for names, and a quote that nobody closes for one long row.
    """
    names = [name for name in given.columns if name != TORN]
    # Before what else may be wrong: text of another encoding has no dialect, and quotes anywhere.
    if any(mark in name for name in names for mark in _NOT_UTF8):
        raise InvalidData(f"{source} {_FAULTS['not_utf8']}")
    known = {cells.key_of(name) for name in cells.PATIENT_COLUMNS}

    def count_known(parted: Iterable[str]) -> int:
        return len({cells.key_of(name.strip('"')) for name in parted} & known)

    for mark, word in _OTHER_MARKS.items():
        if count_known(part for name in names for part in name.split(mark)) > count_known(names):
            raise InvalidData(f"the cells of {source} are separated by {word}: {_LOCAL}")
    text = sf.concat_ws("", *[sf.col(f"`{name}`") for name in given.columns])
    numbers = [name for name in names if cells.key_of(name) in map(cells.key_of, cells.NUMERIC)]
    commas = [sf.col(f"`{name}`").rlike(_DECIMAL_COMMA) for name in numbers] or [sf.lit(False)]
    quotes = sf.length(TORN) - sf.length(sf.replace(sf.col(TORN), sf.lit('"'), sf.lit("")))
    try:
        found = given.agg(
            sf.count("*").alias("rows"),
            sf.max(_any([text.contains(mark) for mark in _NOT_UTF8])).alias("not_utf8"),
            sf.max(_any(commas)).alias("commas"),
            sf.max(sf.coalesce(quotes % 2 == 1, sf.lit(False))).alias("open"),
        ).first()
    except PySparkException as error:
        raise InvalidData(f"{source} cannot be read: {_why(error)}") from error
    if found is None:
        return 0
    for column, fault in _FAULTS.items():
        if found[column]:
            raise InvalidData(f"{source} {fault}")
    return int(found["rows"])


def _any(conditions: Sequence[Column]) -> Column:
    return reduce(or_, [sf.coalesce(each, sf.lit(False)) for each in conditions])


def _filled(given: DataFrame) -> DataFrame:
    """Return the rows of a CSV without those of blank cells, which are none."""
    texts = [sf.coalesce(sf.col(f"`{name}`"), sf.lit("")) for name in given.columns]
    # A torn row has no cells: its text must be more than separators and blanks.
    return given.where(sf.regexp_replace(sf.concat(*texts), _BLANK, "") != "")


def _write(rows: DataFrame, output: str, *, copied: bool) -> None:
    writer = rows.write.mode("overwrite")
    if _is_csv(output):
        writer = _neutral(rows, copied=copied).write.mode("overwrite")
        writer.options(header=True, escape='"').csv(output)
    else:
        writer.parquet(output)


def _placed(given: DataFrame) -> DataFrame:
    """Return the rows with their file and, where Spark knows it, their number in it."""
    known = TORN not in given.columns
    row = sf.col("_metadata.row_index") + 1 if known else sf.lit(None).cast("bigint")
    return given.select("*", sf.col("_metadata.file_path").alias(FILE), row.alias(ROW))


def _write_rejects(found: DataFrame, output: str) -> int:
    options = {"header": True, "escape": '"'}
    _neutral(found, copied=False).write.mode("overwrite").options(**options).csv(output)
    written = found.sparkSession.read.schema(_REJECTS).options(**options).csv(output)
    return int(written.count())


def _neutral(rows: DataFrame, *, copied: bool) -> DataFrame:
    """Return ``rows`` as CSV has them: texts that begin like a formula get an apostrophe.

    Cells that are ``copied`` from CSV have theirs already, if they need it.
    """
    begins = f"^{FORMULA}" if copied else f"^'*{FORMULA}"

    def written(column: Column) -> Column:
        harmless = column.rlike(NUMBER_CELL) | sf.lower(sf.trim(column)).isin(*NO_VALUE)
        marked = sf.concat(sf.lit("'"), column)
        return sf.when(column.rlike(begins) & ~harmless, marked).otherwise(column)

    named = [cells.copied(name) if copied else cells.neutral(name) for name in rows.columns]
    return _texts_changed(rows, written).toDF(*named)


def _restored(rows: DataFrame) -> DataFrame:
    """Return ``rows`` of CSV with the texts that ``_neutral`` was given."""

    def read(column: Column) -> Column:
        return sf.when(column.rlike(f"^'+{FORMULA}"), sf.substr(column, sf.lit(2))).otherwise(
            column
        )

    return _texts_changed(rows, read)


def _texts_changed(rows: DataFrame, change: Callable[[Column], Column]) -> DataFrame:
    texts = {field.name for field in rows.schema if isinstance(field.dataType, StringType)}
    columns = [(name, sf.col(f"`{name}`")) for name in rows.columns]
    return rows.select(
        *[(change(column) if name in texts else column).alias(name) for name, column in columns]
    )


def _field(field: pa.Field) -> StructField:
    if pa.types.is_floating(field.type):
        return StructField(field.name, DoubleType())
    return StructField(field.name, LongType() if field.type == pa.int64() else StringType())


def _is_csv(address: str) -> bool:
    return address.rstrip("/").lower().endswith(".csv")


def _why(error: PySparkException) -> str:
    """Return what kind of error it is: its message may quote a value."""
    return str(error.getCondition() or type(error).__name__)
