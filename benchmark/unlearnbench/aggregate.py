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


def ratio_over_clusters(values: Mapping[str, Sequence[tuple[float, float]]]) -> Estimate:
    """Σ w·s / Σ w over (s, w), the mean of values that count by their weight: nats per word, weighted by words.

    The error is that of a ratio of two sums, linearized: V = C/(C−1) · Σ_c (Σ_{j∈c} w_j (s_j − s̄))² / (Σ w)².
    With equal weights it is `mean_over_clusters`. Raises `ValueError` where the weights sum to nothing.
    """
    flat = [pair for cluster in values.values() for pair in cluster]
    total = math.fsum(weight for _, weight in flat)
    if total <= 0:
        raise ValueError("there is nothing to average")
    mean = math.fsum(value * weight for value, weight in flat) / total
    count = len(values)
    if count < 2:
        return Estimate(mean, None, len(flat), count)
    residuals = (math.fsum(weight * (value - mean) for value, weight in cluster) for cluster in values.values())
    squares = math.fsum(residual**2 for residual in residuals)
    return Estimate(mean, math.sqrt(count / (count - 1) * squares) / total, len(flat), count)
