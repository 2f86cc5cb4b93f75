"""`stroke predict`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated

import typer

from stroke.entrypoints.cli.terminal.options import rejects_option
from stroke.entrypoints.cli.terminal.output import STDOUT, opened, print_notes, progress
from stroke.entrypoints.cli.terminal.rejects import RejectFile
from stroke.entrypoints.cli.terminal.said import say
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
    from stroke.application.predictions.file_scoring import CsvText, ScoringProgress, Store
    from stroke.container.service import Container
    from stroke.domain.patient import Patient

STDIN = Path("-")


def predict(
    source: Annotated[
        Path, typer.Argument(metavar="FILE", help="A CSV file with a header; - is stdin.")
    ],
    *,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The output file; - is stdout.")
    ] = STDOUT,
    rejects: Annotated[
        Path | None,
        rejects_option(
            "line and reason of each", "FILE.rejects.csv; for stdin predict.rejects.csv"
        ),
    ] = None,
    store: Annotated[
        bool, typer.Option("--store", help="Also store the predictions in the database.")
    ] = False,
    model: ModelName = None,
    variants: Variants = False,
    context: WithContext = False,
    from_line: Annotated[
        int, typer.Option(min=1, metavar="LINE", help="Skip the rows before this line.")
    ] = 1,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json", help="Summary as JSON: on stdout, or stderr when the scores go to stdout."
        ),
    ] = False,
) -> None:
    """Score a CSV of patients of any size.

    The output (CSV in UTF-8) has the input's columns, untouched, and probability, risk_category,
    contributing_factors (up to three names, strongest first, joined by ";") and model_version; with
    --variants also model_variant, with --context also interval, support and comparison, and with
    --store also prediction_id. The scores of an earlier run are replaced. The input needs the
    columns gender, age, hypertension, heart_disease, avg_glucose_level, bmi and smoking_status;
    with --store also name, country and province. Other columns are copied. It may have semicolons
    or tabs, decimal commas, another encoding, and be packed (.gz): docs/files.md shows what is
    read.

    Bad rows are left out, and a side file lists their lines and reasons; the exit code is then
    1.

    \b
    stroke predict patients.csv --output scored.csv
    stroke simulate 1000000 | stroke predict - > scored.csv
    stroke predict patients.csv --store --json -o scored.csv
    """  # noqa: D301 -- \b is click's mark for text that is not to be wrapped
    rejects = rejects or _side_file(source)
    refuse_same_file(
        "the input, --output and --rejects must be different files", source, output, rejects
    )
    from stroke.container.scoring import patients_as_csv

    started = perf_counter()
    container = container_of(model)
    with (
        ends_on_sigterm(),
        _storing(container, wanted=store) as storing,
        patients_as_csv(source, container.settings().files) as text,
    ):
        tally = _score(
            container,
            text,
            output=output,
            rejects=rejects,
            store=storing,
            from_line=from_line,
            variants=variants,
            context=context,
        )
        version = container.model().description.version
    seconds = perf_counter() - started
    summary = {
        **{key: value for key, value in asdict(tally).items() if key != "next_line"},
        "rejects": str(rejects) if tally.rejected else None,
        "model_version": version,
        "seconds": round(seconds, 3),
        "rows_per_second": round(tally.rows / seconds),
    }
    typer.echo(
        json.dumps(summary) if as_json else sentence(summary), err=_to_stderr(as_json, output)
    )
    if tally.rejected:
        raise typer.Exit(1)


def _score(
    container: Container,
    text: CsvText,
    *,
    output: Path,
    rejects: Path,
    store: Store | None,
    from_line: int,
    variants: bool,
    context: bool,
) -> ScoringProgress:
    from stroke.container.scoring import bulk_scoring

    bulk = bulk_scoring(
        container.model(),
        text,
        store=store,
        from_line=from_line,
        variants=variants,
        context=context,
        settings=container.settings().files,
    )
    print_notes(text.notes)
    try:
        with (
            progress() as display,
            opened(output) as scored,
            RejectFile(rejects, ("line", "reason")) as bad,
        ):
            bar = display.add_task("scoring", total=text.size or None)
            return bulk.run(
                scored.write, bad.add, lambda _: display.update(bar, completed=text.position())
            )
    except BaseException:
        if store is not None:
            say(
                f"{bulk.tally.stored} rows are stored; to store the others, "
                f"run again with --from-line {bulk.tally.next_line}",
                "error",
            )
        raise


@contextmanager
def _storing(container: Container, *, wanted: bool) -> Iterator[Store | None]:
    """Give a function that stores patients as the service does, all of one call or none."""
    if not wanted:
        yield None
        return
    import asyncio

    predictions = container.predictions()
    with asyncio.Runner() as runner:

        def store(patients: Sequence[Patient]) -> list[int]:
            return [stored.id for stored in runner.run(predictions.predict_many(patients))]

        try:
            runner.run(predictions.check_store())
            yield store
        finally:
            runner.run(container.engine().dispose())


def _side_file(source: Path) -> Path:
    return Path("predict.rejects.csv") if source == STDIN else source.with_suffix(".rejects.csv")


def _to_stderr(as_json: bool, output: Path) -> bool:
    return not as_json or output == STDOUT
