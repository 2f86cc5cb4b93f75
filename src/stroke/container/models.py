"""Composition of risk models: their store, their limits, and the trial before they are trusted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stroke.adapters.confined.process import ConfinedProcess, Limits
from stroke.adapters.onnx.graph import GraphLimits
from stroke.adapters.onnx.model import OnnxRiskModel, read_graph
from stroke.adapters.onnx.store import ModelStore
from stroke.adapters.onnx.trial import GraphTrial, Tried
from stroke.config import ModelSettings
from stroke.domain.errors import InvalidModel


def graph_limits(settings: ModelSettings) -> GraphLimits:
    """Return what a graph may take where it is served."""
    return GraphLimits(settings.max_file_bytes, settings.memory_bytes, settings.run_seconds)


def confined_process(settings: ModelSettings) -> ConfinedProcess:
    """Return what runs the processes of an import."""
    limits = Limits(
        settings.import_seconds,
        settings.import_memory_bytes,
        # Candidates and probabilities as JSON: several times the graph itself.
        8 * settings.max_file_bytes,
    )
    return ConfinedProcess(limits)


def graph_trial(settings: ModelSettings) -> GraphTrial:
    """Return what tries a graph in a process of its own."""
    return GraphTrial(confined_process(settings), graph_limits(settings))


def try_graph(
    settings: ModelSettings, path: Path, may_be_missing: Sequence[str] = ()
) -> tuple[bytes, Tried]:
    """Return the graph in the file ``path``, and what its trial found.

    Some of the patients that it is tried on lack what ``may_be_missing``. Raises ``ModelNotFound``
    or ``InvalidModel``.
    """
    content = read_graph(path, graph_limits(settings))
    return content, graph_trial(settings)(content, may_be_missing)


def model_store(settings: ModelSettings) -> ModelStore:
    """Return the store of models."""
    return ModelStore(settings.store)


def load_model(settings: ModelSettings, saved_model: str | None = None) -> OnnxRiskModel:
    """Return the model called ``saved_model``, by default the one that the settings name.

    An artefact's manifest vouches for its graph by its sha256: training and import wrote both
    after they had tried the graph. A bare ``.onnx`` file has no such word and is tried first.
    Raises ``ModelNotFound`` or ``InvalidModel``.
    """
    path = model_store(settings).locate(saved_model or settings.saved_model)
    if path.is_file():
        try:
            try_graph(settings, path)
        except InvalidModel as refusal:
            raise InvalidModel(f"{path}: {refusal}") from None
    return load_artefact(settings, path)


def load_artefact(settings: ModelSettings, path: Path) -> OnnxRiskModel:
    """Return the model at ``path`` untried. Raises ``ModelNotFound`` or ``InvalidModel``."""
    return OnnxRiskModel(path, graph_limits(settings))
