"""How sure a fitted line is of each patient, and how far a patient is from those it was fitted to.

Delta method on the logit scale: the variance of a patient's log-odds is ``x' S x``, where ``x`` is
the patient's row of the design with a leading 1, and ``S`` the covariance of the coefficients. The
regression is penalised, so ``S`` is the sandwich ``H⁻¹ (A'WA) H⁻¹`` with ``H = A'WA + P`` (Gray
1992, JASA 87:942, equation 3.3), ``A`` the design ``(N, 16)`` and ``W = p (1 - p)``.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import numpy as np
from scipy.special import expit, ndtri

from stroke.adapters.training.graph import Line, Spread
from stroke.application.quality.calibration import Floats, Labels
from stroke.domain.errors import InvalidData

NORMAL: Final = float(ndtri(0.975))
"""How many standard errors an interval of 95 % has on each side."""

REFITS: Final = 500
_SEED: Final = 20260102
# In units of the standardised design, where entries are of the order of 1. Sums differ between
# processors from about the 12th digit on, so that all of them round to the same.
_DECIMALS: Final = 7


def spread(matrix: Floats, lines: dict[tuple[str, ...], Line], groups: tuple[str, ...]) -> Spread:
    """Return the spread of ``lines``, fitted to the design ``matrix (N, 15)``.

    ``groups`` names the feature of each column.
    """
    return Spread(
        {missing: _factor(matrix, line, groups, missing) for missing, line in lines.items()},
        _hat(matrix),
        NORMAL,
    )


def standard_errors(factor: Floats, matrix: Floats) -> Floats:
    """Return the standard errors ``(N,)`` of the log-odds of the rows of ``matrix (N, 15)``."""
    errors: Floats = np.linalg.norm(_with_one(matrix) @ factor, axis=1)
    return errors


def leverages(hat: Floats, matrix: Floats) -> Floats:
    """Return the leverages ``(N,)`` of the rows of ``matrix``, in multiples of the mean."""
    values: Floats = ((_with_one(matrix) @ hat) ** 2).sum(axis=1)
    return values


def interval(line: Line, factor: Floats, matrix: Floats) -> Floats:
    """Return both ends of the 95 % interval of each probability, ``(N, 2)``."""
    log_odds = matrix @ line.slopes + line.intercept
    half = NORMAL * standard_errors(factor, matrix)
    ends: Floats = expit(np.column_stack([log_odds - half, log_odds + half]))
    return ends


def _factor(
    matrix: Floats, line: Line, groups: tuple[str, ...], missing: tuple[str, ...]
) -> Floats:
    kept = np.array([True, *(group not in missing for group in groups)])
    probability = expit(matrix @ line.slopes + line.intercept)
    design = _with_one(matrix)[:, kept]
    information = design.T @ (design * (probability * (1 - probability))[:, None])
    penalty = np.eye(len(information))  # C is 1: each slope's penalty is 1, the intercept's 0
    penalty[0, 0] = 0
    bread = np.linalg.inv(information + penalty)
    factor = np.zeros((len(kept), len(kept)))
    factor[np.ix_(kept, kept)] = np.linalg.cholesky(bread @ information @ bread)
    rounded: Floats = np.round(factor, _DECIMALS)
    return rounded


def _hat(matrix: Floats) -> Floats:
    design = _with_one(matrix)
    count, columns = design.shape
    # A column that says the same of everyone adds nothing: the inverse is the generalised one.
    inverse = np.linalg.pinv(design.T @ design / count, hermitian=True) / columns
    values, vectors = np.linalg.eigh(inverse)
    root = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T  # symmetric, so without signs
    rounded: Floats = np.round(root, _DECIMALS)
    return rounded


def _with_one(matrix: Floats) -> Floats:
    return np.column_stack([np.ones(len(matrix)), matrix])


def check_against_refits(
    errors: Floats,
    log_odds: Floats,
    refit: Callable[[Labels], Floats],
    *,
    refits: int = REFITS,
    progress: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Hold the delta method's ``errors (N,)`` of ``log_odds (N,)`` against a bootstrap of refits.

    ``refit`` fits the whole model, knots included, to the patients of the given places ``(N,)``
    and returns the log-odds ``(N,)`` of all of them, or raises ``InvalidData`` for a sample to
    which no model can be fitted: it is left out. Returns the quantiles over patients of the ratio
    of the standard errors (delta's to the bootstrap's), and of the share of refits whose log-odds
    lie within the interval.
    """
    stream = np.random.default_rng(_SEED)
    drawn = []
    for _ in range(refits):
        places = stream.integers(0, len(log_odds), len(log_odds))
        with suppress(InvalidData):
            drawn.append(refit(places))
        progress()
    refitted = np.array(drawn)
    ratio = errors / refitted.std(axis=0, ddof=1)
    inside = (np.abs(refitted - log_odds) <= NORMAL * errors).mean(axis=0)
    return {
        "refits": len(drawn),
        "standard_error_ratio": _quantiles(ratio),
        "coverage": _quantiles(inside),
    }


def _quantiles(values: Floats) -> dict[str, float]:
    low, median, high = np.quantile(values, [0.05, 0.5, 0.95])
    return {
        "median": round(float(median), 4),
        "p5": round(float(low), 4),
        "p95": round(float(high), 4),
    }
