"""Recalibration: which update of a model its patients' outcomes call for, and its line.

Closed testing procedure (Vergouwe et al. 2017, Statistics in Medicine 36:4529): the largest method
is held against the model as it is, then against ever larger methods, by likelihood-ratio tests. The
first one that is not worse for certain is taken, so that the type I error stays that of one test.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import erfc, exp, sqrt
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stroke.application.models.columns import Mask
from stroke.application.quality.calibration import Floats, Labels
from stroke.domain.errors import InvalidData
from stroke.domain.model_update import (
    LikelihoodTest,
    Method,
    RecalibrationLine,
    Shrinkage,
    Update,
)

_NEWTON_STEPS: Final = 100
_HALVINGS: Final = 30
_CONVERGED: Final = 1e-10  # far below any reported digit
_NO_SPREAD: Final = 1e-5  # log-odds that differ by less say nothing of a slope
_DEPENDENT: Final = 1e-9  # of the largest singular value: columns that say the same
_FEWEST_EXPECTED: Final = 5.0  # of either outcome, for the chi-square of a site to hold
_DIGITS: Final = 10  # the same line on every processor


@dataclass(frozen=True, slots=True)
class Rules:
    """When a method may be used, and when it is preferred to a smaller one.

    ``events`` are the strokes, and the patients without one, that any update needs: 100 of each
    (Vergouwe et al. 2005, J Clin Epidemiol 58:475; Collins et al. 2016, Statistics in Medicine
    35:214). A refit needs ``events_per_coefficient`` of the rarer kind: from 20 on, optimism is
    negligible (Austin and Steyerberg 2017, Stat Methods Med Res 26:796).
    """

    alpha: float = 0.05
    events: int = 100
    events_per_coefficient: int = 20

    def refit_needs(self, coefficients: int) -> int:
        """Return how many events a refit of so many coefficients needs."""
        return max(self.events, self.events_per_coefficient * coefficients)


@dataclass(frozen=True, slots=True)
class Evidence:
    """Patients with a known outcome, ``(N,)`` each.

    ``log_odds`` are the model's. ``design (N, k)`` holds what a refit gives coefficients to; it is
    None where the kind of model cannot be refitted.
    """

    outcome: Labels
    log_odds: Floats
    site: NDArray[Any]
    design: Floats | None = None

    def __len__(self) -> int:
        return len(self.outcome)

    def at(self, rows: Mask | NDArray[np.int64]) -> Evidence:
        """Return some of the patients: a mask, or their places."""
        design = None if self.design is None else self.design[rows]
        return Evidence(self.outcome[rows], self.log_odds[rows], self.site[rows], design)

    @property
    def strokes(self) -> int:
        """How many patients had a stroke."""
        return int(self.outcome.sum())

    @property
    def events(self) -> int:
        """How many there are of the rarer outcome."""
        return min(self.strokes, len(self) - self.strokes)


class Fit(NamedTuple):
    """A logistic regression: ``coefficients (k,)``, ``covariance (k, k)``, its log-likelihood.

    ``settled`` is false where no finite coefficients are the likeliest.
    """

    coefficients: Floats
    covariance: Floats
    log_likelihood: float
    settled: bool


def fit_logistic(design: Floats, outcome: Labels, offset: Floats) -> Fit:
    """Fit ``outcome (N,)`` to ``design (N, k)`` beside ``offset (N,)`` by Newton's method.

    There is no penalty. Columns of the design must not depend on each other.
    """
    at = np.zeros(design.shape[1])
    likelihood, settled = log_likelihood(outcome, offset), False
    information = np.eye(len(at))
    for _ in range(_NEWTON_STEPS):
        fitted = probability_of(design @ at + offset)
        information = design.T @ (design * (fitted * (1 - fitted))[:, None])
        step = np.linalg.lstsq(information, design.T @ (outcome - fitted), rcond=None)[0]
        for _ in range(_HALVINGS):
            reached = log_likelihood(outcome, design @ (at + step) + offset)
            if reached >= likelihood:
                break
            step = step / 2
        at, likelihood = at + step, max(reached, likelihood)
        settled = float(np.abs(step).max()) < _CONVERGED
        if settled:
            break
    covariance = np.linalg.pinv(information, hermitian=True).astype(np.float64)
    return Fit(at, covariance, likelihood, settled)


def log_likelihood(outcome: Labels, log_odds: Floats) -> float:
    """Return the log-likelihood of ``outcome (N,)`` under ``log_odds (N,)``."""
    return float((outcome * log_odds - np.logaddexp(0, log_odds)).sum())


def probability_of(log_odds: Floats) -> Floats:
    """Return probabilities; no log-odds are too large."""
    found: Floats = (1 + np.tanh(log_odds / 2)) / 2
    return found


def moved(line: RecalibrationLine, log_odds: Floats) -> Floats:
    """Return the new log-odds."""
    found: Floats = line.intercept + line.slope * log_odds
    return found


def chi_square_above(statistic: float, degrees: int) -> float:
    """Return the probability that a chi-square variable of ``degrees`` of freedom is larger.

    Abramowitz and Stegun 1964, 26.4.4 and 26.4.5: finite sums, for whole degrees of freedom.
    """
    half = max(statistic, 0.0) / 2
    if degrees % 2:
        total, term = erfc(sqrt(half)), 2 * sqrt(half / np.pi) * exp(-half)
        first = 1.5
    else:
        total, term, first = 0.0, exp(-half), 1.0
    for step in range(degrees // 2):
        total += term
        term *= half / (first + step)
    return float(min(total, 1.0))


def plan(
    evidence: Evidence, rules: Rules, *, site: str | None = None, unfit: str = "of another kind"
) -> Update:
    """Return the update that ``evidence`` calls for: of everybody, or of one ``site``.

    A site with enough events is judged by its own patients. Another one takes the line of all, and
    an intercept of its own that is drawn towards theirs: see ``shrunk``. ``unfit`` says why there
    is no design. Raises ``InvalidData`` where there are too few outcomes, with the number needed,
    and where the outcomes contradict the model.
    """
    if site is None:
        return _chosen(evidence, rules, unfit)
    own = evidence.at(evidence.site == site)
    if not len(own):
        raise InvalidData(f"no patient of the site {site} has an outcome that counts")
    if own.events >= rules.events:
        return _chosen(own, rules, unfit)
    whole = _chosen(replace(evidence, design=None), rules, "the site is too small alone")
    line, shrinkage = shrunk(whole.method, whole.line, evidence, site)
    method = whole.method if whole.is_needed or line.is_identity else Method.INTERCEPT
    return replace(whole, method=method, line=line, shrinkage=shrinkage)


def line_for(method: Method, evidence: Evidence, site: str | None = None) -> RecalibrationLine:
    """Return the line of a method that is one; with ``site``, of this site, drawn towards all.

    Raises ``InvalidData`` where the outcomes leave it open, or turn the model round.
    """
    line = _line(method, evidence)
    return line if site is None else shrunk(method, line, evidence, site)[0]


def shrunk(
    method: Method, line: RecalibrationLine, evidence: Evidence, site: str
) -> tuple[RecalibrationLine, Shrinkage]:
    """Return ``line``, which ``method`` gave, with the intercept of ``site``, drawn towards all.

    The site's difference ``d`` maximises its likelihood less ``d² / 2v``, with ``v`` the variance
    of the true differences between sites (DerSimonian and Laird 1986, Controlled Clinical Trials
    7:177, over one-step estimates of the differences, which exist without a stroke, too). ``v`` is
    0 where sites differ no more than chance makes them: the line of all holds then.
    """
    log_odds = moved(line, evidence.log_odds)
    own = evidence.site == site
    variance, sites = _between_sites(evidence, log_odds)
    outcome, offset = evidence.outcome[own], log_odds[own]
    fitted = probability_of(offset)
    known = variance * float((fitted * (1 - fitted)).sum())
    difference, information = (0.0, 0.0) if variance == 0 else _drawn(outcome, offset, variance)
    found = Shrinkage(
        method,
        sites,
        int(own.sum()),
        int(outcome.sum()),
        _portable(float(fitted.sum())),
        _portable(difference),
        _portable(known / (1 + known)),
        _portable(variance),
    )
    (first, both), (_, last) = line.covariance
    added = 1 / information if variance else 0.0
    return (
        RecalibrationLine(
            _portable(line.intercept + difference),
            line.slope,
            ((_portable(first + added), both), (both, last)),
        ),
        found,
    )


def _chosen(evidence: Evidence, rules: Rules, unfit: str) -> Update:
    """Return what the closed testing procedure chooses among methods with enough events."""
    if evidence.events < rules.events:
        raise InvalidData(
            f"{evidence.strokes:,} of {len(evidence):,} patients with an outcome had a stroke: an "
            f"update needs {rules.events:,} strokes and {rules.events:,} patients without one "
            "(STROKE_UPDATE_MIN_EVENTS)"
        )
    methods, left_out = [Method.NONE, Method.INTERCEPT], []
    revision: Floats | None = None
    if float(np.ptp(evidence.log_odds)) > _NO_SPREAD:
        methods.append(Method.LINE)
        revision, reason = _revision(evidence, rules, unfit)
        if revision is not None:
            methods.append(Method.REFIT)
        else:
            left_out.append(reason)
    else:
        left_out.append("no slope: the model says the same of everybody")
    method, tests = _tested(methods, evidence, revision, rules.alpha)
    line = RecalibrationLine() if method is Method.REFIT else _line(method, evidence)
    return Update(
        method, line, tuple(tests), len(evidence), evidence.strokes, left_out=tuple(left_out)
    )


def _revision(evidence: Evidence, rules: Rules, unfit: str) -> tuple[Floats | None, str]:
    """Return the design of a refit beside the model's own log-odds, or why there is none."""
    if evidence.design is None:
        return None, f"no refit: {unfit}"
    needed = rules.refit_needs(evidence.design.shape[1])
    if evidence.events < needed:
        return None, (
            f"no refit: it needs {needed:,} strokes and {needed:,} patients without one "
            f"({rules.events_per_coefficient} for each coefficient, "
            "STROKE_UPDATE_EVENTS_PER_COEFFICIENT)"
        )
    return _independent(
        np.column_stack([np.ones(len(evidence)), evidence.log_odds, evidence.design])
    ), ""


