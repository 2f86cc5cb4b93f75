"""Scoring of files on Spark."""

from __future__ import annotations

from typing import Any

from stroke.adapters.spark.bucket import address_for_spark
from stroke.adapters.spark_scoring.files import score_files
from stroke.config import PipelineSettings
from stroke.container.batch_scoring import worker_parts
from stroke.container.models import graph_limits, model_store
from stroke.container.service import Container
from stroke.container.spark import s3_session


def score_on_spark(
    parts: Container,
    settings: PipelineSettings,
    source: str,
    output: str,
    *,
    rejects: str | None,
    contributions: bool,
    variants: bool,
    context: bool,
    master: str | None,
) -> dict[str, Any]:
    """Score the files at ``source`` into ``output`` with the model that ``parts`` serve.

    All three addresses are folders, files or ``s3://`` prefixes; ``rejects`` is by default next to
    ``output``. Returns what was done. Raises ``InvalidData``, ``InvalidSetting`` and
    ``ModelError``.
    """
    models = parts.settings().model
    parts.model()  # a bare graph is tried before it is sent to the workers
    output = output.rstrip("/")
    with s3_session(settings, "stroke score", master=master) as session:
        return score_files(
            session,
            address_for_spark(source),
            address_for_spark(output),
            rejects=address_for_spark(rejects or f"{output}.rejects"),
            model=model_store(models).locate(models.saved_model),
            parts=worker_parts(graph_limits(models)),
            contributions=contributions,
            variants=variants,
            context=context,
        )
