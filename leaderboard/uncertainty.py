"""How sure a mean over seeds and subjects is: both are draws, and items of one subject are not independent."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from unlearnbench.leaderboard.cells import Cells
from unlearnbench.records.estimate import score_interval

LEVEL = 0.95
POWER = 0.8


class Mean(NamedTuple):
    """A mean over seeds of means over items, and its variance."""

    value: float
    variance: float
    df: float
    """Degrees of freedom of the variance (Satterthwaite)."""
    seeds: int
    clusters: int
    items: int

    @property
    def error(self) -> float:
        """The standard error."""
        return math.sqrt(self.variance)

    def interval(self, *, share: bool) -> tuple[float, float]:
        """Of 95 %; Wilson's for shares, with as many independent items as would have this variance."""
        t = quantile((1 + LEVEL) / 2, self.df)
        if not share:
            return self.value - t * self.error, self.value + t * self.error
        spread = self.value * (1 - self.value)
        # Where all items agree there is no variance to go by, and each subject counts once.
        n = min(float(self.items), spread / self.variance) if spread > 0 and self.variance > 0 else float(self.clusters)
        return score_interval(self.value, n, t)

    def detectable(self, tests: int = 1) -> float:
        """The smallest true value that would be found different from 0 four times in five, as one of so many tests."""
        return (quantile(1 - (1 - LEVEL) / 2 / tests, self.df) + quantile(POWER, self.df)) * self.error


def mean_of(cells: Cells) -> Mean:
    """The mean and its variance, with seeds and subjects crossed.

    V = max(V_seeds + V_subjects − V_cells, V_seeds, V_subjects) (Cameron, Gelbach and Miller, 2011, each with its own
    CR1 factor), and df = V² / (V_seeds²/(S−1) + V_subjects²/(C−1)) after Satterthwaite. With one seed it is the
    variance over subjects: nothing is then known of how much a method varies.
    Raises `ValueError` where there are no items, or fewer than two subjects.
    """
    totals = cells.counts.sum(1)
    there = totals > 0
    seeds, clusters = int(there.sum()), int((cells.counts.sum(0) > 0).sum())
    if not seeds or clusters < 2:
        raise ValueError(f"an error needs two subjects; there are {clusters}")
    value = cells.value
    weights = np.divide(1.0, seeds * totals, where=there, out=np.zeros_like(totals))[:, None]
    moved = (cells.sums - cells.counts * value) * weights
    asked = cells.counts > 0
    over_clusters = clusters / (clusters - 1) * float((moved.sum(0) ** 2).sum())
    items = int(totals.sum())
    if seeds == 1:
        return Mean(value, over_clusters, clusters - 1, seeds, clusters, items)
    over_seeds = seeds / (seeds - 1) * float((moved.sum(1) ** 2).sum())
    both = int(asked.sum()) / (int(asked.sum()) - 1) * float((moved[asked] ** 2).sum())
    variance = max(over_seeds + over_clusters - both, over_seeds, over_clusters)
    parts = over_seeds**2 / (seeds - 1) + over_clusters**2 / (clusters - 1)
    return Mean(value, variance, variance**2 / parts if parts > 0 else clusters - 1, seeds, clusters, items)


def quantile(share: float, df: float) -> float:
    """Of Student's t."""
    from scipy.stats import t

    return float(t.ppf(share, max(df, 1.0)))


def two_sided(statistic: float, df: float) -> float:
    """The p-value of a t statistic."""
    from scipy.stats import t

    return float(2 * t.sf(abs(statistic), max(df, 1.0)))
