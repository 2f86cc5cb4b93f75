"""Cards of models: of the served one, and of those in the model store."""

from __future__ import annotations

from collections.abc import Callable

from stroke.adapters.report.model_card import render
from stroke.application.models.card import ModelCard, card_of
from stroke.config import ModelSettings
from stroke.container.models import describe_version
from stroke.domain.risk import ModelDescription


class ModelCards:
    """Finds cards by the version of a model; ``served`` returns the one that is served now."""

    def __init__(self, served: Callable[[], ModelDescription], settings: ModelSettings) -> None:
        self._served = served
        self._settings = settings

    def of(self, version: str) -> ModelCard:
        """Return the card of a version. It may read files. Raises ``ModelNotFound``."""
        served = self._served()
        if version == served.version:
            return card_of(served)
        return card_of(describe_version(self._settings, version))


card_page: Callable[[ModelCard], str] = render
"""Returns a card as one HTML page that needs nothing else."""
