"""A mean as a share of the way from a floor to a ceiling, and how sure it is."""

import math
from collections.abc import Mapping, Sequence

from unlearnbench.records.estimate import Estimate, mean_over_clusters

Clusters = Mapping[str, Sequence[float]]
LEAST = 0.1
"""Between floor and ceiling: the quotient of two small differences is noise."""


def share_of_way(values: Clusters, floor: Clusters | float, ceiling: Clusters) -> Estimate | None:
    """ρ = (a − n) / (b − n); None where b − n is below `LEAST`.

    The standard error is the delta method's, cluster by cluster: a cluster that is in both a and b counts once, with
    (δa − ρ δb) / (b − n), and one of n with (ρ − 1) δn / (b − n). The interval is that of the difference a − n by
    Newcombe's method (1998, Statistics in Medicine 17, 873), from the intervals of both, divided by b − n: it does not
    shrink to a point where all items agree.
    """
    top, high = mean_over_clusters(values), mean_over_clusters(ceiling)
    low = Estimate(floor, 0.0, (floor, floor), 0, 0) if isinstance(floor, float) else mean_over_clusters(floor)
    way = high.value - low.value
    if way < LEAST:
        return None
    rho = (top.value - low.value) / way
    if top.stderr is None or high.stderr is None or low.stderr is None:
        return Estimate(rho, None, None, top.n, top.clusters)
    weights = [(_influence(values, top), 1 / way), (_influence(ceiling, high), -rho / way)]
    squares = _squares(weights)
    if not isinstance(floor, float):
        squares += _squares([(_influence(floor, low), (rho - 1) / way)])
    return Estimate(rho, math.sqrt(squares), _interval(rho, way, top, low), top.n, top.clusters)


def _influence(clusters: Clusters, mean: Estimate) -> dict[str, float]:
    """By how much each cluster moves the mean."""
    return {
        name: math.fsum(value - mean.value for value in values) / mean.n for name, values in sorted(clusters.items())
    }


def _squares(weighted: Sequence[tuple[Mapping[str, float], float]]) -> float:
    """The variance of a weighted sum of means, in which clusters of one name depend on each other."""
    names = dict.fromkeys(name for influence, _ in weighted for name in influence)
    count = len(names)
    summed = (math.fsum(weight * influence.get(name, 0.0) for influence, weight in weighted) for name in names)
    return count / (count - 1) * math.fsum(one**2 for one in summed)


def _interval(rho: float, way: float, top: Estimate, low: Estimate) -> tuple[float, float] | None:
    if top.interval is None or low.interval is None:
        return None
    below = math.hypot(top.value - top.interval[0], low.interval[1] - low.value)
    above = math.hypot(top.interval[1] - top.value, low.value - low.interval[0])
    return rho - below / way, rho + above / way
