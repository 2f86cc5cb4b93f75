"""DriftService compares stored predictions with their model's training data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from stroke.application.predictions.ports import PredictionRepository
from stroke.domain.drift import BinCounts, Drift, drift
from stroke.domain.errors import InvalidModel
from stroke.domain.prediction import PredictionFilter, Span
from stroke.domain.risk import ModelDescription

_PAGE: Final = 1_000


@dataclass(frozen=True, slots=True)
class DriftReport:
    """The drift of one model's predictions within a window of time."""

    model_version: str
    within: PredictionFilter
    predictions: int
    drifts: tuple[Drift, ...]
    made: Span | None = None
    """When the first and the last of them were made; None without a prediction."""


class DriftService:
    """Reads predictions page by page, in constant memory."""

    def __init__(self, *, repository: PredictionRepository, served: ModelDescription) -> None:
        self._repository = repository
        self._served = served

    async def report(
        self, within: PredictionFilter, *, on_progress: Callable[[int], None] = lambda _: None
    ) -> DriftReport:
        """Return the drift of the served model's predictions within ``within``.

        Raises ``InvalidModel`` when its manifest holds nothing to compare with, and
        ``StoreUnavailable``.
        """
        references = self._served.histograms
        if not references:
            raise InvalidModel(
                f"the manifest of {self._served.version} has no histograms of its training data: "
                "train it again, or serve one that was trained by `stroke model train`"
            )
        within = replace(within, model_version=self._served.version)
        counts = {name: BinCounts.of(histogram) for name, histogram in references.items()}
        read, before = 0, None
        made: Span | None = None
        while page := await self._repository.page(within, limit=_PAGE, before=before):
            before = page[-1].id
            read += len(page)
            made = Span.over((record.timestamp for record in page), made)
            for name, histogram in references.items():
                counts[name].add(histogram, (getattr(record, name) for record in page))
            on_progress(read)
        found = tuple(
            drift(name, histogram, counts[name]) for name, histogram in references.items()
        )
        return DriftReport(self._served.version, within, read, found, made)


def beyond(report: DriftReport, *, threshold: float, minimum: int) -> list[str]:
    """Return what has drifted, by enough predictions."""
    return [each.feature for each in report.drifts if each.is_beyond(threshold, minimum)]
