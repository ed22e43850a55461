"""The same draws of seeds and subjects for all methods and references of a table: their noise goes together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unlearnbench.leaderboard.cells import Array, Cells, Grid

DRAWS = 2000


@dataclass(frozen=True)
class Draws:
    """How often each seed and each subject is drawn [draws, …]; last come all without each of the seeds."""

    seeds: Array
    clusters: Array

    @classmethod
    def of(cls, grid: Grid) -> Draws:
        """Seeds with replacement, one fewer than there are, so that their variance is right (Rao and Wu, 1988);
        subjects by Poisson weights, so that none needs to know of what kind others are.

        The same for the same grid: a table that is built again comes out the same.
        """
        rng, many, subjects = np.random.default_rng(0), len(grid.seeds), len(grid.clusters)
        seeds = rng.multinomial(max(many - 1, 1), np.full(many, 1 / many), size=DRAWS)
        clusters = rng.poisson(1.0, size=(DRAWS, subjects))
        without = np.zeros((0, 1)) if many == 1 else 1 - np.eye(many)
        return cls(
            np.concatenate([seeds.astype(float), without]),
            np.concatenate([clusters.astype(float), np.ones((len(without), subjects))]),
        )

    def values(self, cells: Cells) -> Array:
        """The mean of each draw [draws]; nan where a draw has no item."""
        asked = np.flatnonzero(cells.counts.any(0))  # a task asks of few of a table's subjects
        drawn = self.clusters[:, asked]
        sums, counts = drawn @ cells.sums[:, asked].T, drawn @ cells.counts[:, asked].T
        there = counts > 0
        means = np.divide(sums, counts, where=there, out=np.zeros_like(sums))
        weights = self.seeds * there
        total = weights.sum(1)
        found = np.full(len(total), np.nan)
        np.divide((weights * means).sum(1), total, where=total > 0, out=found)
        return found
