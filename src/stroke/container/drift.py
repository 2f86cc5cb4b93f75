"""Composition root of the drift report."""

from __future__ import annotations

from dependency_injector import providers

from stroke.application.quality.drift import DriftService
from stroke.container.service import Container


class DriftContainer(Container):
    """The service's parts, and what reads its predictions."""

    drift = providers.Singleton(
        DriftService, repository=Container.repository, served=Container.served
    )
