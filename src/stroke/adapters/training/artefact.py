"""Writes model artefacts: all of a folder or nothing."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from stroke.domain.errors import InvalidData, InvalidSetting

GRAPH: Final = "model.onnx"
MANIFEST: Final = "manifest.json"
CARD: Final = "card.md"


def content_version(name: str, graph: bytes) -> tuple[str, str]:
    """Return the version of a model and its graph's sha256; the one is made of the other."""
    sha256 = hashlib.sha256(graph).hexdigest()
    return f"{name}-{sha256[:12]}", sha256


def library_versions(*names: str) -> dict[str, str]:
    """Return the installed versions of the libraries that made an artefact."""
    return {name: version(name) for name in names}


def artefact_files(graph: bytes, manifest: dict[str, Any]) -> dict[str, bytes]:
    """Return the files of an artefact by name."""
    return {
        GRAPH: graph,
        MANIFEST: (json.dumps(manifest, indent=2) + "\n").encode(),
        CARD: card(manifest).encode(),
    }


def write_artefact(folder: Path, files: dict[str, bytes], *, replace: bool) -> None:
    """Write ``files`` as the artefact ``folder``; a reader sees the old one or the new one.

    Raises ``InvalidData`` when the folder exists and ``replace`` is false, ``InvalidSetting``
    when it cannot be written.
    """
    if folder.exists() and not replace:
        raise InvalidData(f"{folder} exists already: choose another name, or --replace it")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as error:
        raise InvalidSetting(f"{folder.parent} cannot be written") from error
    try:
        for name, content in files.items():
            (made / name).write_bytes(content)
        made.chmod(0o755)
        old = made.with_name(made.name + ".old")
        if folder.exists():
            os.replace(folder, old)  # noqa: PTH105 - a rename of a folder, as below
        os.replace(made, folder)  # noqa: PTH105
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def card(manifest: dict[str, Any]) -> str:
    """Return the model card in Markdown: what a person should know before trusting the model."""
    bands = manifest["bands"]
    lines = [
        f"# {manifest['name']}",
        "",
        f"{manifest['model_type']}, version `{manifest['version']}`.",
        "",
        "**Intended use.** Decision support: the probability that a patient like this one has had",
        "a stroke, as the training data records it. Not a diagnosis, not a medical device.",
        "",
        f"**Bands.** Medium from {bands['medium']}, high from {bands['high']}, on its own scale.",
        "",
        *_training_lines(manifest.get("training")),
        *_metric_lines(manifest.get("metrics")),
    ]
    return "\n".join(lines)


def _training_lines(training: dict[str, Any] | None) -> list[str]:
    if not training:
        return ["**Training data.** Unknown: the model was imported.", ""]
    return [
        f"**Training data.** {training['rows']:,} patients, {training['strokes']:,} with a stroke,",
        f"{training['missing_bmi']:,} without a BMI (taken as the median). One data set: no",
        "claim is made for other populations; outcomes are not dated.",
        "",
    ]


def _metric_lines(metrics: dict[str, dict[str, float]] | None) -> list[str]:
    if not metrics:
        return ["**Metrics.** None: measure it (`stroke model evaluate`) before serving it.", ""]
    return [
        "**Cross-validated** (5 times 5-fold, patients not seen in training; 95 % bootstrap):",
        "",
        "| metric | value | interval |",
        "|---|---|---|",
        *(
            f"| {name} | {m['value']:.4f} | {m['low']:.4f} to {m['high']:.4f} |"
            for name, m in metrics.items()
        ),
        "",
        "ECE over 10 bins of equal count. A calibrated model has slope 1, intercept 0, O/E 1.",
        "",
    ]
