"""`stroke model update`. Like the commands that train, it names the training adapter."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from stroke.domain.errors import InvalidData
from stroke.entrypoints.cli.commands.model_training import (
    Replace,
    needs_training_packages,
    valid_name,
)
from stroke.entrypoints.cli.terminal.model_text import ModelPlace, steps_bar
from stroke.entrypoints.cli.terminal.options import AsJson, Since, Until, made_between
from stroke.entrypoints.cli.terminal.output import print_notes, progress
from stroke.entrypoints.cli.terminal.scoring_options import container_of
from stroke.entrypoints.cli.terminal.signals import ends_on_sigterm
from stroke.entrypoints.cli.terminal.update_text import print_update, summary_of

if TYPE_CHECKING:
    from stroke.adapters.training.updating import Grounds, Parent
    from stroke.application.models.judged import JudgedPatients
    from stroke.application.models.recalibration import Rules
    from stroke.config import ModelSettings, Settings
    from stroke.domain.further import Further

DATABASE: Final = "db"
NO_UPDATE_NEEDED: Final = 3
"""The exit code where the outcomes call for no other model."""


def update(
    *,
    from_outcomes: Annotated[
        bool,
        typer.Option(
            "--from-outcomes", help="Update by outcomes: say it, there is no other way yet."
        ),
    ] = False,
    model: ModelPlace = None,
    name: Annotated[
        str | None, typer.Option("--name", "-n", help="Name of the new model in the store.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help="A CSV or Parquet file of patients with a column stroke, and site if you like.",
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
    site: Annotated[
        str | None,
        typer.Option(
            metavar="SITE",
            help="A model for this site: by its own patients, or drawn towards all sites.",
        ),
    ] = None,
    keep_bands: Annotated[
        bool,
        typer.Option(
            "--keep-bands",
            help="Let risk categories begin at the same risks, and not with the same patients.",
        ),
    ] = False,
    replace: Replace = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would come of it; write nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make a better calibrated model of one whose patients have known outcomes.

    Likelihood-ratio tests choose what is estimated anew: nothing, the intercept, intercept and
    slope, or all coefficients (a refit; only models of `stroke model train`). Features of a model's
    own count in all of them: a file needs a column for each, unless it may be missing. The new
    model goes into the store under --name; the old one stays, and what is served does not change.

    Exit codes: 0 when a model was written (or would be), 3 when the outcomes call for none, 1 when
    there are too few outcomes or something is wrong, 2 for a wrong command line.

    \b
    stroke model update --from-outcomes --dry-run
    stroke model update --from-outcomes --since 2026-01-01 --name recalibrated
    stroke model update --from-outcomes --data labelled.csv --model best --name best-2 --json
    stroke model update --from-outcomes --site north --name north
    """  # noqa: D301 -- \b is click's mark for text that is not to be wrapped
    if not from_outcomes:
        raise typer.BadParameter("say --from-outcomes: a model is updated by nothing else")
    if name is None and not dry_run:
        raise typer.BadParameter("--name says what the new model is called; or use --dry-run")
    if data is not None and (since or until or source != DATABASE):
        raise typer.BadParameter(
            "--since, --until and --source are for stored predictions, and --data is a file"
        )
    needs_training_packages()
    from stroke.adapters.training.updating import Parent
    from stroke.container.models import check_free
    from stroke.container.updating import judged_patients, parent_model, rules_of

    parts = container_of(None)
    settings = parts.settings()
    if name is not None:
        check_free(settings.model, valid_name(name), replace=replace or dry_run)
    found = parent_model(settings.model, model)
    parent = Parent(found.graph, found.served.manifest.model_dump(mode="json"))
    made: dict[str, Any] | None = None
    with ends_on_sigterm():
        with progress() as display:
            bar = display.add_task("reading outcomes", total=None)
            judged = judged_patients(
                parts,
                found.served,
                data=data,
                source=source,
                within=made_between(since, until),
                on_progress=lambda done, total: display.update(bar, completed=done, total=total),
                note=lambda said: print_notes([said]),
            )
        further = found.served.description.further
        grounds = _grounds(parent, judged, rules_of(settings.update), site, further)
        if grounds.update.is_needed:
            made = _made(
                parent,
                grounds,
                settings,
                name=name or "dry-run",
                keep_bands=keep_bands,
                replace=replace,
                dry_run=dry_run,
            )
    version = parent.manifest["version"]
    written = made["version"] if made is not None and not dry_run else None
    if as_json:
        summary = summary_of(version, grounds.update, judged.passed_over)
        typer.echo(json.dumps(summary | {"site": site, "written": written, "manifest": made}))
    else:
        print_update(version, grounds.update, judged.passed_over, made)
        if written is not None:
            typer.echo(f"written as {written}; serve it with stroke model promote {name}")
    if not grounds.update.is_needed:
        raise typer.Exit(NO_UPDATE_NEEDED)


