"""Is one method better than another? On the same items, at the same seeds."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import numpy as np

from unlearnbench.leaderboard.cells import Array, Cells
from unlearnbench.leaderboard.uncertainty import Mean, mean_of, two_sided

EXACT = 13
"""Subjects up to which every way of flipping signs is tried."""
FLIPS = 9999


class Difference(NamedTuple):
    """What one method has more than another."""

    mean: Mean
    p: float
    """That there is no difference, before it is corrected for how many were looked at."""


def difference(a: Cells, b: Cells) -> Difference:
    """a − b, with the larger of two p-values.

    Sign flips of subjects are exact where the two methods are alike to every subject, and know nothing of how much a
    method varies with its seed; the t test over seeds and subjects does, and is approximate. Raises `ValueError` where
    the two are not of the same items.
    """
    cells = a.minus(b)
    mean = mean_of(cells)
    if mean.variance == 0:
        return Difference(mean, 1.0 if mean.value == 0 else sign_flip(_by_cluster(cells)))
    over_seeds = two_sided(mean.value / mean.error, mean.df)
    return Difference(mean, max(sign_flip(_by_cluster(cells)), over_seeds))


def sign_flip(sums: Array) -> float:
    """The share of ways of flipping the signs of subjects that lead as far from 0: exact, or of 9,999 drawn ones."""
    seen = abs(float(sums.sum()))
    least = seen * (1 - 1e-9)  # sums of the same numbers in another order differ in the last bits
    if len(sums) <= EXACT:
        signs = np.array(list(product((1.0, -1.0), repeat=len(sums))))
        return float((np.abs(signs @ sums) >= least).mean())
    signs = np.random.default_rng(0).choice((1.0, -1.0), size=(FLIPS, len(sums)))
    return (1 + int((np.abs(signs @ sums) >= least).sum())) / (FLIPS + 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """Corrected so that with 95 % nothing is called different that is not (Holm, 1979)."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    found, highest = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[i]))
        found[i] = highest
    return found


def _by_cluster(cells: Cells) -> Array:
    """What each subject adds to the mean over seeds of means."""
    totals = cells.counts.sum(1, keepdims=True)
    weighted = np.divide(cells.sums, totals, where=totals > 0, out=np.zeros_like(cells.sums))
    return np.asarray(weighted.sum(0)[cells.counts.sum(0) > 0])
