"""`stroke score`."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated

import typer

from stroke.application.predictions.file_scoring import Format, ScoringTally, without_packing
from stroke.domain.errors import InvalidData
from stroke.entrypoints.cli.terminal.analytics_options import Master
from stroke.entrypoints.cli.terminal.options import AsJson, rejects_option
from stroke.entrypoints.cli.terminal.output import opened, print_notes, progress
from stroke.entrypoints.cli.terminal.rejects import RejectFile
from stroke.entrypoints.cli.terminal.scoring_options import (
    ModelName,
    Variants,
    WithContext,
    container_of,
    refuse_same_file,
    sentence,
)
from stroke.entrypoints.cli.terminal.signals import ends_on_sigterm

if TYPE_CHECKING:
    from stroke.application.predictions.columnar import ColumnarRiskModel
    from stroke.config import FilesSettings


class Engine(StrEnum):
    """What scores."""

    LOCAL = "local"
    SPARK = "spark"


@dataclass(frozen=True, slots=True)
class _Plan:
    """Which file is scored into which, and where the rejected rows go."""

    files: dict[Path, Path]
    format: Format  # of all that are read
    folder: bool
    rejects: Path
    contributions: bool
    variants: bool
    context: bool


def score(
    source: Annotated[
        str, typer.Argument(metavar="INPUT", help="A .parquet or .csv file, or a folder of them.")
    ],
    output: Annotated[
        str,
        typer.Argument(
            metavar="OUTPUT",
            help="A .parquet or .csv file; if INPUT is a folder, a folder for Parquet files.",
        ),
    ],
    *,
    engine: Annotated[
        Engine, typer.Option(help="Score in this process, or on Spark.")
    ] = Engine.LOCAL,
    rejects: Annotated[
        str | None,
        rejects_option(
            "file, line and reason of each",
            "INPUT.rejects.csv; with Spark a folder, OUTPUT.rejects",
        ),
    ] = None,
    contributions: Annotated[
        bool, typer.Option("--contributions", help="Add the contribution of each feature.")
    ] = False,
    variants: Variants = False,
    context: WithContext = False,
    model: ModelName = None,
    master: Master = None,
    as_json: AsJson = False,
) -> None:
    """Score Parquet or CSV files of any size with the served model.

    The output has the input's columns and, like that of `stroke predict`, probability,
    risk_category, contributing_factors (up to three names, joined by ";") and model_version; with
    --variants also model_variant, with --context also interval, support and comparison, and with
    --contributions also log_odds_FEATURE for each feature, and baseline_log_odds: they sum to the
    probability's logit. The input needs the columns gender, age, hypertension, heart_disease,
    avg_glucose_level, bmi and smoking_status; other columns are copied, and the scores of an
    earlier run are replaced. docs/files.md shows which dialects and encodings of CSV are read.

    Bad rows are left out, and a side file lists them with reasons; the exit code is then 1. An
    output file is either complete or absent.

    \b
    stroke score patients.parquet scored.parquet
    stroke score patients.csv scored.parquet --contributions
    stroke score patients/ scored/ --json | jq .rows_per_second
    stroke score --engine spark s3://lake/patients s3://lake/scored
    """  # noqa: D301
    started = perf_counter()
    with ends_on_sigterm():
        if engine is Engine.SPARK:
            summary = _with_spark(
                source,
                output,
                rejects,
                model,
                master,
                contributions=contributions,
                variants=variants,
                context=context,
            )
        else:
            plan = _plan(
                Path(source),
                Path(output),
                rejects,
                contributions=contributions,
                variants=variants,
                context=context,
            )
            parts = container_of(model)
            summary = _here(plan, parts.model(), parts.settings().files)
    seconds = perf_counter() - started
    summary |= {
        "engine": engine.value,
        "seconds": round(seconds, 3),
        "rows_per_second": round(int(str(summary["rows"])) / seconds),
    }
    typer.echo(json.dumps(summary) if as_json else sentence(summary), err=not as_json)
    if summary["rejected"]:
        raise typer.Exit(1)


def _with_spark(
    source: str,
    output: str,
    rejects: str | None,
    model: str | None,
    master: str | None,
    *,
    contributions: bool,
    variants: bool,
    context: bool,
) -> dict[str, object]:
    from stroke.config import PipelineSettings
    from stroke.container.spark_scoring import score_on_spark

    return score_on_spark(
        container_of(model),
        PipelineSettings.load(),
        source,
        output,
        rejects=rejects,
        contributions=contributions,
        variants=variants,
        context=context,
        master=master,
    )


def _plan(
    source: Path,
    output: Path,
    rejects: str | None,
    *,
    contributions: bool,
    variants: bool,
    context: bool,
) -> _Plan:
    side = Path(rejects) if rejects else source.with_suffix(".rejects.csv")
    if not source.exists():
        raise InvalidData(f"{source} is not there")
    files = _of_folder(source, output) if source.is_dir() else {source: output}
    for path, target in files.items():
        refuse_same_file("INPUT, OUTPUT and --rejects must be different", path, target, side)
    formats = {Format.of_input(path) for path in files}
    if len(formats) > 1:
        raise InvalidData(f"{source} holds CSV and Parquet files: score them in turn")
    return _Plan(files, formats.pop(), source.is_dir(), side, contributions, variants, context)


def _of_folder(folder: Path, output: Path) -> dict[Path, Path]:
    """Return the files in a folder, and what becomes of each; hidden ones are left alone."""
    if output.is_file() or output.resolve().is_relative_to(folder.resolve()):
        raise InvalidData("of a folder OUTPUT is a folder too, and not one inside it")
    found = sorted(
        path
        for path in folder.rglob("*")
        if Format.is_input(path)
        and path.is_file()
        and not any(part.startswith((".", "_")) for part in path.relative_to(folder).parts)
    )
    if not found:
        raise InvalidData(f"{folder} has no .parquet or .csv files")
    files = {
        path: without_packing(output / path.relative_to(folder)).with_suffix(".parquet")
        for path in found
    }
    if len(set(files.values())) < len(files):
        raise InvalidData(
            f"{folder} has files that differ in what follows the dot alone: rename them"
        )
    return files


def _here(plan: _Plan, model: ColumnarRiskModel, settings: FilesSettings) -> dict[str, object]:
    total = ScoringTally()
    sizes = {path: path.stat().st_size for path in plan.files}
    header = ("file", "line" if plan.format is Format.CSV else "row", "reason")
    with progress() as display, RejectFile(plan.rejects, header) as bad:
        bar = display.add_task("scoring", total=sum(sizes.values()))
        before = 0
        for path in plan.files:

            def advance(read: int, before: int = before) -> None:
                display.update(bar, completed=before + read)

            total += _score_one(plan, path, model, bad, advance, settings)
            before += sizes[path]
    return {
        "files": len(plan.files),
        **asdict(total),
        "rejects": str(plan.rejects) if total.rejected else None,
        "model_version": model.description.version,
    }


def _score_one(
    plan: _Plan,
    path: Path,
    model: ColumnarRiskModel,
    bad: RejectFile,
    advance: Callable[[int], object],
    settings: FilesSettings,
) -> ScoringTally:
    from stroke.container.scoring import score_file

    target = plan.files[path]
    into = Format.of(target)
    if plan.folder:
        target.parent.mkdir(parents=True, exist_ok=True)
    with opened(target) as sink:
        return score_file(
            model,
            path,
            sink,
            into,
            contributions=plan.contributions,
            variants=plan.variants,
            context=plan.context,
            reject=lambda row: bad.add((path, *row)),
            advance=advance,
            note=lambda said: print_notes([said]),
            settings=settings,
        )