def _tested(
    methods: Sequence[Method], evidence: Evidence, revision: Floats | None, alpha: float
) -> tuple[Method, list[LikelihoodTest]]:
    """Return the smallest method that is not worse than the largest for certain, and the tests."""
    designs = {Method.NONE: np.zeros((len(evidence), 0)), Method.INTERCEPT: _ones(evidence)}
    if Method.LINE in methods:
        designs[Method.LINE] = _with_slope(evidence)
    if revision is not None:
        designs[Method.REFIT] = revision
    reached = {each: _reached(designs[each], evidence) for each in methods}
    largest, tests = methods[-1], []
    for method in methods[:-1]:
        degrees = designs[largest].shape[1] - designs[method].shape[1]
        statistic = max(0.0, 2 * (reached[largest] - reached[method]))
        p_value = chi_square_above(statistic, degrees)
        tests.append(LikelihoodTest(method, _portable(statistic), degrees, _portable(p_value)))
        if p_value >= alpha:
            return method, tests
    return largest, tests


def _reached(design: Floats, evidence: Evidence) -> float:
    """Return the highest log-likelihood. All methods hold the model, so that they are nested."""
    if not design.shape[1]:
        return log_likelihood(evidence.outcome, evidence.log_odds)
    return fit_logistic(design, evidence.outcome, evidence.log_odds).log_likelihood


