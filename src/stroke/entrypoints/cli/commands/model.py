"""`stroke model`: train, import, inspect and verify model artefacts."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from stroke.domain.errors import InvalidModel
from stroke.entrypoints.cli.commands import (
    model_agreement,
    model_compare,
    model_deployment,
    model_replay,
    model_training,
    model_update,
)
from stroke.entrypoints.cli.terminal.model_text import ModelPlace, print_metrics
from stroke.entrypoints.cli.terminal.options import AsJson
from stroke.entrypoints.cli.terminal.output import print_table
from stroke.entrypoints.cli.terminal.said import say

app = typer.Typer(help="Train, import, inspect and verify models.", no_args_is_help=True)
app.command(epilog="Example: stroke model train --data healthcare-dataset-stroke-data.csv -n mine")(
    model_training.train
)
app.command(epilog="Example: stroke model evaluate --data labelled.csv --model mine --json")(
    model_training.evaluate
)
app.command("import", epilog="Example: stroke model import best.pkl --name best --trust-pickle")(
    model_training.import_model
)

app.command()(model_deployment.status)
app.command()(model_deployment.promote)
app.command()(model_deployment.rollback)
app.command()(model_deployment.canary)
app.command()(model_deployment.shadow)
app.command()(model_agreement.agreement)
app.command()(model_replay.replay)
app.command()(model_compare.compare)
app.command()(model_update.update)


@app.command(epilog="Example: stroke model show --model mine --json")
def show(model: ModelPlace = None, as_json: AsJson = False) -> None:
    """Show what a model is: version, features, bands, metrics, training data."""
    from stroke.config import Settings
    from stroke.container.models import load_model

    served = load_model(Settings.load().model, model)
    manifest = served.manifest
    if as_json:
        typer.echo(manifest.model_dump_json(indent=2))
        return
    for label, value in (
        ("version", manifest.version),
        ("type", manifest.model_type),
        ("sha256", manifest.sha256),
        ("features", ", ".join(manifest.features)),
        ("bands", f"Medium from {manifest.bands.medium}, High from {manifest.bands.high}"),
        ("training", ", ".join(f"{k} {v}" for k, v in manifest.training.items()) or "unknown"),
    ):
        typer.echo(f"{label + ':':<10} {value}")
    if manifest.metrics:
        print_metrics(
            {name: metric.model_dump() for name, metric in manifest.metrics.items()}, "metrics"
        )
    for companion in served.description.companions:
        bands = f"Medium from {companion.bands.medium}, High from {companion.bands.high}"
        typer.echo(f"\n{companion.name}: {bands}")
        if (a := companion.accuracy) is not None:
            typer.echo(
                f"loses {a.auc_lost:.4f} of the AUC on the same {a.patients:,} patients "
                f"({a.auc_lost_low:.4f} to {a.auc_lost_high:.4f})"
            )
        if companion.metrics:
            print_metrics(dict(companion.metrics), f"metrics {companion.name}")


class CardFormat(StrEnum):
    """How a card is written."""

    MARKDOWN = "md"
    HTML = "html"
    JSON = "json"
    XML = "xml"


@app.command(epilog="Example: stroke model card --model mine --format html > card.html")
def card(
    model: ModelPlace = None,
    *,
    form: Annotated[
        CardFormat | None,
        typer.Option(
            "--format",
            help="Markdown, an HTML page, JSON, or XML in CHAI's form.",
            show_default=CardFormat.MARKDOWN,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print a model's card: what it is, HTI-1's 31 source attributes, the TRIPOD+AI checklist.

    Each is answered from the artefact, or said to be open. A card is no certification. --json is
    short for --format json. XML has the form of CHAI's Applied Model Card.
    """
    from stroke.application.models.applied_card import as_applied_card
    from stroke.application.models.card import as_markdown, card_of
    from stroke.config import Settings
    from stroke.container.cards import card_page
    from stroke.container.models import load_model

    if as_json and form not in {None, CardFormat.JSON}:
        raise typer.BadParameter("--json is --format json: give one of them")
    made = card_of(load_model(Settings.load().model, model).description)
    match CardFormat.JSON if as_json else form:
        case CardFormat.JSON:
            typer.echo(json.dumps(asdict(made)))
        case CardFormat.HTML:
            typer.echo(card_page(made), nl=False)
        case CardFormat.XML:
            typer.echo(as_applied_card(made), nl=False)
        case _:
            typer.echo(as_markdown(made), nl=False)


