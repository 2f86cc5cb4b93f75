"""What an update of a model is made of: its parent, and the patients with a known outcome."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from stroke.adapters.onnx.manifest import GRAPH
from stroke.adapters.onnx.model import OnnxRiskModel, read_graph
from stroke.application.models.judged import JudgedPatients, RowsWithOutcome, gathered
from stroke.application.models.recalibration import Rules
from stroke.application.models.replay import ReplayOptions
from stroke.application.models.stored_rows import COLUMNS, batches_of
from stroke.application.predictions.soundness import TOLERANCE, soundness
from stroke.config import ModelSettings, UpdateSettings
from stroke.container.comparison import learned_from, sha256_of
from stroke.container.imports import table_rows
from stroke.container.models import graph_limits, load_artefact, load_model, model_store
from stroke.container.replay import UNREADABLE, Progress, changes_of, outcomes_of
from stroke.container.service import Container
from stroke.container.simulation import verification_patients
from stroke.domain.errors import InvalidModel
from stroke.domain.features import RAW_FEATURES
from stroke.domain.prediction import PredictionFilter


class ParentModel(NamedTuple):
    """A model to update, and the bytes of its graph."""

    served: OnnxRiskModel
    graph: bytes


def parent_model(settings: ModelSettings, name: str | None) -> ParentModel:
    """Return the model called ``name``, by default the one that the settings name.

    Raises ``ModelNotFound`` or ``InvalidModel``.
    """
    served = load_model(settings, name)
    path = model_store(settings).locate(name or settings.saved_model)
    content = read_graph(path / GRAPH if path.is_dir() else path, graph_limits(settings))
    if hashlib.sha256(content).hexdigest() != served.description.sha256:
        raise InvalidModel(f"{path} was replaced while it was read: run it again")
    return ParentModel(served, content)


def rules_of(settings: UpdateSettings) -> Rules:
    """Return when a model is changed, and how far."""
    return Rules(settings.alpha, settings.min_events, settings.events_per_coefficient)


def judged_patients(
    parts: Container,
    parent: OnnxRiskModel,
    *,
    data: Path | None,
    source: str,
    within: PredictionFilter,
    on_progress: Progress,
    note: Callable[[str], object],
) -> JudgedPatients:
    """Return the patients with a known outcome whom ``parent`` can score.

    With ``data``, those of that file, which has a column ``stroke`` and may have a column ``site``;
    otherwise stored predictions of ``source`` (see ``replay``) that have an outcome in the
    service's database. Raises ``InvalidData``, ``InvalidSetting`` and what the source raises. Not
    to be called from a running event loop.
    """
    further = parent.description.further
    if data is None:
        rows = RowsWithOutcome([parent.description], outcomes_of(parts.settings().database, within))
        options = ReplayOptions(since=within.since, until=within.until)
        read = changes_of(source, options, with_data=bool(further)).read(with_name=False)
        return gathered(rows, read.rows, parent, lambda done: on_progress(done, read.total))
    rows = RowsWithOutcome([parent.description])
    sha256 = sha256_of(data)
    if sha256 in learned_from(parent.description):
        note("the model has learned from these very data: they say nothing new of it")
    own = [each.name for each in further]
    known, needed = (*COLUMNS, "site", *own), (*RAW_FEATURES, "stroke")
    with table_rows(data, known, needed, own) as file:

        def unreadable() -> None:
            rows.passed_over[UNREADABLE] += 1

        batches = batches_of(file.rows, unreadable, further, with_site=True)
        found = gathered(rows, batches, parent, lambda _: on_progress(file.position(), file.size))
        for said in file.notes:
            note(said)
    return replace(found, sha256=sha256)


def check_sound(settings: ModelSettings, folder: Path) -> None:
    """Raise ``InvalidModel`` unless the artefact in ``folder`` can be served and is sound.

    It may be unsigned: it can be signed once it is in the store.
    """
    unsigned = settings.model_copy(update={"public_keys": None})
    model = load_artefact(unsigned, folder)
    found = soundness(model, verification_patients(model.description.further))
    if not found.is_sound:
        raise InvalidModel(
            f"the contributions miss the logit by {found.largest_gap:.3g} (allowed {TOLERANCE:g})"
        )
