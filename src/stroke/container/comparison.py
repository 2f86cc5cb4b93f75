"""What compares two models: on labelled data in a file, or on stored predictions with outcomes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

from stroke.adapters.scratch.files import FileScratch
from stroke.application.analyses.changes import not_events
from stroke.application.models.comparison import Comparison
from stroke.application.models.replay import ReplayOptions
from stroke.application.models.stored_rows import COLUMNS, batches_of
from stroke.application.quality.performance import Minimums
from stroke.container.imports import table_rows
from stroke.container.named_models import named_model
from stroke.container.replay import UNREADABLE, Progress, changes_of, outcomes_of
from stroke.container.service import Container
from stroke.domain.features import RAW_FEATURES
from stroke.domain.model_comparison import ComparisonReport
from stroke.domain.prediction import PredictionFilter
from stroke.domain.risk import ModelDescription

_AT_ONCE = 1 << 20


def compare(
    parts: Container,
    first: str,
    second: str,
    *,
    data: Path | None,
    source: str,
    within: PredictionFilter,
    minimums: Minimums,
    on_progress: Progress,
    on_group: Callable[[int], None],
    note: Callable[[str], object],
) -> ComparisonReport:
    """Compare the models called ``first`` and ``second``: see ``named_model``.

    With ``data``, on the rows of that file, which has a column ``stroke`` and may have a column
    ``site``; otherwise on stored predictions of ``source`` (see ``replay``) that have an outcome
    in the service's database. ``on_group`` gets how many groups of patients were compared after
    all were read. Raises ``ModelError``, ``InvalidData``, ``InvalidSetting``, ``ScratchFull`` and
    what the source raises. Not to be called from a running event loop.
    """
    models = [named_model(parts.settings(), name, note) for name in (first, second)]
    # By name: both may take the same feature.
    further = {each.name: each for model in models for each in model.description.further}
    known = outcomes_of(parts.settings().database, within) if data is None else None
    with closing(Comparison(models[0], models[1], FileScratch, known)) as comparison:
        if data is None:
            options = ReplayOptions(since=within.since, until=within.until)
            read = changes_of(source, options, with_data=bool(further)).read(with_name=False)
            comparison.run(read.rows, lambda rows: on_progress(rows, read.total))
            if skipped := not_events(read.position()):
                note(skipped)
            return comparison.report(minimums, on_group=on_group)
        columns, needed = (*COLUMNS, "site", *further), (*RAW_FEATURES, "stroke")
        with table_rows(data, columns, needed, further) as file:
            unreadable = partial(comparison.pass_over, UNREADABLE)
            own = tuple(further.values())
            batches = batches_of(file.rows, unreadable, own, with_site=True)
            comparison.run(batches, lambda _: on_progress(file.position(), file.size))
            for said in file.notes:
                note(said)
        sha256 = sha256_of(data)
        learned = [
            each.description.version for each in models if sha256 in learned_from(each.description)
        ]
        return comparison.report(minimums, learned, on_group)


def learned_from(model: ModelDescription) -> frozenset[str]:
    """Return the sha256 of the data that a model was trained on, and updated by."""
    known = (
        model.training.get("sha256"),
        model.population.get("updated", {}).get("data_sha256"),
    )
    return frozenset(each for each in known if each is not None)


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_AT_ONCE):
            digest.update(piece)
    return digest.hexdigest()