def _line(method: Method, evidence: Evidence) -> RecalibrationLine:
    if method is Method.NONE:
        return RecalibrationLine()
    design = _ones(evidence) if method is Method.INTERCEPT else _with_slope(evidence)
    fit = fit_logistic(design, evidence.outcome, evidence.log_odds)
    if not fit.settled:
        raise InvalidData(
            "the outcomes leave the update open: one risk parts all strokes from all others"
        )
    values = fit.coefficients.tolist()
    variances = fit.covariance
    if method is Method.INTERCEPT:
        return RecalibrationLine(
            _portable(values[0]), covariance=((_portable(float(variances[0, 0])), 0.0), (0.0, 0.0))
        )
    intercept, change = values
    if change <= -1:
        raise InvalidData(
            f"the slope would be {1 + change:.3f}: by these outcomes the model ranks patients the "
            "wrong way round, which no recalibration mends"
        )
    both = _portable(float(variances[0, 1]))
    return RecalibrationLine(
        _portable(intercept),
        _portable(1 + change),
        (
            (_portable(float(variances[0, 0])), both),
            (both, _portable(float(variances[1, 1]))),
        ),
    )


def _between_sites(evidence: Evidence, log_odds: Floats) -> tuple[float, int]:
    """Return the variance of the true differences between sites, and of how many it is.

    A site of whom few strokes are expected, or few patients without one, has no part: a single
    stroke that nobody expected would look like a difference.
    """
    fitted = probability_of(log_odds)
    differences, weights = [], []
    for name in sorted(set(evidence.site.tolist())):
        rows = evidence.site == name
        expected = float(fitted[rows].sum())
        if min(expected, int(rows.sum()) - expected) < _FEWEST_EXPECTED:
            continue
        weight = float((fitted[rows] * (1 - fitted[rows])).sum())
        differences.append((int(evidence.outcome[rows].sum()) - expected) / weight)
        weights.append(weight)
    if len(weights) < 2:  # noqa: PLR2004 -- of one site there is no difference
        return 0.0, len(weights)
    return _between(np.array(differences), np.array(weights)), len(weights)