@app.command(epilog="Example: stroke model verify --model mine && deploy")
def verify(model: ModelPlace = None, as_json: AsJson = False) -> None:
    """Check a model's checksum, interface and contributions; exit code 1 if one is wrong.

    The same simulated patients are scored as they are, and by each companion without what it may
    lack.
    """
    from stroke.application.predictions.soundness import TOLERANCE, soundness
    from stroke.config import Settings
    from stroke.container.models import load_model
    from stroke.container.simulation import verification_patients

    served = load_model(Settings.load().model, model)  # checks the sum, the inputs, the outputs
    version = served.description.version
    found = soundness(served, verification_patients(served.description.further))
    if as_json:
        report = {"version": version, "sound": found.is_sound, "largest_gap": found.largest_gap}
        counts = {"patients": found.patients, "variants": list(found.variants)}
        typer.echo(json.dumps(report | counts))
    if not found.is_sound:
        raise InvalidModel(
            f"contributions miss the logit by {found.largest_gap:.3g} (allowed {TOLERANCE:g})"
        )
    if not as_json:
        typer.echo(
            f"{version}: checksum and contract hold; contributions sum to the logit within "
            f"{found.largest_gap:.1e} over {found.patients:,} patients{_by(len(found.variants))}"
        )


def _by(variants: int) -> str:
    return "" if variants == 1 else f", scored by each of {variants} variants"


@app.command("list", epilog="Example: stroke model list --long")
def list_models(
    *,
    long: Annotated[
        bool, typer.Option("--long", help="Also version, origin and signature of each.")
    ] = False,
    archived: Annotated[
        bool, typer.Option("--archived", help="With --long: also versions without a name.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the names that SAVED_MODEL can take."""
    from stroke.config import Settings
    from stroke.container.models import folder_that_is_not_there, listed_models, model_store

    settings = Settings.load().model
    if (place := folder_that_is_not_there(settings)) is not None:
        text = f"the model store {place} is not there: the program's own model is all there is"
        say(text, "note")
    if not long:
        names = model_store(settings).names()
        typer.echo(json.dumps(names) if as_json else "\n".join(names))
        return
    found = listed_models(settings, archived=archived)
    if as_json:
        typer.echo(json.dumps([asdict(each) for each in found], default=datetime.isoformat))
        return
    from rich.table import Table

    table = Table("name", "version", "made", "by", "stroke", "data (sha256)", "signed by")
    for each in found:
        made = "" if each.made_at is None else f"{each.made_at:%Y-%m-%d %H:%M}"
        table.add_row(
            each.name or "(archived)",
            each.version,
            made,
            each.made_by,
            each.stroke_version,
            (each.data_sha256 or "")[:12],
            each.signed_by,
        )
    print_table(table)


@app.command(epilog="Example: stroke model sign mine --key private.pem")
def sign(
    name: Annotated[str, typer.Argument(help="A name or a version in the store.")],
    *,
    key: Annotated[
        Path,
        typer.Option(metavar="FILE", exists=True, dir_okay=False, help="A private Ed25519 key."),
    ],
    as_json: AsJson = False,
) -> None:
    """Sign a model, so that a service with STROKE_MODEL_PUBLIC_KEYS loads it.

    The key is a PEM file without a password: openssl genpkey -algorithm ed25519 -out private.pem
    makes one, and openssl pkey -in private.pem -pubout gives the public one.
    """
    from stroke.config import Settings
    from stroke.container.audit import audited_where_there
    from stroke.container.models import sign_model
    from stroke.domain.audit import AuditAction

    settings = Settings.load()
    with audited_where_there(settings.database, AuditAction.MODEL_CHANGE, f"sign {name}"):
        version, signer = sign_model(settings.model, name, key)
    if as_json:
        typer.echo(json.dumps({"version": version, "signed_by": signer}))
    else:
        typer.echo(f"{version} is signed by {signer}")


@app.command(epilog="Example: stroke model archive old --json")
def archive(
    name: Annotated[str, typer.Argument(help="A name in the store.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Give a model's name up. The model stays in the archive, and is loaded by its version."""
    from stroke.config import Settings
    from stroke.container.audit import audited_where_there
    from stroke.container.models import archive_model
    from stroke.domain.audit import AuditAction

    settings = Settings.load()
    with audited_where_there(settings.database, AuditAction.MODEL_CHANGE, f"archive {name}"):
        version = archive_model(settings.model, name)
    if as_json:
        typer.echo(json.dumps({"archived": name, "version": version}))
    else:
        typer.echo(f"{name} is archived; its version is {version}")
