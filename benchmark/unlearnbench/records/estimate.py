"""From item rows to numbers, in closed form and bit for bit the same everywhere.

Sums are `math.fsum`, which is correctly rounded whatever the order, so that anyone can recompute a
record exactly from its item log.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple


class Estimate(NamedTuple):
    """A mean over items and how sure it is."""

    value: float
    stderr: float | None
    """Cluster-robust standard error (CR1); None with fewer than two clusters."""
    n: int
    clusters: int


def mean_over_clusters(values: Mapping[str, Sequence[float]]) -> Estimate:
    """The mean of all values, with items of one cluster (subject) allowed to depend on each other.

    V = C/(C−1) · Σ_c (Σ_{j∈c}(s_j − s̄))² / n²  (Liang & Zeger, 1986; Miller, 2024, arXiv 2411.00640).
    Raises `ValueError` where there is no value.
    """
    flat = [value for cluster in values.values() for value in cluster]
    if not flat:
        raise ValueError("there is nothing to average")
    mean = math.fsum(flat) / len(flat)
    count = len(values)
    if count < 2:
        return Estimate(mean, None, len(flat), count)
    squares = math.fsum(math.fsum(value - mean for value in cluster) ** 2 for cluster in values.values())
    return Estimate(mean, math.sqrt(count / (count - 1) * squares) / len(flat), len(flat), count)
