"""From item logs to numbers: how every metric of a record was computed, and can be again, bit for bit."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from unlearnbench.records.estimate import Estimate, mean_over_clusters
from unlearnbench.records.record import MetricResult, TaskResult
from unlearnbench.records.recovery import Clusters, share_of_way

Line = Mapping[str, Any]
"""A line of the item log."""
Grouped = Mapping[tuple[str, frozenset[str]], Sequence[Line]]
"""The lines of each subset and each set of coordinates."""
Coordinates = tuple[Any, ...]


class Measure(NamedTuple):
    """What a metric is computed from: a field, the subset it is a mean over, and along which axes."""

    subset: str
    field: str
    axes: tuple[str, ...]
    floor: str | float | None = None
    ceiling: str | None = None
    weight: str | None = None


def by_subset(lines: Iterable[Line]) -> Grouped:
    """So that a metric looks at its own lines only."""
    found: dict[tuple[str, frozenset[str]], list[Line]] = {}
    for line in lines:
        found.setdefault((line["subset"], frozenset(line.get("at", ()))), []).append(line)
    return found


def estimates(grouped: Grouped, measure: Measure) -> dict[Coordinates, Estimate]:
    """The mean of one value over the lines of one subset, by their coordinates; {} where no line has it.

    A line counts where its coordinates are exactly those of the metric: none, for a metric that is no curve. With a
    ceiling, what cannot be told (`share_of_way`) is left out.
    """
    values = _values(grouped, measure.subset, measure)
    if measure.weight is not None:
        weights = _values(grouped, measure.subset, measure._replace(field=measure.weight))
        return {at: mean_over_clusters(clusters, weights[at]) for at, clusters in values.items()}
    if measure.ceiling is None:
        return {at: mean_over_clusters(clusters) for at, clusters in values.items()}
    floor, ceiling = measure.floor, _values(grouped, measure.ceiling, measure)
    lowest = _values(grouped, floor, measure) if isinstance(floor, str) else {}
    found = {}
    for at, clusters in values.items():
        highest = ceiling.get(at, ceiling.get(()))
        low = lowest.get(at, lowest.get(())) if isinstance(floor, str) else floor
        one = None if low is None or highest is None else share_of_way(clusters, low, highest)
        if one is not None:
            found[at] = one
    return found


def complete(grouped: Grouped, measure: Measure) -> bool:
    """Whether there are lines of all that it compares."""
    compared = (measure.subset, measure.floor, measure.ceiling)
    return all(_values(grouped, subset, measure) for subset in compared if isinstance(subset, str))


def _values(grouped: Grouped, subset: str, measure: Measure) -> dict[Coordinates, Clusters]:
    """The field's values in the lines of a subset, by coordinates and cluster; under () those of lines without any."""
    found: dict[Coordinates, dict[str, list[float]]] = {}
    for axes in dict.fromkeys((measure.axes, () if subset != measure.subset else measure.axes)):
        for line in grouped.get((subset, frozenset(axes)), ()):
            if measure.field in line["values"]:
                clusters = found.setdefault(tuple(line["at"][axis] for axis in axes), {})
                clusters.setdefault(line["cluster"], []).append(line["values"][measure.field])
    return dict(found)


def measure_of(result: MetricResult) -> Measure:
    """What a result says it was computed from."""
    return Measure(result.subset, result.sample_field, tuple(result.at), result.floor, result.ceiling, result.weight)


def contradictions(result: TaskResult, lines: Sequence[Line]) -> list[str]:
    """The metrics of a task that its item log does not say, by name."""
    found, grouped = list[str](), by_subset(lines)
    for metric in result.metrics:
        mine = estimates(grouped, measure_of(metric)).get(tuple(metric.at.values()))
        if mine != Estimate(metric.value, metric.stderr, metric.interval, metric.n, metric.n_clusters):
            found.append(f"{result.spec.name} {metric.name}")
    return found
