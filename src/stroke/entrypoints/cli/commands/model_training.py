"""The commands of `stroke model` that need the training packages.

They alone name adapters: what trains and converts models is no part of the container, so that
the service cannot come to depend on it.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import typer

from stroke.domain.errors import InvalidModel, InvalidSetting
from stroke.domain.patient import OPTIONAL
from stroke.domain.risk import FULL
from stroke.entrypoints.cli.terminal.model_text import ModelPlace, print_metrics, steps_bar
from stroke.entrypoints.cli.terminal.options import AsJson
from stroke.entrypoints.cli.terminal.output import print_notes
from stroke.entrypoints.cli.terminal.said import say

if TYPE_CHECKING:
    from stroke.adapters.training.data import LabelledPatients
    from stroke.config import ModelSettings
    from stroke.domain.further import Further

SHIPPED_NAME: Final = "stroke-spline-lr"
_WORDS: Final = frozenset({"stop", "champion", "challenger"})
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")

Name = Annotated[str, typer.Option("--name", "-n", help="Name in the model store.")]
Replace = Annotated[bool, typer.Option(help="Replace a model of this name.")]
Data = Annotated[
    Path,
    typer.Option("--data", exists=True, dir_okay=False, help="CSV with the features and `stroke`."),
]


Features = Annotated[
    Path | None,
    typer.Option(
        exists=True,
        dir_okay=False,
        help="JSON file that declares the features that only this model takes.",
    ),
]


class _Known(NamedTuple):
    """What only the author of a pickle knows of it; in the order of ``Pickled``."""

    positive: str | None
    part: str | None
    preprocessor: Path | None
    python: str | None


def train(
    data: Data,
    name: Name = SHIPPED_NAME,
    output: Annotated[
        Path | None, typer.Option(help="Folder to write to, instead of the model store.")
    ] = None,
    replace: Replace = False,
    feature: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN",
            help="A further column that the model takes; say it for each of them.",
        ),
    ] = None,
    features: Features = None,
    as_json: AsJson = False,
) -> None:
    """Fit, cross-validate, export and verify a model; the same data give the same bytes.

    With --feature the model takes another column of the data, too: words as categories, numbers in
    the range that they have there. --features names a file that says what such columns hold.
    """
    needs_training_packages()
    from stroke.adapters.training.spline_regression import STEPS
    from stroke.adapters.training.trainer import train as fit_and_write
    from stroke.config import Settings
    from stroke.container.models import artefact_store, check_free, write_model

    settings = Settings.load().model
    # Now, and not after a minute's work.
    valid_name(name, output, trained=True)
    check_free(settings, name, replace=replace, output=output)
    with steps_bar("training", STEPS) as advance:
        manifest = fit_and_write(
            _labelled(data, _declared(features), feature or ()),
            partial(write_model, settings, name, replace=replace, output=output),
            name=name,
            progress=advance,
        )
    if as_json:
        typer.echo(json.dumps(manifest, indent=2))
    else:
        print_metrics(manifest["metrics"], f"{manifest['version']}, cross-validated")
        for each in manifest["companions"]:
            missing = " and ".join(each["missing"])
            print_metrics(each["metrics"], f"without {missing}, cross-validated")
        folder = output or f"{artefact_store(settings).place}/{name}"
        typer.echo(f"written to {folder}; serve it with SAVED_MODEL={output or name}")


def evaluate(data: Data, model: ModelPlace = None, as_json: AsJson = False) -> None:
    """Measure a model on labelled patients, with 95 % bootstrap intervals.

    Do not use the rows with which the model was trained: the figures would be too good. The
    manifest has cross-validated figures. Patients who lack a measurement are assessed by the
    model's companions; those who lack what it needs are left out.
    """
    needs_training_packages()
    import numpy as np

    from stroke.adapters.training.evaluation import BOOTSTRAP_SAMPLES
    from stroke.adapters.training.evaluation import evaluate as measure
    from stroke.config import Settings
    from stroke.container.models import load_model

    served = load_model(Settings.load().model, model)
    description = served.description
    labelled = _labelled(data, description.further)
    needed = [name for name in OPTIONAL if name not in description.may_be_missing]
    kept = labelled.who_have(needed)
    scores = served.score(kept.columns())
    counts = np.bincount(scores.variant, minlength=len(description.variants)).tolist()
    variants = {each.name: n for each, n in zip(description.variants, counts, strict=True) if n}
    with steps_bar("bootstrap", BOOTSTRAP_SAMPLES) as advance:
        metrics = measure(kept.outcome, [scores.probability], progress=advance)
    left_out = len(labelled) - len(kept)
    if as_json:
        summary = {"version": description.version, "rows": len(kept), "left_out": left_out}
        typer.echo(json.dumps({**summary, "variants": variants, "metrics": metrics}, indent=2))
        return
    print_metrics(metrics, f"{description.version} on {len(kept):,} patients")
    for name, count in variants.items():
        if name != FULL:
            typer.echo(f"{count:,} of them {name}")
    if left_out:
        typer.echo(f"{left_out:,} patients were left out: the model needs {' and '.join(needed)}")


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
    may_be_missing: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MEASUREMENT",
            help="Patients may lack it: bmi or avg_glucose_level; say it for each of them.",
        ),
    ] = None,
    features: Features = None,
    medium: Annotated[float, typer.Option(help="Where the medium band starts.")] = 0.3,
    high: Annotated[float, typer.Option(help="Where the high band starts.")] = 0.7,
    replace: Replace = False,
) -> None:
    """Import an ONNX graph, or a pickled scikit-learn model, into the model store.

    The model is tried in a process of its own on thousands of random and boundary patients. A
    pickle is converted first and compared with the original: a graph that differs by more than
    1e-6 is not written.

    With --may-be-missing the graph gets NaN for what a patient lacks. It is tried on such patients
    as well, and compared with the original: a model with an imputer can do this.

    A model that takes further features needs --features, which says what their values are.

    \b
    stroke model import best.onnx --name best
    stroke model import best.pkl --name best --trust-pickle --may-be-missing bmi
    """  # noqa: D301
    from stroke.adapters.training.artefact import (
        PROVENANCE,
        artefact_files,
        content_version,
        further_part,
        provenance,
    )
    from stroke.application.predictions.trial_patients import combinations_of
    from stroke.config import Settings
    from stroke.container.models import check_free, load_artefact, write_model

    if not 0 < medium < high < 1:
        raise InvalidSetting("bands need 0 < medium < high < 1")
    settings = Settings.load().model
    missing, further = _valid_missing(may_be_missing or []), _declared(features)
    check_free(settings, valid_name(name), replace=replace)  # now, and not after a minute's work
    if file.stat().st_size > settings.max_file_bytes:
        raise InvalidModel(
            f"{file.name} has {file.stat().st_size:,} bytes, more than the "
            f"{settings.max_file_bytes:,} that are allowed (STROKE_MODEL_MAX_FILE_BYTES)"
        )
    if file.suffix == ".onnx":
        content, made, said = _try_graph(file, settings, missing, further)
    else:
        known = _Known(positive_label, part, preprocessor, python)
        content, made, said = _convert(
            file, known, settings, missing, further, trusted=trust_pickle
        )
    version, sha256 = content_version(name, content)
    manifest = {
        "manifest_version": 1,
        "name": name,
        "version": version,
        "sha256": sha256,
        "bands": {"medium": medium, "high": high},
        **made,
        **_companions(combinations_of(missing), {"medium": medium, "high": high}),
        **further_part(further),
    }
    files = artefact_files(content, manifest)
    files[PROVENANCE] = provenance(
        "an imported file", hashlib.sha256(file.read_bytes()).hexdigest()
    )
    unsigned = settings.model_copy(
        update={"public_keys": None}
    )  # it can be signed once it is there
    accept = partial(load_artefact, unsigned)
    write_model(settings, name, files, replace=replace, accept=accept)
    typer.echo(f"{version}: {said}; serve it with SAVED_MODEL={name}")


def _try_graph(
    file: Path, settings: ModelSettings, missing: Sequence[str], further: Further
) -> tuple[bytes, dict[str, Any], str]:
    from stroke.container.models import try_graph

    with steps_bar("trying", 1) as advance:
        try:
            content, tried = try_graph(settings, file, missing, further)
        except InvalidModel as refusal:
            raise InvalidModel(f"{file.name}: {refusal}") from None
        advance()
    made = {"model_type": "imported ONNX graph", "libraries": {}, "features": list(tried.features)}
    return content, made, f"the graph keeps the contract for {len(tried.probability):,} patients"


def _convert(
    file: Path,
    known: _Known,
    settings: ModelSettings,
    missing: Sequence[str],
    further: Further,
    *,
    trusted: bool,
) -> tuple[bytes, dict[str, Any], str]:
    if not trusted:
        raise InvalidModel(
            f"{file.name} is not an .onnx graph. A pickle runs whatever code it carries when it is "
            "read: if you trust where it comes from, say --trust-pickle"
        )
    if known.python is None:
        needs_training_packages()
    say(f"{file.name} is unpickled now, which runs the code it carries", "warning")
    from stroke.adapters.training.importing import Pickled, import_pickle
    from stroke.container.models import confined_process, graph_trial

    trial = graph_trial(settings)
    with steps_bar("converting", 1) as advance:
        imported = import_pickle(
            Pickled(file, *known),
            run=confined_process(settings),
            score=lambda graph: trial(graph, missing, further).probability,
            may_be_missing=missing,
            further=further,
        )
        advance()
    for note in imported.notes:
        say(note, "note")
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


def _labelled(path: Path, further: Further = (), guessed: Sequence[str] = ()) -> LabelledPatients:
    from stroke.adapters.training.data import read_labelled
    from stroke.container.imports import labelled_rows

    own = [each.name for each in further]
    with labelled_rows(path, (*own, *guessed), own) as table:
        print_notes(table.notes)
        return read_labelled(path, table.rows, further, guessed)


def _declared(path: Path | None) -> Further:
    from stroke.container.models import declared_features

    return () if path is None else declared_features(path)


def _companions(
    gaps: Sequence[tuple[str, ...]], bands: dict[str, float]
) -> dict[str, list[dict[str, Any]]]:
    return {"companions": [{"missing": each, "bands": bands} for each in gaps]} if gaps else {}


def _valid_missing(names: Sequence[str]) -> tuple[str, ...]:
    strange = [name for name in names if name not in OPTIONAL]
    if strange:
        raise InvalidSetting(f"--may-be-missing is one of {', '.join(OPTIONAL)}")
    return tuple(name for name in OPTIONAL if name in names)


def valid_name(name: str, output: Path | None = None, *, trained: bool = False) -> str:
    """Return ``name`` if a new model can be called so. Raises ``InvalidSetting``.

    One that was ``trained``, as the shipped one was, may have the shipped model's name, and is what
    is served then: so the shipped one is made anew, or fitted to other data.
    """
    for each in (name, *([] if output is None else [output.resolve().name])):
        if each in _WORDS:
            raise InvalidSetting(
                f"a model cannot be called {each}: commands take that for a word of theirs"
            )
    if name == SHIPPED_NAME and not trained:
        raise InvalidSetting(
            f"{SHIPPED_NAME} is the name of the model that is part of the program: choose another"
        )
    if not _NAME.fullmatch(name):
        raise InvalidSetting(
            "a model's name has 1 to 40 letters, digits, dots, dashes, underscores"
        )
    return name


def needs_training_packages() -> None:
    """Raise ``InvalidSetting`` where the training packages are not installed."""
    if any(importlib.util.find_spec(name) is None for name in ("sklearn", "skl2onnx", "pandas")):
        raise InvalidSetting(
            "this needs the training packages, the extra train: "
            "pip install --require-hashes -r requirements/train.txt"
        )