def _between(differences: Floats, weights: Floats) -> float:
    """Return the variance of true differences whose estimates have the variances 1 / weights."""
    mean = (weights * differences).sum() / weights.sum()
    excess = (weights * (differences - mean) ** 2).sum() - (len(weights) - 1)
    scale = weights.sum() - (weights**2).sum() / weights.sum()
    return float(max(0.0, excess / scale))


def _drawn(outcome: Labels, offset: Floats, variance: float) -> tuple[float, float]:
    """Return the likeliest difference under a normal prior of ``variance``, and its information.

    Newton's method: the penalised likelihood is concave, and its steps are cut to 1.
    """
    at = 0.0
    for _ in range(_NEWTON_STEPS):
        fitted = probability_of(offset + at)
        information = float((fitted * (1 - fitted)).sum()) + 1 / variance
        step = (float((outcome - fitted).sum()) - at / variance) / information
        at += min(max(step, -1.0), 1.0)
        if abs(step) < _CONVERGED:
            break
    return at, information


def _independent(design: Floats) -> Floats:
    """Return as many columns as the design has that do not depend on others, of the same span."""
    scale = np.sqrt((design**2).mean(axis=0))
    left, values, _ = np.linalg.svd(design / np.where(scale > 0, scale, 1.0), full_matrices=False)
    kept: Floats = left[:, values > _DEPENDENT * values[0]] * sqrt(len(design))
    return kept


def _ones(evidence: Evidence) -> Floats:
    return np.ones((len(evidence), 1))


def _with_slope(evidence: Evidence) -> Floats:
    return np.column_stack([np.ones(len(evidence)), evidence.log_odds])


def _portable(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
