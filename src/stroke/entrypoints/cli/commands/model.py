"""`stroke model`: train, import, inspect and verify model artefacts."""

from __future__ import annotations

import json

import typer

from stroke.domain.errors import InvalidModel
from stroke.entrypoints.cli.commands import model_compare, model_replay, model_training
from stroke.entrypoints.cli.terminal.model_text import ModelPlace, print_metrics
from stroke.entrypoints.cli.terminal.options import AsJson

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

app.command()(model_replay.replay)
app.command()(model_compare.compare)


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
    found = soundness(served, verification_patients())
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


@app.command("list", epilog="Example: stroke model list --json")
def list_models(as_json: AsJson = False) -> None:
    """List the names that SAVED_MODEL can take."""
    from stroke.config import Settings
    from stroke.container.models import model_store

    names = model_store(Settings.load().model).names()
    typer.echo(json.dumps(names) if as_json else "\n".join(names))
