"""`stroke model`: train, import, inspect and verify model artefacts."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import typer

from stroke.domain.errors import InvalidModel, InvalidSetting
from stroke.domain.features import RAW_FEATURES, TEXT_FEATURES
from stroke.domain.patient import OPTIONAL
from stroke.domain.risk import FULL
from stroke.entrypoints.cli.terminal.output import progress

if TYPE_CHECKING:
    from stroke.adapters.onnx.model import OnnxRiskModel
    from stroke.adapters.onnx.store import ModelStore
    from stroke.config import ModelSettings

app = typer.Typer(help="Train, import, inspect and verify models.", no_args_is_help=True)

_VERIFY_PATIENTS: Final = 5_000
_TOLERANCE: Final = 1e-9
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")


class _Known(NamedTuple):
    """What only the author of a pickle knows of it; in the order of ``Pickled``."""

    positive: str | None
    part: str | None
    preprocessor: Path | None
    python: str | None


Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        help="A name in the store, a folder or an .onnx file.",
        show_default="the served",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for a script.")]
Name = Annotated[str, typer.Option("--name", "-n", help="Name in the model store.")]
Replace = Annotated[bool, typer.Option(help="Replace a model of this name.")]
Data = Annotated[
    Path,
    typer.Option("--data", exists=True, dir_okay=False, help="CSV with the features and `stroke`."),
]


@app.command(epilog="Example: stroke model train --data healthcare-dataset-stroke-data.csv -n mine")
def train(
    data: Data,
    name: Name = "stroke-spline-lr",
    output: Annotated[
        Path | None, typer.Option(help="Folder to write to, instead of the model store.")
    ] = None,
    replace: Replace = False,
    as_json: Json = False,
) -> None:
    """Fit, cross-validate, export and verify a model; the same data give the same bytes."""
    _needs_training_packages()
    from stroke.adapters.training.data import read_csv
    from stroke.adapters.training.spline_regression import STEPS
    from stroke.adapters.training.trainer import train as fit_and_write

    folder = output or _store().folder / _valid_name(name)
    with _steps("training", STEPS) as advance:
        manifest = fit_and_write(
            read_csv(data), folder, name=_valid_name(name), replace=replace, progress=advance
        )
    if as_json:
        typer.echo(json.dumps(manifest, indent=2))
    else:
        _print_metrics(manifest["metrics"], f"{manifest['version']}, cross-validated")
        for each in manifest["companions"]:
            missing = " and ".join(each["missing"])
            _print_metrics(each["metrics"], f"without {missing}, cross-validated")
        typer.echo(f"written to {folder}; serve it with SAVED_MODEL={output or name}")


@app.command(epilog="Example: stroke model evaluate --data labelled.csv --model mine --json")
def evaluate(data: Data, model: Model = None, as_json: Json = False) -> None:
    """Measure a model on labelled patients, with 95 % bootstrap intervals.

    Do not use the rows with which the model was trained: the figures would be too good. The
    manifest has cross-validated figures. Patients who lack a measurement are assessed by the
    model's companions; those who lack what it needs are left out.
    """
    _needs_training_packages()
    import numpy as np

    from stroke.adapters.training.data import read_csv
    from stroke.adapters.training.evaluation import BOOTSTRAP_SAMPLES
    from stroke.adapters.training.evaluation import evaluate as measure

    served, labelled = _load(model), read_csv(data)
    told = served.description
    needed = [name for name in OPTIONAL if name not in told.may_be_missing]
    kept = labelled.features[needed].notna().all(axis=1).to_numpy()
    columns = {
        name: labelled.features[name].to_numpy(object if name in TEXT_FEATURES else np.float64)[
            kept
        ]
        for name in RAW_FEATURES
    }
    scores = served.score(columns)
    counts = np.bincount(scores.variant, minlength=len(told.variants)).tolist()
    variants = {each.name: n for each, n in zip(told.variants, counts, strict=True) if n}
    with _steps("bootstrap", BOOTSTRAP_SAMPLES) as advance:
        metrics = measure(labelled.outcome[kept], [scores.probability], progress=advance)
    left_out = len(labelled) - int(kept.sum())
    if as_json:
        summary = {"version": told.version, "rows": int(kept.sum()), "left_out": left_out}
        typer.echo(json.dumps({**summary, "variants": variants, "metrics": metrics}, indent=2))
        return
    _print_metrics(metrics, f"{told.version} on {int(kept.sum()):,} patients")
    for name, count in variants.items():
        if name != FULL:
            typer.echo(f"{count:,} of them {name}")
    if left_out:
        typer.echo(f"{left_out:,} patients were left out: the model needs {' and '.join(needed)}")


@app.command(epilog="Example: stroke model show --model mine --json")
def show(model: Model = None, as_json: Json = False) -> None:
    """Show what a model is: version, features, bands, metrics, training data."""
    served = _load(model)
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
        _print_metrics(
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
            _print_metrics(dict(companion.metrics), f"metrics {companion.name}")


@app.command(epilog="Example: stroke model verify --model mine && deploy")
def verify(model: Model = None, as_json: Json = False) -> None:
    """Check a model's checksum, interface and contributions; exit code 1 if one is wrong.

    The same simulated patients are scored as they are, and by each companion without what it may
    lack.
    """
    import numpy as np

    from stroke.adapters.simulation.patients import simulate
    from stroke.application.predictions.probes import extreme_patients

    served = _load(model)  # checks the sum, the inputs, the outputs
    [simulated] = simulate(_VERIFY_PATIENTS, seed=0, at_a_time=_VERIFY_PATIENTS)
    extremes = extreme_patients()
    columns = {
        name: np.concatenate(
            [np.array(simulated[name].values, values.dtype)[simulated[name].index], values]
        )
        for name, values in extremes.items()
    }
    patients = len(columns["age"])
    variants, gap, finite = served.description.variants, 0.0, True
    for variant in variants:
        gaps = dict.fromkeys(variant.missing, np.full(patients, np.nan))
        scores = served.score(columns | gaps)
        clipped = np.clip(scores.probability, 1e-12, 1 - 1e-12)
        log_odds = np.log(clipped) - np.log1p(-clipped)
        summed = scores.log_odds.sum(axis=1) + scores.baseline_log_odds
        gap = max(gap, float(np.abs(summed - log_odds).max()))
        finite = finite and bool(np.isfinite(scores.probability).all())
    sound = finite and gap <= _TOLERANCE
    if as_json:
        report = {"version": served.description.version, "sound": sound, "largest_gap": gap}
        told = {"patients": patients, "variants": [variant.name for variant in variants]}
        typer.echo(json.dumps(report | told))
    if not sound:
        raise InvalidModel(f"contributions miss the logit by {gap:.3g} (allowed {_TOLERANCE:g})")
    if not as_json:
        typer.echo(
            f"{served.description.version}: checksum and contract hold; contributions sum to the "
            f"logit within {gap:.1e} over {patients:,} patients{_by(len(variants))}"
        )


def _by(variants: int) -> str:
    return "" if variants == 1 else f", scored by each of {variants} variants"


@app.command("import", epilog="Example: stroke model import best.pkl --name best --trust-pickle")
def import_model(
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="ONNX graph or pickle.")
    ],
    name: Name,
    trust_pickle: Annotated[
        bool, typer.Option(help="Allow to unpickle FILE, which runs any code in it.")
    ] = False,
    python: Annotated[
        str | None,
        typer.Option(help="Python interpreter that has the libraries that the pickle needs."),
    ] = None,
    positive_label: Annotated[
        str | None, typer.Option(help="The class that is a stroke, if its name does not say so.")
    ] = None,
    part: Annotated[
        str | None, typer.Option(help="Name of the model in a pickle that holds several.")
    ] = None,
    preprocessor: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Pickle with the steps before the model."),
    ] = None,
    medium: Annotated[float, typer.Option(help="Where the medium band starts.")] = 0.3,
    high: Annotated[float, typer.Option(help="Where the high band starts.")] = 0.7,
    replace: Replace = False,
) -> None:
    """Import an ONNX graph, or a pickled scikit-learn model, into the model store.

    The model is tried in a process of its own on thousands of random and boundary patients. A
    pickle is converted first and compared with the original: a graph that differs by more than
    1e-6 is not written.
    """
    from stroke.adapters.onnx.model import OnnxRiskModel
    from stroke.adapters.training.artefact import (
        artefact_files,
        check_free,
        content_version,
        write_artefact,
    )
    from stroke.config import Settings
    from stroke.container.models import graph_limits

    if not 0 < medium < high < 1:
        raise InvalidSetting("bands need 0 < medium < high < 1")
    settings = Settings.load().model
    folder = _store().folder / _valid_name(name)
    check_free(folder, replace=replace)  # now, and not after a minute's work
    if file.stat().st_size > settings.max_file_bytes:
        raise InvalidModel(
            f"{file.name} has {file.stat().st_size:,} bytes, more than the "
            f"{settings.max_file_bytes:,} that are allowed (STROKE_MODEL_MAX_FILE_BYTES)"
        )
    if file.suffix == ".onnx":
        content, made, said = _try_graph(file, settings)
    else:
        known = _Known(positive_label, part, preprocessor, python)
        content, made, said = _convert(file, known, settings, trusted=trust_pickle)
    version, sha256 = content_version(name, content)
    limits = graph_limits(settings)
    manifest = {
        "manifest_version": 1,
        "name": name,
        "version": version,
        "sha256": sha256,
        "bands": {"medium": medium, "high": high},
        **made,
    }
    files = artefact_files(content, manifest)
    write_artefact(folder, files, replace=replace, accept=lambda made: OnnxRiskModel(made, limits))
    typer.echo(f"{version}: {said}; serve it with SAVED_MODEL={name}")


@app.command("list", epilog="Example: stroke model list --json")
def list_models(as_json: Json = False) -> None:
    """List the names that SAVED_MODEL can take."""
    names = _store().names()
    typer.echo(json.dumps(names) if as_json else "\n".join(names))


def _try_graph(file: Path, settings: ModelSettings) -> tuple[bytes, dict[str, Any], str]:
    from stroke.adapters.onnx.model import read_graph
    from stroke.container.models import graph_limits, graph_trial

    content = read_graph(file, graph_limits(settings))
    with _steps("trying", 1) as advance:
        try:
            tried = graph_trial(settings)(content)
        except InvalidModel as refusal:
            raise InvalidModel(f"{file.name}: {refusal}") from None
        advance()
    made = {"model_type": "imported ONNX graph", "libraries": {}, "features": list(tried.features)}
    return content, made, f"the graph keeps the contract for {len(tried.probability):,} patients"


def _convert(
    file: Path, known: _Known, settings: ModelSettings, *, trusted: bool
) -> tuple[bytes, dict[str, Any], str]:
    if not trusted:
        raise InvalidModel(
            f"{file.name} is not an .onnx graph. A pickle runs whatever code it carries when it is "
            "read: if you trust where it comes from, say --trust-pickle"
        )
    if known.python is None:
        _needs_training_packages()
    typer.echo(f"warning: {file.name} is unpickled now, which runs the code it carries", err=True)
    from stroke.adapters.training.importing import Pickled, import_pickle
    from stroke.container.models import confined_process, graph_trial

    trial = graph_trial(settings)
    with _steps("converting", 1) as advance:
        imported = import_pickle(
            Pickled(file, *known),
            run=confined_process(settings),
            score=lambda graph: trial(graph).probability,
        )
        advance()
    for note in imported.notes:
        typer.echo(f"note: {note}", err=True)
    said = (
        f"differs from the original by {imported.difference:.1e} at the most "
        f"over {imported.patients:,} patients"
    )
    made = {
        "model_type": imported.model_type,
        "libraries": imported.libraries,
        "features": list(imported.features),
    }
    return imported.graph, made, said


def _store() -> ModelStore:
    from stroke.adapters.onnx.store import ModelStore
    from stroke.config import Settings

    return ModelStore(Settings.load().model.store)


def _load(model: str | None) -> OnnxRiskModel:
    from stroke.config import Settings
    from stroke.container.models import load_model

    return load_model(Settings.load().model, model)


def _valid_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise InvalidSetting(
            "a model's name has 1 to 40 letters, digits, dots, dashes, underscores"
        )
    return name


def _needs_training_packages() -> None:
    if any(importlib.util.find_spec(name) is None for name in ("sklearn", "skl2onnx", "pandas")):
        raise InvalidSetting(
            "this needs the training packages: "
            "pip install --require-hashes -r requirements/train.txt"
        )


@contextmanager
def _steps(title: str, steps: int) -> Iterator[Callable[[], None]]:
    """Show a bar of ``steps``; yield what moves it on by one."""
    with progress() as display:
        task = display.add_task(title, total=steps)
        yield lambda: display.advance(task)


def _print_metrics(metrics: dict[str, dict[str, float]], title: str) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("metric", "value", "95 % interval", title=title, title_justify="left")
    for name, metric in metrics.items():
        interval = f"{metric['low']:.4f} to {metric['high']:.4f}"
        table.add_row(name, f"{metric['value']:.4f}", interval)
    Console().print(table)