def _grounds(
    parent: Parent, judged: JudgedPatients, rules: Rules, site: str | None, further: Further
) -> Grounds:
    """Choose the method, on the patients of a site where it has enough of them."""
    from stroke.adapters.training.data import patients_of
    from stroke.adapters.training.updating import Grounds
    from stroke.application.models.recalibration import Evidence, plan

    if not len(judged):
        raise InvalidData("no patient has an outcome that counts: see stroke outcomes import")
    patients = patients_of(judged.columns, judged.outcome, judged.sha256, further)
    design = parent.design(patients.features)
    evidence = Evidence(judged.outcome, judged.log_odds, judged.site, design)
    kind = parent.manifest["model_type"]
    unfit = f"only models of `stroke model train` can be fitted anew, and this is: {kind}"
    update = plan(evidence, rules, site=site, unfit=unfit)
    if site is not None and update.shrinkage is None:
        own = evidence.site == site
        patients, evidence = patients.at(own), evidence.at(own)
    return Grounds(patients, evidence, update, rules.alpha, site)


def _made(
    parent: Parent,
    grounds: Grounds,
    settings: Settings,
    *,
    name: str,
    keep_bands: bool,
    replace: bool,
    dry_run: bool,
) -> dict[str, Any]:
    """Make and verify the new model, and write it unless ``dry_run``; return its manifest."""
    from stroke.adapters.training.artefact import (
        PROVENANCE,
        artefact_files,
        provenance,
    )
    from stroke.adapters.training.updating import steps, updated
    from stroke.container.audit import audited_where_there
    from stroke.container.models import write_model
    from stroke.container.updating import check_sound
    from stroke.domain.audit import AuditAction

    with steps_bar("cross-validating", steps(grounds.update)) as advance:
        graph, manifest = updated(
            parent, grounds, name=name, keep_bands=keep_bands, progress=advance
        )
    _verify(parent, graph, grounds, settings.model)
    if dry_run:
        return manifest
    files = artefact_files(graph, manifest)
    files[PROVENANCE] = provenance(
        "an update by outcomes", grounds.patients.sha256, parent.manifest["version"]
    )
    target = f"update {parent.manifest['version']} as {name}"
    with audited_where_there(settings.database, AuditAction.MODEL_CHANGE, target):
        write_model(
            settings.model,
            name,
            files,
            replace=replace,
            accept=partial(check_sound, settings.model),
        )
    return manifest


def _verify(parent: Parent, graph: bytes, grounds: Grounds, settings: ModelSettings) -> None:
    """Try the graph as an import is tried, and compare it with its parent row by row.

    Training compares a refit with what was fitted, so that it is only tried.
    """
    from stroke.adapters.training.updating import verify_parts, verify_probabilities
    from stroke.adapters.training.verification import trial_patients
    from stroke.application.predictions.trial_patients import TRIAL_PATIENTS
    from stroke.container.models import graph_trial
    from stroke.domain.model_update import Method
    from stroke.domain.patient import OPTIONAL

    companions = parent.manifest.get("companions") or ()
    missing = [n for n in OPTIONAL if any(n in each["missing"] for each in companions)]
    further = grounds.patients.further
    trial = graph_trial(settings)
    after = trial(graph, missing, further).probability
    if grounds.update.method is Method.REFIT:
        return
    before = trial(parent.graph, missing, further).probability
    patients = trial_patients(TRIAL_PATIENTS, missing, further)
    verify_probabilities(grounds.update.line, before, after, patients)
    verify_parts(parent.graph, graph, grounds.update.line, patients)
