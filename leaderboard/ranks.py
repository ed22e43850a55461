"""Which places a method may have, and which methods none is better than, as sure as the numbers are."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from unlearnbench.leaderboard.cells import Array
from unlearnbench.leaderboard.spread import Parts, as_far, freedom
from unlearnbench.leaderboard.uncertainty import LEVEL


class Rank(NamedTuple):
    """The places that are not excluded."""

    first: int
    last: int

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}–{self.last}"


def ranks(found: Parts, subjects: int) -> list[Rank]:
    """Of each method, from the values [methods] and those of the same draws and without the same seeds [methods, …].

    A pair is different where its distance, in its own standard errors, is more than what the largest such distance of
    all pairs exceeds in one table of twenty where all methods are alike (max-T; after Mogstad, Romano, Shaikh and
    Wilhelm, 2024): all places hold together with 95 %. How much a pair varies with the seed is known from few of them;
    half of it is therefore what pairs of this table vary by on average (a moderated t, after Smyth, 2004).
    """
    count = len(found.value)
    apart, variance = found.value[:, None] - found.value, np.zeros((count, count))
    largest = np.zeros(found.draws.shape[-1])
    for i in range(count):  # a row at a time: all pairs of a few hundred methods would fill the memory
        row = Parts(apart[i], found.draws[i] - found.draws, found.without[i] - found.without)
        variance[i] = row.variance
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = np.abs(row.draws - row.value[:, None]) / np.sqrt(variance[i])[:, None]
        largest = np.fmax(largest, np.nanmax(np.where(variance[i][:, None] > 0, ratios, 0.0), axis=0))
    least = float(np.nanquantile(largest, LEVEL)) if count > 1 else np.inf
    error, critical = _moderated(found, variance, least, subjects)
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = np.where(apart == 0, 0.0, apart / error)
    better, worse = (distance > critical).sum(1), (distance < -critical).sum(1)
    return [Rank(1 + int(w), count - int(b)) for b, w in zip(better, worse, strict=True)]


def _moderated(found: Parts, variance: Array, least: float, subjects: int) -> tuple[Array, Array]:
    """The standard error of each pair, and how many of them it must be apart."""
    from scipy.special import ndtr

    seeds = found.without.shape[-1]
    own = Parts(variance, variance, found.without[:, None] - found.without).over_seeds
    others, varied = np.maximum(variance - own, 0.0), variance > 0
    over_seeds = np.where(varied, (own + own[varied].mean()) / 2, 0.0) if varied.any() else own
    df = freedom(over_seeds, 2 * (seeds - 1), others, subjects - 1)
    return np.sqrt(over_seeds + others), as_far(float(ndtr(-least)), df)


def tiers(axes: Array) -> list[int]:
    """Of each method [methods, axes]: 1 where no other is as good on all axes and better on one, and so on without
    those (Pareto fronts)."""
    left, found, tier = list(range(len(axes))), [0] * len(axes), 0
    while left:
        tier += 1
        front = [i for i in left if not any(_dominates(axes[j], axes[i]) for j in left)]
        for i in front:
            found[i] = tier
        left = [i for i in left if i not in front]
    return found


def chance_of_front(draws: Array) -> list[float]:
    """How often each method is in the first tier [methods, axes, draws]."""
    found = []
    for one in draws:
        as_good, better = (draws >= one).all(1), (draws > one).any(1)
        found.append(float(1 - (as_good & better).any(0).mean()))
    return found


def _dominates(a: Array, b: Array) -> bool:
    return bool((a >= b).all() and (a > b).any())
