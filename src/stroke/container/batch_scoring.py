"""What Spark's workers score with. They import this module, so it imports only what they need."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from stroke.adapters.arrow.batches import BatchScoring
from stroke.adapters.onnx.graph import GraphLimits
from stroke.adapters.onnx.model import OnnxRiskModel
from stroke.adapters.spark_scoring.tasks import WorkerParts
from stroke.application.predictions.batch_scoring import BatchScorer, ScoringOptions
from stroke.application.predictions.columnar import ColumnarRiskModel


@dataclass(frozen=True, slots=True)
class ModelLoader:
    """Loads a model within ``limits``. Equal limits make equal loaders, pickled or not."""

    limits: GraphLimits

    def __call__(self, path: Path) -> ColumnarRiskModel:
        return OnnxRiskModel(path, self.limits)


def worker_parts(limits: GraphLimits) -> WorkerParts:
    """Return what loads a model on a worker, and what scores batches with it."""
    return WorkerParts(load=ModelLoader(limits), scorer=batch_scorer)


def batch_scorer(
    schema: pa.Schema, model: ColumnarRiskModel, options: ScoringOptions
) -> BatchScorer:
    """Return what scores batches of ``schema``.

    Raises ``InvalidData`` for a schema that has no patients.
    """
    return BatchScoring(schema, model, **options._asdict())
