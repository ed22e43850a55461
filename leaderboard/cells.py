"""A value of one method, seed by seed and subject by subject: what every statistic of the board is made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float64]]
Values = Mapping[int, Iterable[tuple[str, float]]]
"""By seed: (subject, value) of each item."""


@dataclass(frozen=True)
class Grid:
    """The seeds and the subjects that the methods of one table share, in order."""

    seeds: tuple[int, ...]
    clusters: tuple[str, ...]

    @classmethod
    def of(cls, values: Iterable[Values]) -> Grid:
        """Every seed and every subject that occurs."""
        found = [{seed: list(items) for seed, items in one.items()} for one in values]
        seeds = {seed for one in found for seed in one}
        clusters = {name for one in found for items in one.values() for name, _ in items}
        return cls(tuple(sorted(seeds)), tuple(sorted(clusters)))

    def cells(self, values: Values) -> Cells:
        """The sums over the items of each seed and subject."""
        sums, counts = (np.zeros((len(self.seeds), len(self.clusters))) for _ in range(2))
        for seed, items in values.items():
            found = list(items)
            if found:
                row, columns = self.seeds.index(seed), [self._columns[name] for name, _ in found]
                np.add.at(sums[row], columns, [value for _, value in found])
                np.add.at(counts[row], columns, 1)
        return Cells(sums, counts)

    @cached_property
    def _columns(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.clusters)}


@dataclass(frozen=True)
class Cells:
    """Sums of a value, and how many items they are of [seeds, subjects]."""

    sums: Array
    counts: Array

    @property
    def value(self) -> float:
        """The mean over seeds of the mean over items; nan where there is none."""
        totals = self.counts.sum(1)
        there = totals > 0
        return float((self.sums.sum(1)[there] / totals[there]).mean()) if there.any() else float("nan")

    def minus(self, other: Cells) -> Cells:
        """The differences item by item. Raises `ValueError` where the two are not of the same items."""
        if not np.array_equal(self.counts, other.counts):
            raise ValueError("differences are of the same items at the same seeds")
        return Cells(self.sums - other.sums, self.counts)
