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
    (δa − ρ δb) / (b − n), and one of n with (ρ − 1) δn / (b − n), together with the others where n is of the same
    subjects. The interval adds up the distances of a, n and b to the ends of their own intervals with the same weights,
    squared, as Newcombe's method does (1998, Statistics in Medicine 17, 873): it does not shrink to a point where all
    items agree. That they go together would make it narrower, and is not used.
    """
    top, high = mean_over_clusters(values), mean_over_clusters(ceiling)
    low = Estimate(float(floor), 0.0, None, 0, 0) if isinstance(floor, (int, float)) else mean_over_clusters(floor)
    way = high.value - low.value
    if way < LEAST:
        return None
    rho = (top.value - low.value) / way
    if top.stderr is None or high.stderr is None or low.stderr is None:
        return Estimate(rho, None, None, top.n, top.clusters)
    weights = [(_influence(values, top), 1 / way), (_influence(ceiling, high), -rho / way)]
    below = [] if isinstance(floor, (int, float)) else [(_influence(floor, low), (rho - 1) / way)]
    if not isinstance(floor, (int, float)) and set(floor) & set(values):  # of the same subjects
        weights, below = [*weights, *below], []
    squares = _squares(weights) + (_squares(below) if below else 0.0)
    return Estimate(rho, math.sqrt(squares), _interval(rho, way, top, low, high), top.n, top.clusters)


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


def _interval(rho: float, way: float, top: Estimate, low: Estimate, high: Estimate) -> tuple[float, float]:
    weights = ((top, 1.0), (low, rho - 1), (high, -rho))
    below = math.hypot(*(weight * _arm(one, up=weight < 0) for one, weight in weights))
    above = math.hypot(*(weight * _arm(one, up=weight > 0) for one, weight in weights))
    return rho - below / way, rho + above / way


def _arm(one: Estimate, *, up: bool) -> float:
    """From a mean to the upper or the lower end of its interval."""
    low, high = one.interval or (one.value, one.value)
    return high - one.value if up else one.value - low
