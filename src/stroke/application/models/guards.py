"""CanaryGuard watches a canary in this process, and says when it must be taken back."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from stroke.application.predictions.deployed import Deployed, ModelRun, Serving
from stroke.domain.drift import stability_index
from stroke.domain.prediction import Prediction
from stroke.domain.risk import RiskCategory

# Bins of the score: a stroke is rare, so most of them lie low.
_CUTS: Final = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.3)
_FLOOR: Final = 0.001


class Limits(NamedTuple):
    """From what on a canary is taken back.

    ``patients`` is how many of each model are needed before bands and scores count, ``errors`` how
    many runs may fail. ``seconds`` is how long a run may take on average, once there were 20;
    ``band_shift`` the difference of the shares of Medium and High; ``psi`` the population
    stability index of the canary's scores against the champion's.
    """

    patients: int
    errors: int
    seconds: float
    band_shift: float
    psi: float


class Breach(NamedTuple):
    """Which guard was breached, and by which figure."""

    guard: str
    reason: str


@dataclass(slots=True)
class Seen:
    """What one model said: how many patients, and their categories and scores."""

    patients: int = 0
    raised: int = 0
    bins: Counter[int] = field(default_factory=Counter)

    def add(self, probability: float, category: str) -> None:
        """Count one patient."""
        self.patients += 1
        self.raised += category != RiskCategory.LOW
        self.bins[bisect_right(_CUTS, probability)] += 1

    @property
    def share(self) -> float:
        """The share of Medium and High; there must be a patient."""
        return self.raised / self.patients

    @property
    def shares(self) -> list[float]:
        """The share of each bin of the score; there must be a patient."""
        return [self.bins[at] / self.patients for at in range(len(_CUTS) + 1)]


_RUNS: Final = 20


class CanaryGuard:
    """Counts what champion and challenger do in this process, since the canary began here."""

    def __init__(self, serving: Serving, limits: Limits) -> None:
        self._serving = serving
        self._limits = limits
        self._of: str | None = None
        self._begin()

    def _begin(self) -> None:
        self._champion, self._challenger = Seen(), Seen()
        self._runs, self._seconds, self._errors = 0, 0.0, 0

    def _is_on(self, deployed: Deployed) -> bool:
        version = None if deployed.challenger is None else deployed.challenger.description.version
        if version != self._of:
            self._of = version
            self._begin()
        return version is not None

    def committed(self, predictions: Sequence[Prediction]) -> None:
        """Take what one commit made durable."""
        deployed = self._serving.now
        if not self._is_on(deployed):
            return
        champion = deployed.champion.description.version
        for each in predictions:
            said = each.assessment
            if each.model_version == self._of:
                self._challenger.add(said.probability, said.category)
            elif each.model_version == champion:
                self._champion.add(said.probability, said.category)

    def ran(self, run: ModelRun) -> None:
        """Count a run of a model, where it is the canary."""
        if not self._is_on(self._serving.now) or run.version != self._of:
            return
        self._runs += 1
        self._seconds += run.seconds
        self._errors += run.failed

    def breach(self) -> Breach | None:
        """Return what is wrong with the canary; None where nothing is, or there is none."""
        if not self._is_on(self._serving.now):
            return None
        limits = self._limits
        if self._errors > limits.errors:
            return Breach("errors", f"{self._errors} of {self._runs} runs failed")
        if self._runs >= _RUNS and (mean := self._seconds / self._runs) > limits.seconds:
            return Breach("latency", f"a run takes {mean:.3f} s, more than {limits.seconds:g} s")
        return shifted(self._champion, self._challenger, limits)


def shifted(champion: Seen, challenger: Seen, limits: Limits) -> Breach | None:
    """Return what is wrong with what a canary says; None where too few patients were seen."""
    if min(champion.patients, challenger.patients) < limits.patients:
        return None
    shift = challenger.share - champion.share
    if abs(shift) > limits.band_shift:
        return Breach(
            "bands",
            f"the share of Medium and High differs from the champion's by {shift * 100:+.1f} "
            f"percentage points (limit {limits.band_shift * 100:.1f})",
        )
    counts = [challenger.bins[at] for at in range(len(_CUTS) + 1)]
    floors = [_FLOOR] * len(counts)
    psi = stability_index(champion.shares, counts, floors)
    if psi is not None and psi > limits.psi:
        return Breach("psi", f"the index of its scores is {psi:.3f} (limit {limits.psi:g})")
    return None
