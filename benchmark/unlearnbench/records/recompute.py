"""From item logs to numbers: how every metric of a record was computed, and can be again, bit for bit."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from unlearnbench.records.estimate import Estimate, mean_over_clusters
from unlearnbench.records.record import TaskResult

Line = Mapping[str, Any]
"""A line of the item log."""


def by_subset(lines: Iterable[Line]) -> dict[tuple[str, frozenset[str]], list[Line]]:
    """The lines of each subset and each set of coordinates, so that a metric looks at its own only."""
    found: dict[tuple[str, frozenset[str]], list[Line]] = {}
    for line in lines:
        found.setdefault((line["subset"], frozenset(line.get("at", ()))), []).append(line)
    return found


def estimates(
    grouped: Mapping[tuple[str, frozenset[str]], Sequence[Line]], subset: str, field: str, axes: Sequence[str]
) -> dict[tuple[Any, ...], Estimate]:
    """The mean of one value over the lines of one subset, by their coordinates; {} where no line has it.

    A line counts where its coordinates are exactly those of the metric: none, for a metric that is no curve.
    """
    found: dict[tuple[Any, ...], dict[str, list[float]]] = {}
    for line in grouped.get((subset, frozenset(axes)), ()):
        if field in line["values"]:
            clusters = found.setdefault(tuple(line["at"][axis] for axis in axes), {})
            clusters.setdefault(line["cluster"], []).append(line["values"][field])
    return {at: mean_over_clusters(clusters) for at, clusters in found.items()}


def contradictions(result: TaskResult, lines: Sequence[Line]) -> list[str]:
    """The metrics of a task that its item log does not say, by name."""
    found, grouped = list[str](), by_subset(lines)
    for metric in result.metrics:
        mine = estimates(grouped, metric.subset, metric.sample_field, tuple(metric.at)).get(tuple(metric.at.values()))
        if mine != Estimate(metric.value, metric.stderr, metric.interval, metric.n, metric.n_clusters):
            found.append(f"{result.spec.name} {metric.name}")
    return found
