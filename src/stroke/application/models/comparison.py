"""Comparison of two models on patients with a known outcome, who are scored by both."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

import pyarrow as pa

from stroke.application.models.columns import Features, as_the_model_takes, with_progress
from stroke.application.models.ids import KnownOutcomes
from stroke.application.models.judged import RowsWithOutcome
from stroke.application.models.kept_pairs import Answers, KeptPairs, LevelOfPairs
from stroke.application.models.paired import measured_pair
from stroke.application.models.ports import NewScratch
from stroke.application.predictions.columnar import ColumnarRiskModel
from stroke.application.quality.fairness import Level
from stroke.application.quality.performance import Minimums, gaps
from stroke.application.quality.sums import Sums
from stroke.domain.model_comparison import ComparisonReport, GroupComparison
from stroke.domain.performance import ALL

_THRESHOLDS: Final = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3)
# Found in 80 % of samples at 5 %: the normal quantiles of 0.975 and 0.8 together.
_POWERFUL: Final = 1.959963984540054 + 0.8416212335729143


class Comparison:
    """Takes batches of patients, and keeps what both models say, outside memory.

    ``known`` are outcomes by the rows' ids. A column ``stroke`` in the batches is taken instead.
    Memory does not grow with the patients, but for what is known of ids and outcomes. ``take``,
    ``run`` and ``report`` raise ``ScratchFull``. Close it at the end.
    """

    def __init__(
        self,
        first: ColumnarRiskModel,
        second: ColumnarRiskModel,
        scratch: NewScratch,
        known: KnownOutcomes | None = None,
    ) -> None:
        self._models = (first, second)
        self._rows = RowsWithOutcome([first.description, second.description], known)
        self._scratch = scratch
        self._kept = KeptPairs(scratch)

    def run(
        self,
        batches: Iterable[pa.RecordBatch],
        on_progress: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Take all ``batches``; ``on_progress`` gets the number of rows read so far."""
        for batch in with_progress(batches, on_progress):
            self.take(batch)

    def close(self) -> None:
        """Let the patients go."""
        self._kept.close()

    def pass_over(self, reason: str) -> None:
        """Count a row that could not even be read."""
        self._rows.passed_over[reason] += 1

    def take(self, batch: pa.RecordBatch) -> None:
        """Score the rows of one batch by both models."""
        if (rows := self._rows.take(batch)) is None:
            return
        first, second = (
            _scored(model, rows.features | further)
            for model, further in zip(self._models, rows.further, strict=True)
        )
        self._kept.add(rows, first, second)

    def report(
        self,
        minimums: Minimums,
        learned: Sequence[str] = (),
        on_group: Callable[[int], None] = lambda _: None,
    ) -> ComparisonReport:
        """Compare both on everybody and on each group.

        Net benefit is given at common thresholds and where the models' risk categories begin.
        ``learned`` names the models that were trained on these patients. ``on_group`` gets the
        number of groups that are done: a million patients take some seconds.
        """
        bands = [
            cut
            for model in self._models
            for cut in (model.description.bands.medium, model.description.bands.high)
        ]
        wanted = sorted({*_THRESHOLDS, *bands})
        groups: list[GroupComparison] = []
        first: list[tuple[str, Level]] = []
        second: list[tuple[str, Level]] = []
        detectable = None
        for level in self._kept.levels():
            size = (level.group, level.level, level.samples)
            mine = theirs = _sized(level)
            if level.samples < minimums.samples:
                groups.append(GroupComparison(*size, None))
            elif not minimums.suffice(level.samples, level.events):
                groups.append(GroupComparison(*size, level.events))
            else:
                with self._kept.patients(level) as patients:
                    found = measured_pair(patients, wanted, self._scratch)
                mine, theirs = found.first.sums, found.second.sums
                groups.append(
                    GroupComparison(
                        *size,
                        level.events,
                        found.first.measures,
                        found.second.measures,
                        found.differences,
                        found.decision_curve,
                    )
                )
                if level.group == ALL:
                    detectable = _POWERFUL * found.area_error
            first.append((level.group, Level(level.level, mine)))
            second.append((level.group, Level(level.level, theirs)))
            on_group(len(groups))
        one, other = (model.description.version for model in self._models)
        return ComparisonReport(
            one,
            other,
            dict(sorted(self._rows.passed_over.items())),
            groups,
            detectable,
            gaps(first, minimums),
            gaps(second, minimums),
            learned,
        )


def _sized(level: LevelOfPairs) -> Sums:
    """Return the numbers of patients of a level that is too small for more."""
    return Sums(of_outcome=[level.samples - level.events, level.events])


def _scored(model: ColumnarRiskModel, read: Features) -> Answers:
    """Return what ``model`` says of patients."""
    risks = model.risks(as_the_model_takes(read, model.description.further))
    return Answers(risks.probability, risks.categories(model.description))
