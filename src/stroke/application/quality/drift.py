"""DriftService compares stored predictions with their model's training data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from stroke.application.predictions.ports import PredictionRepository
from stroke.domain.drift import WATCHED, BinCounts, Drift, ReferenceHistogram, drift
from stroke.domain.errors import InvalidModel
from stroke.domain.prediction import PredictionFilter, PredictionRecord, Span
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
                counts[name].add(histogram, (watched(record, name, histogram) for record in page))
            on_progress(read)
        found = tuple(
            drift(name, histogram, counts[name]) for name, histogram in references.items()
        )
        return DriftReport(self._served.version, within, read, found, made)


def watched(record: PredictionRecord, name: str, histogram: ReferenceHistogram) -> Any:
    """Return what a stored prediction has of a feature: in a column, or of only its model's.

    An imported row may hold anything there: what has no place in the histogram counts as missing.
    """
    if name in WATCHED:
        return getattr(record, name)
    data = record.prediction_data
    value = data.get(name) if isinstance(data, Mapping) else None
    kinds = (int, float, str) if histogram.labels else (int, float)
    return value if isinstance(value, kinds) else None


def beyond(report: DriftReport, *, threshold: float, minimum: int) -> list[str]:
    """Return what has drifted, by enough predictions."""
    return [each.feature for each in report.drifts if each.is_beyond(threshold, minimum)]
