"""Counts recent predictions, and exposes their drift as metrics of all workers."""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from operator import attrgetter
from pathlib import Path
from typing import Any, Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from stroke.domain.drift import SCORE, WATCHED, BinCounts, Drift, References, drift
from stroke.domain.prediction import Prediction
from stroke.domain.risk import ModelDescription

SLOTS: Final = 24
"""Parts of the window: what is counted leaves it a 24th of the window late at the most."""

_WORD: Final = 8
_LABELS: Final = ("feature", "model_version")
_NAME: Final = "stroke-drift-{}-{}.counts"


class DriftWindow:
    """Counts the values of the last ``hours`` by the bins of ``references``.

    Constant memory: a ring of ``SLOTS`` times, each with its number and a count per bin, as words
    of 8 bytes. With several workers each has its ring in a file of ``folder``, and whoever is
    scraped adds all of them up; a worker that has ended keeps what it counted. Rings of another
    window, of other bins, or of another ``model_version`` are left alone. ``now`` gives seconds
    since 1970.
    """

    def __init__(
        self,
        references: References,
        *,
        hours: float,
        now: Callable[[], float],
        folder: Path | None = None,
        worker: int | None = None,
        model_version: str = "",
    ) -> None:
        self._references = references
        self._folder = folder
        self._now = now
        self._seconds = hours * 3600 / SLOTS
        self._offsets: dict[str, int] = {}
        width = 1
        for name, histogram in references.items():
            self._offsets[name] = width
            width += len(histogram.shares) + 1  # those that are missing come last
        self._width = width
        # One more than the window: the present slot is not whole yet.
        self._length = (SLOTS + 1) * width * _WORD
        bins = [(name, each.cuts, each.labels, "missing") for name, each in references.items()]
        layout = repr((hours, bins, model_version))
        self._layout = sha256(layout.encode()).hexdigest()[:12]
        self._words = self._opened(os.getpid() if worker is None else worker)
        self._counted = [
            (_value(name), self._offsets[name], histogram.place, len(histogram.shares))
            for name, histogram in references.items()
        ]

    def count(self, predictions: Sequence[Prediction]) -> None:
        """Count the patients of ``predictions`` and their scores."""
        words, start = self._words, self._slot()
        for prediction in predictions:
            for value_of, offset, place, missing in self._counted:
                value = value_of(prediction)
                words[start + offset + (missing if value is None else place(value))] += 1

    def drifts(self) -> list[Drift]:
        """Return the counts of all workers within the window."""
        totals = {name: BinCounts.of(histogram) for name, histogram in self._references.items()}
        latest = self._number()
        for words in self._rings():
            for start in range(0, len(words), self._width):
                if latest - SLOTS <= words[start] <= latest and words[start]:
                    for name, total in totals.items():
                        first = start + self._offsets[name]
                        *counts, missing = words[first : first + len(total.counts) + 1]
                        totals[name] = total + BinCounts(counts, missing)
        return [drift(name, self._references[name], total) for name, total in totals.items()]

    def _number(self) -> int:
        return int(self._now() // self._seconds)

    def _slot(self) -> int:
        """Return where the present slot begins; what it held of an earlier time is gone."""
        number = self._number()
        start = number % (SLOTS + 1) * self._width
        if self._words[start] != number:
            for at in range(start + 1, start + self._width):
                self._words[at] = 0
            self._words[start] = number
        return start

    def _opened(self, worker: int) -> memoryview:
        if self._folder is None:
            return memoryview(mmap.mmap(-1, self._length)).cast("Q")
        # Not emptied: its number may have been that of a worker that has ended.
        with (self._folder / _NAME.format(self._layout, worker)).open("a+b") as file:
            file.truncate(self._length)
            return memoryview(mmap.mmap(file.fileno(), self._length)).cast("Q")

    def _rings(self) -> Iterator[memoryview]:
        if self._folder is None:
            yield self._words
            return
        for path in self._folder.glob(_NAME.format(self._layout, "*")):
            content = path.read_bytes()
            if len(content) == self._length:  # not one that is just being made
                yield memoryview(content).cast("Q")


def _value(name: str) -> Callable[[Prediction], Any]:
    if name not in WATCHED:  # only this model asks for it
        return lambda prediction: dict(prediction.patient.further).get(name)
    of = "assessment.probability" if name == SCORE else f"patient.{name}"
    return attrgetter(of)


class DriftMetrics(Collector):
    """The drift of windows, computed when it is asked for; nothing before ``watch``."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._windows: dict[str, DriftWindow] = {}
        registry.register(self)

    def watch(self, window: DriftWindow, model_version: str) -> None:
        """Expose ``window`` from now on."""
        self._windows = {**self._windows, model_version: window}

    def forget(self, model_version: str) -> None:
        """Expose the window of a model no more."""
        self._windows = {
            version: window for version, window in self._windows.items() if version != model_version
        }

    def describe(self) -> list[GaugeMetricFamily]:
        """Return the metrics without samples."""
        return [
            GaugeMetricFamily(
                "stroke_drift_psi",
                "Population stability index, compared with the training data.",
                labels=_LABELS,
            ),
            GaugeMetricFamily("stroke_drift_samples", "Patients in the index.", labels=_LABELS),
        ]

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Return the metrics as of now."""
        psi, samples = self.describe()
        for version, window in self._windows.items():
            for each in window.drifts():
                labels = [each.feature, version]
                samples.add_metric(labels, each.samples)
                if each.psi is not None:
                    psi.add_metric(labels, each.psi)
        yield from (psi, samples)


class DriftWindows:
    """A window for each model that answers, which counts what that model predicted."""

    def __init__(
        self, metrics: DriftMetrics, opened: Callable[[References, str], DriftWindow]
    ) -> None:
        self._metrics = metrics
        self._opened = opened
        self._windows: dict[str, DriftWindow] = {}

    def follow(self, models: Sequence[ModelDescription]) -> None:
        """Count for these models from now on, as far as they have histograms."""
        wanted = {each.version: each.histograms for each in models if each.histograms}
        for version in self._windows.keys() - wanted.keys():
            self._metrics.forget(version)
        windows = {
            version: self._windows.get(version) or self._opened(histograms, version)
            for version, histograms in wanted.items()
        }
        for version, window in windows.items():
            self._metrics.watch(window, version)
        self._windows = windows

    def count(self, predictions: Sequence[Prediction]) -> None:
        """Count each prediction in the window of its model."""
        windows = self._windows
        for version in {each.model_version for each in predictions} & windows.keys():
            windows[version].count([p for p in predictions if p.model_version == version])
