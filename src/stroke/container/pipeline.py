"""Composition root of the pipeline's commands; the service does not import it."""

from __future__ import annotations

from dependency_injector import containers, providers

from stroke.config import PipelineSettings


class PipelineContainer(containers.DeclarativeContainer):
    """Builds each part once, on first use, from ``settings``."""

    settings = providers.Dependency(instance_of=PipelineSettings)
