"""How sure a value is, from its draws and from what it would be without each seed.

Draws take whole subjects and whole seeds. Of three seeds hardly anything can be said of how much a method varies with
its seed, and draws do not know how little: Student's t does, with the degrees of freedom that the variance has.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from unlearnbench.leaderboard.cells import Array
from unlearnbench.leaderboard.draws import DRAWS
from unlearnbench.leaderboard.uncertainty import LEVEL


@dataclass(frozen=True)
class Quantity:
    """A number, with an interval of 95 %."""

    value: float
    low: float
    high: float


class Parts(NamedTuple):
    """What arrays of values along draws are made of [..., …]."""

    value: Array
    draws: Array
    without: Array
    """The value without each of the seeds; none where there is one seed."""

    @property
    def variance(self) -> Array:
        """Of all draws, about the value."""
        return np.asarray(np.nanmean((self.draws - self.value[..., None]) ** 2, axis=-1))

    @property
    def over_seeds(self) -> Array:
        """The part of it that is of seeds (jackknife); 0 where there is one seed, of which nothing can be said."""
        count = self.without.shape[-1]
        if count < 2:
            return np.zeros_like(self.value)
        apart = self.without - np.nanmean(self.without, axis=-1, keepdims=True)
        return np.asarray((count - 1) / count * np.nansum(apart**2, axis=-1))


def parts(array: Array) -> Parts:
    """Of what `Draws` has made [..., 1 + draws + seeds]."""
    return Parts(array[..., 0], array[..., 1 : DRAWS + 1], array[..., DRAWS + 1 :])


def freedom(over_seeds: Array, of_seeds: float, others: Array, of_others: float) -> Array:
    """Degrees of freedom of a variance of two parts, from those of each (Satterthwaite); at least 1."""
    least = over_seeds**2 / max(of_seeds, 1) + others**2 / max(of_others, 1)
    total = (over_seeds + others) ** 2
    return np.maximum(np.divide(total, least, where=least > 0, out=np.full_like(total, np.inf)), 1.0)


def as_far(share: float, df: Array) -> Array:
    """What Student's t exceeds with this share; `scipy.stats` says the same, and takes a hundred times as long."""
    from scipy.special import stdtrit

    return np.asarray(-stdtrit(np.minimum(df, 1e9), share))


def quantity(array: Array, subjects: int, least: float = 0.0) -> Quantity:
    """The value, and 95 % of its draws, wider by as much as t is than the normal distribution; from `least` to 1."""
    from scipy.special import ndtri

    found = parts(array)
    low, high = np.nanquantile(found.draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    seeds = found.over_seeds
    df = freedom(seeds, found.without.shape[-1] - 1, np.maximum(found.variance - seeds, 0.0), subjects - 1)
    wider, value = float(as_far((1 - LEVEL) / 2, df) / -ndtri((1 - LEVEL) / 2)), float(found.value)
    ends = value + wider * min(low - value, 0.0), value + wider * max(high - value, 0.0)
    return Quantity(value, float(max(ends[0], least)), float(min(ends[1], 1.0)))
