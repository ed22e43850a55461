"""From item rows to numbers, in closed form and bit for bit the same everywhere.

Sums are `math.fsum`, which is correctly rounded whatever the order, so that anyone can recompute a
record exactly from its item log.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

Z = 1.959963984540054
"""Half of a 95 % interval, in standard errors."""


class Estimate(NamedTuple):
    """A mean over items and how sure it is."""

    value: float
    stderr: float | None
    """Cluster-robust standard error (CR1); None with fewer than two clusters."""
    interval: tuple[float, float] | None
    """Of 95 % confidence; None with fewer than two clusters."""
    n: int
    clusters: int


def mean_over_clusters(
    values: Mapping[str, Sequence[float]], weights: Mapping[str, Sequence[float]] | None = None
) -> Estimate:
    """The mean of all values, with items of one cluster (subject) allowed to depend on each other.

    V = C/(C−1) · Σ_c (Σ_{j∈c}(s_j − s̄))² / n²  (Liang & Zeger, 1986; Miller, 2024, arXiv 2411.00640).
    With positive weights w_j, one for each value, s̄ = Σ w_j·s_j / W and V = C/(C−1) · Σ_c (Σ_{j∈c} w_j(s_j − s̄))² / W²,
    where W = Σ w_j, as of a ratio of two sums. Raises `ValueError` where there is no value.
    """
    flat = [value for cluster in values.values() for value in cluster]
    if not flat:
        raise ValueError("there is nothing to average")
    if weights is not None:
        return _weighted_mean(values, weights, len(flat))
    mean = math.fsum(flat) / len(flat)
    count = len(values)
    if count < 2:
        return Estimate(mean, None, None, len(flat), count)
    squares = math.fsum(math.fsum(value - mean for value in cluster) ** 2 for cluster in values.values())
    error = math.sqrt(count / (count - 1) * squares) / len(flat)
    share = all(0 <= value <= 1 for value in flat)
    interval = wilson(mean, error, len(flat), count) if share else (mean - Z * error, mean + Z * error)
    return Estimate(mean, error, interval, len(flat), count)


def _weighted_mean(
    values: Mapping[str, Sequence[float]], weights: Mapping[str, Sequence[float]], items: int
) -> Estimate:
    pairs = [list(zip(cluster, weights[name], strict=True)) for name, cluster in values.items()]
    whole = math.fsum(weight for cluster in pairs for _, weight in cluster)
    mean = math.fsum(weight * value for cluster in pairs for value, weight in cluster) / whole
    if len(pairs) < 2:
        return Estimate(mean, None, None, items, len(pairs))
    squares = math.fsum(math.fsum(weight * (value - mean) for value, weight in cluster) ** 2 for cluster in pairs)
    error = math.sqrt(len(pairs) / (len(pairs) - 1) * squares) / whole
    return Estimate(mean, error, (mean - Z * error, mean + Z * error), items, len(pairs))


def wilson(share: float, error: float, items: int, clusters: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share whose items depend on each other within clusters (Wilson, 1927).

    It counts as many independent items as would have this standard error, s(1 − s)/e² · C/(C − 1), at the most all
    `items`; for clusters of one item each it is Wilson's own. Where all items agree there is no error to go by, and
    each cluster counts once: 64 of 64 right is not certainty.
    """
    spread = share * (1 - share)
    n = float(clusters)
    if spread > 0 and error > 0:  # a share may round to 1, and the square of an error to 0
        n = min(float(items), spread / error**2 * clusters / (clusters - 1)) if error**2 > 0 else float(items)
    return score_interval(share, n, Z)


def score_interval(share: float, n: float, quantile: float) -> tuple[float, float]:
    """Wilson's interval of a share of so many independent items, as many standard errors wide to each side."""
    middle = (share + quantile**2 / (2 * n)) / (1 + quantile**2 / n)
    half = quantile * math.sqrt(share * (1 - share) / n + quantile**2 / (4 * n**2)) / (1 + quantile**2 / n)
    return max(0.0, middle - half), min(1.0, middle + half)
