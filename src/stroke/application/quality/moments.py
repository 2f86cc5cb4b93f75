"""Means and spreads of values that come piece by piece."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray


@dataclass(slots=True)
class Moments:
    """Number, mean and spread of values, of which only three numbers are kept.

    Pieces are put together as by Chan, Golub and LeVeque 1983 (The American Statistician 37:242).
    """

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0
    """The sum of squared distances from the mean."""

    @classmethod
    def of(cls, values: NDArray[np.float64]) -> Self:
        """Return the moments of one array ``(N,)``."""
        made = cls()
        made.add(values)
        return made

    def add(self, values: NDArray[np.float64]) -> None:
        """Take more values, ``(N,)``; there may be none."""
        count = len(values)
        if not count:
            return
        mean = float(values.mean())
        squares = float(np.square(values - mean).sum())
        if not self.count:
            self.count, self.mean, self.squares = count, mean, squares
            return
        before, apart = self.count, mean - self.mean
        self.count += count
        self.mean += apart * count / self.count
        self.squares += squares + apart**2 * before * count / self.count

    def negative(self) -> Self:
        """Return the moments of the values with the other sign."""
        return type(self)(self.count, -self.mean, self.squares)

    @property
    def total(self) -> float:
        """The sum of the values."""
        return self.mean * self.count

    @property
    def variance(self) -> float:
        """The sample variance of at least two values."""
        return self.squares / (self.count - 1)
