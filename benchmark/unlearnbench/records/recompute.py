"""From item logs to numbers: how every metric of a record was computed, and can be again, bit for bit."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from unlearnbench.records.estimate import Estimate, mean_over_clusters
from unlearnbench.records.record import TaskResult

Line = Mapping[str, Any]
"""A line of the item log."""


def estimates(lines: Iterable[Line], subset: str, field: str, axes: Sequence[str]) -> dict[tuple[Any, ...], Estimate]:
    """The mean of one value over the lines of one subset, by their coordinates; {} where no line has it.

    A line counts where its coordinates are exactly those of the metric: none, for a metric that is no curve.
    """
    found: dict[tuple[Any, ...], dict[str, list[float]]] = {}
    for line in lines:
        at = line.get("at", {})
        if line["subset"] == subset and field in line["values"] and set(at) == set(axes):
            clusters = found.setdefault(tuple(at[axis] for axis in axes), {})
            clusters.setdefault(line["cluster"], []).append(line["values"][field])
    return {at: mean_over_clusters(clusters) for at, clusters in found.items()}


def contradictions(result: TaskResult, lines: Sequence[Line]) -> list[str]:
    """The metrics of a task that its item log does not say, by name."""
    found = []
    for metric in result.metrics:
        axes = tuple(metric.at)
        mine = estimates(lines, metric.subset, metric.sample_field, axes).get(tuple(metric.at.values()))
        stated = Estimate(metric.value, metric.stderr, metric.n, metric.n_clusters)
        if mine != stated:
            found.append(f"{result.spec.name} {metric.name}")
    return found
