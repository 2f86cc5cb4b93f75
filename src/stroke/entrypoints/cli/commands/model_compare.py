"""`stroke model compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from stroke.entrypoints.cli.terminal.comparison_text import print_comparison
from stroke.entrypoints.cli.terminal.options import (
    AsJson,
    FairnessLimit,
    MinimumCount,
    MinimumEvents,
    Since,
    Site,
    Until,
    made_between,
)
from stroke.entrypoints.cli.terminal.output import print_notes, progress
from stroke.entrypoints.cli.terminal.performance_text import is_unfair
from stroke.entrypoints.cli.terminal.scoring_options import container_of
from stroke.entrypoints.cli.terminal.signals import ends_on_sigterm

DATABASE: Final = "db"


def compare(
    first: Annotated[
        str, typer.Argument(metavar="A", help="A name, a version, champion, challenger, a folder.")
    ],
    second: Annotated[str, typer.Argument(metavar="B", help="What A is compared with.")],
    *,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A CSV or Parquet file of patients with a column stroke.",
            show_default="stored predictions with an outcome",
        ),
    ] = None,
    source: Annotated[
        str,
        typer.Option(
            metavar="db|iceberg|kafka|DIR|s3://...",
            help="Without --data: where the stored predictions are read.",
        ),
    ] = DATABASE,
    since: Since = None,
    until: Until = None,
    site: Site = None,
    minimum_count: MinimumCount = 100,
    minimum_events: MinimumEvents = 10,
    fairness_limit: FairnessLimit = None,
    as_json: AsJson = False,
) -> None:
    """Compare two models on the same patients, whose outcomes are known.

    Both score every patient. For AUC (DeLong), Brier score, sensitivity and specificity of the
    bands, and net benefit, the command gives B less A with a 95 % interval for paired data, also
    by gender, age group, smoking status and site; and it says when the data cannot tell.
    Calibration and the largest differences between groups are given for both. Data that a model
    was trained on flatter it: a warning says so where the file is the very same.

    The exit code is 1 when B is worse than A in AUC or Brier score for certain, when its groups
    lie further apart than --fairness-limit, or when there are too few patients to judge by it.

    \b
    stroke model compare stroke-spline-lr candidate --data labelled.csv
    stroke model compare champion candidate --since 2026-01-01 --json
    """  # noqa: D301 -- \b is click's mark for text that is not to be wrapped
    if data is not None and (since or until or site or source != DATABASE):
        raise typer.BadParameter(
            "--since, --until, --site and --source are for stored predictions, and --data is a file"
        )
    from stroke.application.quality.performance import Minimums
    from stroke.container.comparison import compare as compared
    from stroke.domain.model_comparison import Verdict

    with ends_on_sigterm(), progress() as display:
        bar = display.add_task("comparing", total=None)
        report = compared(
            container_of(None),
            first,
            second,
            data=data,
            source=source,
            within=made_between(since, until, site),
            minimums=Minimums(minimum_count, minimum_events),
            on_progress=lambda done, total: display.update(bar, completed=done, total=total),
            on_group=lambda done: display.update(bar, description=f"comparing groups, {done} done"),
            note=lambda said: print_notes([said]),
        )
    print_comparison(report, as_json=as_json)
    differences = report.groups[0].differences
    worse = any(
        differences[name].verdict is Verdict.FIRST for name in ("auc", "brier") if differences
    )
    if worse or is_unfair(report.second_gaps, fairness_limit):
        raise typer.Exit(1)
