"""Which places a method may have, and which methods none is better than, as sure as the numbers are."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from unlearnbench.leaderboard.cells import Array
from unlearnbench.leaderboard.uncertainty import LEVEL


class Rank(NamedTuple):
    """The places that are not excluded."""

    first: int
    last: int

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}–{self.last}"


def ranks(values: Array, draws: Array) -> list[Rank]:
    """Of each method, from the values [methods] and those of the same draws [methods, draws].

    A pair is different where its distance, in its own standard errors, is more than what the largest such distance of
    all pairs exceeds in one table of twenty where all methods are alike (max-T; after Mogstad, Romano, Shaikh and
    Wilhelm, 2024): all places hold together with 95 %.
    """
    count = len(values)
    apart, distance = values[:, None] - values[None, :], np.zeros((count, count))
    largest = np.zeros(draws.shape[-1])
    for i in range(count):  # a row at a time: all pairs of a few hundred methods would fill the memory
        moved = draws[i] - draws - apart[i][:, None]
        spread = np.sqrt(np.nanmean(moved**2, axis=-1))
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = np.where(spread[:, None] > 0, np.abs(moved) / spread[:, None], 0.0)
            distance[i] = np.where(spread > 0, apart[i] / spread, np.sign(apart[i]) * np.inf)
        largest = np.fmax(largest, np.nanmax(ratios, axis=0))
    distance = np.where(apart == 0, 0.0, distance)
    least = float(np.nanquantile(largest, LEVEL)) if count > 1 else np.inf
    better, worse = (distance > least).sum(1), (distance < -least).sum(1)
    return [Rank(1 + int(w), count - int(b)) for b, w in zip(better, worse, strict=True)]


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
